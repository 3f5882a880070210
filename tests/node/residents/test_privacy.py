"""What the law gives a resident: see all, take it along, agree and take back, be forgotten."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from node.kernel.ids import new_id
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.model import Unit
from node.repairs import pages as repairs_pages
from node.residents import pages, privacy, service
from node.residents.refusals import LastOperator, StillPromised
from node.residents.rules import Purpose, Role
from tests.node.web.client import PIN, ClientHouse, house_at


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*pages.routes, *repairs_pages.routes]) as house:
        yield house


def earn(house: ClientHouse, resident_id: UUID, points: int) -> None:
    issue = ledger.house_account("issue", Unit.POINTS)

    def command(session: Any) -> None:
        ledger.open_account(
            session, account_id=issue, unit=Unit.POINTS, kind="house", owner="issue", floor=-9_000
        )
        ledger.transfer(
            session,
            house.clock,
            entry_id=new_id(),
            payer_id=issue,
            payee_id=ledger.resident_account(resident_id, Unit.POINTS),
            amount=points,
            reason="thanks",
        )

    house.database.do(command)


def test_the_export_holds_all_of_mine_and_nothing_of_others(house: ClientHouse) -> None:
    me, other = house.resident("Li Ming", pin=PIN), house.resident("Wu Fang", pin=PIN)
    earn(house, me, 30)
    earn(house, other, 70)
    for who, title in ((me, "My lamp"), (other, "Her lift")):
        house.open_browser(who)
        words = {"title": title, "description": "dark", "location": "7-2", "category": "lift"}
        house.post_form("/repairs/new", page="/repairs/new", **words)
    house.open_browser(me)
    answer = house.client.get("/privacy/export")
    assert "attachment" in answer.headers["content-disposition"]
    tables = json.loads(answer.content)["tables"]
    assert tables["resident"][0]["name"] == "Li Ming"
    assert tables["service_request"][0]["title"] == "My lamp"
    assert [row["amount"] for row in tables["posting"]] == [30]
    for secret in ("Wu Fang", "Her lift", "argon2", "secret_sha256", house.phone(2)):
        assert secret not in answer.text


def test_what_a_clerk_wrote_for_others_is_not_the_clerks(house: ClientHouse) -> None:
    elder, clerk = house.resident("Li"), house.resident("Zhao", Role.CLERK)
    house.open_browser(clerk)
    house.post_form("/acting", page="/residents", resident_id=str(elder))
    words = {"title": "Her tap", "description": "drips", "location": "7-2", "category": "water"}
    house.post_form("/repairs/new", page="/repairs/new", **words)
    house.post_form("/acting", page="/residents", resident_id="")
    assert "Her tap" not in house.client.get("/privacy/export").text


def test_being_forgotten(house: ClientHouse) -> None:
    me = house.resident("Li Ming", pin=PIN)
    earn(house, me, 30)
    house.open_browser(me)
    wrong = house.post_form("/privacy/erase", page="/privacy", pin="975310")
    assert wrong.status_code == 422
    done = house.post_form("/privacy/erase", page="/privacy", pin=PIN)
    assert done.status_code == 303
    assert house.client.get("/profile", follow_redirects=False).status_code == 303
    with house.database.read() as session:
        gone = service.resident(session, me)
        assert (gone.name, gone.phone, gone.household) == (privacy.ERASED_NAME, None, None)
        assert ledger.balance(session, ledger.resident_account(me, Unit.POINTS)) == 30
        assert audit_ledger(session).ok
        assert "Li Ming" not in json.dumps(privacy.export(session, house.clock, resident_id=me))
        assert service.search(session, "") == []
    fields = {"phone": house.phone(1), "pin": PIN}
    again = house.post_form("/sign-in", page="/sign-in", **fields)
    assert again.status_code == 422


def test_nobody_is_forgotten_while_something_is_promised(house: ClientHouse) -> None:
    me = house.resident("Li")
    earn(house, me, 30)
    account = ledger.resident_account(me, Unit.POINTS)
    house.database.do(
        lambda session: ledger.place_hold(
            session,
            house.clock,
            hold_id=new_id(),
            payer_id=account,
            payee_id=ledger.house_account("issue", Unit.POINTS),
            amount=10,
            expires_at=None,
            reason="redemption",
        )
    )
    with pytest.raises(StillPromised, match="10 points"):
        house.database.do(lambda session: privacy.erase(session, house.clock, resident_id=me))


def test_the_operator_erases_on_request_but_not_the_last_one(house: ClientHouse) -> None:
    me, boss = house.resident("Li"), house.resident("Sun", Role.OPERATOR)
    house.open_browser(boss)
    page = f"/residents/{me}"
    assert house.post_form(f"{page}/erase", page=page, erase_name="Wu").status_code == 422
    assert house.post_form(f"{page}/erase", page=page, erase_name="Li").status_code == 303
    assert "Erased on" in house.client.get(page).text
    with pytest.raises(LastOperator):
        house.database.do(lambda session: privacy.erase(session, house.clock, resident_id=boss))


def test_agreeing_and_taking_it_back(house: ClientHouse) -> None:
    me = house.resident("Li")
    house.open_browser(me)
    fields = {"purpose": "outside_messages", "form_id": str(new_id())}
    for answer, given in (("yes", {Purpose.OUTSIDE_MESSAGES}), ("no", set())):
        house.post_form("/privacy/consent", page="/privacy", answer=answer, **fields)
        with house.database.read() as session:
            assert set(privacy.consents(session, resident_id=me)) == given


def test_a_wrong_number_is_corrected_with_the_pin(house: ClientHouse) -> None:
    me = house.resident("Li", pin=PIN)
    house.open_browser(me)
    fields = {"phone": "13911112222", "birth_year": "1946"}
    refused = house.post_form("/privacy/correct", page="/privacy", pin="975310", **fields)
    assert refused.status_code == 422
    house.post_form("/privacy/correct", page="/privacy", pin=PIN, **fields)
    with house.database.read() as session:
        found = service.resident(session, me)
    assert (found.phone, found.birth_year) == ("13911112222", 1946)
