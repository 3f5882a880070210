"""Pages of points and of the time bank that show something only once neighbours have been busy."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from node.points import rules
from tests.browser.test_every_page import look_at
from tests.browser.village import Village, visit

pytestmark = pytest.mark.browser

PATHS: Mapping[str, tuple[str, ...]] = {
    "resident": (
        "/points",
        "/points/claims",
        "/points/gatherings",
        "/points/gatherings/{gathering}",
        "/points/redemptions/{coupon}",
        "/timebank/listings",
        "/timebank/listings/{need}",
        "/timebank/exchanges/{quarrel}",
        "/timebank/statement/paper",
    ),
    "acting": ("/points/desk", "/points/shelf", "/points/gatherings/{gathering}/screen"),
    "social_worker": ("/timebank", "/timebank/exchanges/{quarrel}"),
}


def be_busy(place: Village) -> dict[str, str]:
    """An offer and a need, a gathering, a claim, something put aside, and a dispute."""
    elder, helper = place.people["李秀英"], place.people["王建国"]
    mornings = [{"day": day, "part": "morning"} for day in (0, 2, 4)]
    listing = {"service": "companionship", "times": mornings, "minutes": 60}
    path = "/timebank/listings"
    need = place.say("李秀英", "POST", path, kind="need", resident_id=str(elder), **listing)["id"]
    place.say("王建国", "POST", path, kind="offer", resident_id=str(helper), **listing)
    gathering = place.say(
        "周敏",
        "POST",
        "/points/gatherings",
        activity="volunteering",
        place="三号楼前",
        closes_at=(place.clock.now() + timedelta(hours=2)).isoformat(),
    )["id"]
    place.say(
        "王建国",
        "POST",
        "/points/claims",
        resident_id=str(helper),
        cosigner_id=str(elder),
        activity="waste_sorting",
        day=rules.local_day(place.clock.now()).isoformat(),
    )
    coupon = place.say(
        "李秀英", "POST", "/points/redemptions", resident_id=str(elder), item="market_voucher_10"
    )["id"]
    rows = place.say("李秀英", "GET", f"/timebank/exchanges?resident_id={elder}")["data"]
    quarrel = next(row["id"] for row in rows if row["state"] in ("captured", "contested"))
    words = {"reason": "shorter", "words": "实际只有一个小时。"}
    place.say("李秀英", "POST", f"/timebank/exchanges/{quarrel}/dispute", **words)
    return {"need": need, "gathering": gathering, "coupon": coupon, "quarrel": quarrel}


def test_nothing_is_wrong_with_busy_pages(place: Village, site: str, browser: Any) -> None:
    made = be_busy(place)
    wrong = []
    for role, paths in PATHS.items():
        for is_big in (False, True):
            context = visit(browser, site, place.cookies(role), is_big=is_big)
            page = context.new_page()
            for path in paths:
                answer = page.goto(site + path.format(**made), wait_until="load")
                assert answer.status == 200, path
                found = look_at(page, is_big=is_big)
                wrong += [f"{role} {path} big={is_big}: {one}" for one in found]
            context.close()
    assert wrong == []
