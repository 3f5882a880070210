"""The duty list, the call for helpers, forecasts held against what came, and the way back."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from node.forecast import api, comparison, counting, outlook, pages, registry, rules, service
from node.forecast.model import ForecastDay
from node.forecast.panel import DayCount
from node.kernel.ids import new_id
from node.reactions import REACTIONS
from node.residents import pages as residents_pages
from node.residents.rules import Role
from node.timebank import calls
from node.timebank import pages as timebank_pages
from tests.node.forecast.answer import NEXT, answer
from tests.node.web.client import ClientHouse, house_at, key

TODAY, TOMORROW = NEXT, NEXT + timedelta(days=1)  # a forecast begins with the day that runs


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    """Its clock stands on the first day of the answer; one person is on duty."""
    routes = [*api.routes, *pages.routes, *residents_pages.routes, *timebank_pages.routes]
    with house_at(tmp_path, routes, [pages.card], REACTIONS) as house:
        assert rules.local_day(house.clock.now()) == TODAY
        house.settings = type(house.settings)(tmp_path, people_on_duty=1, requests_per_person=5)
        yield house


def compare(house: ClientHouse, result: dict[str, Any]) -> list[Sequence[str]]:
    """A comparison whose child answers at once; returns what the child was asked."""
    asked: list[Sequence[str]] = []

    async def runner(arguments: Sequence[str], _log: Path) -> int:
        asked.append(arguments)
        Path(arguments[3]).write_text(json.dumps(result), encoding="utf-8")
        return 0

    asyncio.run(comparison.compare(house, evaluation_id=new_id(), runner=runner))
    return asked


def remember(house: ClientHouse, days: int = 150) -> None:
    """Counts of the days before today."""
    rows = [DayCount(TODAY - timedelta(days=n + 1), "lift", n % 7) for n in range(days)]
    house.database.do(lambda session: counting.import_history(session, rows))


def test_the_duty_list_is_enough_in_four_cases_of_five() -> None:
    found = outlook.roster(answer(), NEXT + timedelta(days=2), requests_per_person=5, on_duty=1)
    assert found is not None
    assert (found.requests, found.people, found.missing) == (8, 2, 1)
    assert [(duty.requests, duty.people) for duty in found.duties] == [(5, 1.0), (5, 1.0)]
    unsaid = outlook.roster(answer(), NEXT, requests_per_person=5, on_duty=0)
    assert unsaid is not None
    assert unsaid.missing == 0
    late = NEXT + timedelta(days=30)
    assert outlook.roster(answer(), late, requests_per_person=5, on_duty=1) is None


def test_a_busy_day_calls_for_helpers_and_a_calmer_outlook_ends_it(house: ClientHouse) -> None:
    remember(house)
    compare(house, answer())
    volunteer = house.resident("Sun")
    house.open_browser(volunteer)
    assert "Helpers wanted" in house.client.get("/timebank").text
    day = TOMORROW.isoformat()
    house.post_form(f"/timebank/calls/{day}", page="/timebank", comes="yes")
    assert "Wanted: 1. Coming: 1." in house.client.get("/timebank").text
    house.post_form(f"/timebank/calls/{day}", page="/timebank", comes="no")
    assert "Coming: 1." not in house.client.get("/timebank").text
    calm = answer()
    for row in calm["days"]:
        row["q80"] = 2
    compare(house, calm)
    assert "Helpers wanted" not in house.client.get("/timebank").text
    assert house.post_form(f"/timebank/calls/{day}", page="/timebank").status_code == 404
    with house.database.read() as session:
        assert calls.open_calls(session, after=TODAY, reader_id=volunteer) == []


def test_planners_see_the_duty_list_and_others_do_not(house: ClientHouse) -> None:
    remember(house)
    compare(house, answer())
    house.open_browser(house.resident("Wu", Role.PROPERTY))
    text = house.client.get("/forecast").text
    assert "Tomorrow's duty list" in text
    assert "1 short" in text
    house.open_browser(house.resident("Li"))
    assert "duty list" not in house.client.get("/forecast").text
    listed = house.client.get("/api/forecast/roster", headers=house.bearer(Role.CLERK)).json()
    assert (listed["people"], listed["missing"], len(listed["by_category"])) == (2, 1, 2)
    mine = house.signed_in(house.resident("He"))
    assert house.client.get("/api/forecast/roster", headers=mine).status_code == 403


def test_each_day_is_held_against_the_latest_forecast_of_it(house: ClientHouse) -> None:
    remember(house)
    compare(house, answer())
    compare(house, answer())  # the same evening again: the same rows
    house.clock.advance(timedelta(days=2))
    remember(house)
    rows = [DayCount(NEXT + timedelta(days=n), "lift", 4 + 20 * n) for n in range(2)]
    house.database.do(lambda session: counting.import_history(session, rows))
    with house.database.read() as session:
        assert len(session.scalars(select(ForecastDay)).all()) == 21
        kept = outlook.kept_days(session, until=NEXT + timedelta(days=1))
    assert [(one.came, one.is_inside) for one in kept] == [(4, True), (24, False)]
    house.open_browser(house.resident("Li"))
    assert "On 1 of 2 days" in house.client.get("/forecast").text
    for form in ("", "?narrow"):
        drawn = house.client.get(f"/forecast/kept.svg{form}").text
        assert drawn.count("<rect") == 1 + 3 * 2
    listed = house.client.get("/api/forecast/kept", headers=house.bearer(Role.CLERK)).json()
    assert listed[0]["date"] == NEXT.isoformat()


def test_the_page_says_what_is_promised_and_what_is_not(house: ClientHouse) -> None:
    remember(house)
    compare(house, answer())
    house.open_browser(house.resident("Li"))
    text = house.client.get("/forecast").text
    for words in ("At most 74 right guesses", "one request", "A resident over many weeks"):
        assert words in text
    assert "training = false" in text
    bare = answer() | {"privacy": {"epsilon": 1.0, "delta": 0}}  # said by nobody's accountant
    with pytest.raises(rules.EvaluationUnusable):
        compare(house, bare)


def test_the_operator_goes_back_to_an_earlier_model(house: ClientHouse) -> None:
    remember(house)
    folder = comparison.forecast_folder(house.settings.directory)
    card = {
        "rounds": 100,
        "nodes": 32,
        "privacy": answer()["privacy"],
        "accuracy_by_epsilon": [
            {"epsilon": None, "total_mae": 2.1},
            {"epsilon": 1.0, "total_mae": 2.2},
            {"epsilon": "x", "total_mae": 2.2},
        ],
    }
    hashes = [registry.keep_file(folder, content) for content in (b"first", b"second")]
    for sha256 in hashes:
        house.clock.advance(timedelta(seconds=1))
        house.database.do(
            lambda s, sha256=sha256: registry.record(  # type: ignore[misc]  # one of each
                s, house.clock, sha256=sha256, card_json=json.dumps(card)
            )
        )
    assert compare(house, answer())[0][5].endswith(f"{hashes[1]}.npz")
    operator = house.resident("Zhao", Role.OPERATOR)
    house.open_browser(operator)
    text = house.client.get("/forecast/models").text
    assert "What privacy costs" in text
    assert "2.200" in text
    assert "no noise" in text
    done = house.post_form("/forecast/models", page="/forecast/models", sha256=hashes[0])
    assert done.status_code == 303
    arguments = compare(house, answer())[0]
    assert arguments[5].endswith(f"{hashes[0]}.npz")
    listed = house.client.get("/api/forecast/models", headers=house.bearer(Role.CLERK)).json()
    assert (listed["in_use"], listed["held"]) == (hashes[0], hashes[0])
    with house.database.read() as session:
        assert registry.newest_sha256(session, folder) == hashes[1]
    house.post_form("/forecast/models", page="/forecast/models", sha256="newest")
    assert compare(house, answer())[0][5].endswith(f"{hashes[1]}.npz")
    registry.path_of(folder, hashes[1]).unlink()  # lost with a disk: done without, asked for again
    assert "--model" not in compare(house, answer())[0]
    with house.database.read() as session:
        assert registry.newest_sha256(session, folder) == ""
    house.open_browser(house.resident("Li"))
    refused = house.post_form("/forecast/models", page="/forecast/models", sha256="newest")
    assert refused.status_code == 403


def test_an_unknown_model_is_not_chosen(house: ClientHouse) -> None:
    headers = house.bearer(Role.OPERATOR) | key()
    body = {"sha256": "ab" * 32}
    found = house.client.post("/api/forecast/models", headers=headers, json=body)
    assert found.json()["code"] == "forecast.model_unknown"
    fine = house.client.post("/api/forecast/models", headers=headers, json={"sha256": None})
    assert fine.json() == {"held": None}


def test_a_forecast_is_renewed_once_a_day_after_the_first(house: ClientHouse) -> None:
    remember(house)
    asked: list[Sequence[str]] = []

    async def runner(arguments: Sequence[str], _log: Path) -> int:
        asked.append(arguments)
        Path(arguments[3]).write_text(json.dumps(answer()), encoding="utf-8")
        return 0

    def renew() -> None:
        asyncio.run(comparison.renew(house, runner=runner))

    renew()
    assert asked == []  # nobody has asked for a forecast here yet
    compare(house, answer())
    renew()
    assert asked == []  # today's is there
    house.clock.advance(timedelta(days=1))
    renew()
    renew()
    assert len(asked) == 1
    with house.database.read() as session:
        latest = service.latest(session)
        assert latest is not None
        assert rules.local_day(latest.evaluated_at) == TOMORROW
