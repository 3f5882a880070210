"""What people see of help next door: passes, gifts, codes, what went wrong, and what is watched."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from node.exchange.model import Gift, Pass, ReceiptRecord, Visit
from node.exchange.rules import GiftState
from node.kernel.ids import new_id
from node.residents.rules import Role
from node.web.session import ACTING_COOKIE
from tests.node.exchange.acts import compare_all
from tests.node.exchange.conftest import Town, TradingClientHouse
from tests.node.two_nodes import ELDER, HOME, HOST, VOLUNTEER, exchange_id
from tests.node.web.client import key


def staff(house: TradingClientHouse, role: Role, *, language: str = "en") -> None:
    """Sign a member of staff in at the browser."""
    house.open_browser(house.resident("Staff", role), language=language)


def send(house: TradingClientHouse, path: str, *, page: str = "", **fields: Any) -> Any:
    return house.post_form(path, page=page or path, **fields)


def test_an_elder_makes_a_pass_and_sees_what_each_neighbour_takes(town: Town) -> None:
    town.home.open_browser(ELDER)
    assert "has not said yet" in town.home.client.get("/exchange/new").text
    town.district.drain()
    shown = town.home.client.get("/exchange/new").text
    assert f"{HOST} house: up to 400 minutes" in shown
    assert "How did the resident agree?" not in shown
    form = {"host": HOST, "minutes": "60", "form_id": str(new_id())}
    made = send(town.home, "/exchange/new", **form)
    assert made.status_code == 303
    slip = town.home.client.get(made.headers["location"]).text
    assert f"{HOME}-" in slip
    assert "Done for them by" not in slip
    picture = town.home.client.get(f"{made.headers['location']}/code.svg")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert send(town.home, f"{made.headers['location']}/void", page="/exchange").status_code == 303


def test_a_clerk_says_how_the_elder_agreed(town: Town) -> None:
    staff(town.home, Role.CLERK)
    town.home.client.cookies.set(ACTING_COOKIE, str(ELDER))
    assert "How did the resident agree?" in town.home.client.get("/exchange/new").text
    form = {"host": HOST, "minutes": "60", "form_id": str(new_id())}
    assert send(town.home, "/exchange/new", **form).status_code == 422
    made = send(town.home, "/exchange/new", **form, consent="in_person")
    assert made.status_code == 303
    slip = town.home.client.get(made.headers["location"]).text
    assert "Done for them by" in slip
    assert "They are here and say yes" in slip
    [row] = town.district.home.ask(lambda session: session.query(Pass).all())
    assert (row.consent, row.resident_id) == ("in_person", ELDER)
    assert row.issued_by is not None


def test_the_desk_scans_a_guests_slip(town: Town) -> None:
    body = {"resident_id": str(ELDER), "host": HOST, "minutes": 60}
    headers = town.home.signed_in(ELDER) | key()
    slip = town.home.client.post("/api/passes", json=body, headers=headers).json()["slip"]
    staff(town.host, Role.CLERK)
    form = {"code": slip, "phone": "13800009999", "form_id": str(new_id())}
    wrong = send(town.host, "/exchange/guest", **(form | {"code": slip[:-40] + "A" * 40}))
    assert wrong.status_code == 422
    assert "nobody we know has signed it" in wrong.text
    taken = send(town.host, "/exchange/guest", **form)
    assert taken.status_code == 303
    town.district.drain()
    path = taken.headers["location"]
    send(town.host, path, step="deliver", minutes="45")
    send(town.host, path, step="elder")
    send(town.host, path, step="provider")
    town.district.drain()
    assert "The receipt, and if something was wrong" in town.host.client.get(path).text
    [visit] = town.district.host.ask(lambda session: session.query(Visit).all())
    assert visit.minutes == 45


@pytest.mark.parametrize(
    ("phone", "words"),
    [
        ("9", "give 5 to 15 digits"),
        ("138", "give 5 to 15 digits"),
        ("Volunteer", "give 5 to 15 digits"),
        ("1380000999", "nobody here has this number"),
        ("138000099990", "nobody here has this number"),
    ],
)
def test_our_volunteer_is_named_by_the_whole_number(town: Town, phone: str, words: str) -> None:
    staff(town.host, Role.CLERK)
    form = {"code": f"{HOME}-ABCD2222", "form_id": str(new_id())}
    refused = send(town.host, "/exchange/guest", **form, phone=phone)
    assert refused.status_code == 422
    assert words in refused.text
    assert 'id="error-phone"' in refused.text
    assert town.district.host.ask(lambda session: session.query(Visit).count()) == 0


def test_spaces_and_dashes_in_a_number_are_forgiven(town: Town) -> None:
    staff(town.host, Role.CLERK)
    form = {"code": f"{HOME}-ABCD2222", "form_id": str(new_id())}
    taken = send(town.host, "/exchange/guest", **form, phone=" 138-0000 9999 ")
    assert taken.status_code == 303
    [visit] = town.district.host.ask(lambda session: session.query(Visit).all())
    assert visit.provider_id == VOLUNTEER


def test_a_gift_from_the_code_to_the_receipt(town: Town) -> None:
    town.host.open_browser(VOLUNTEER)
    assert send(town.host, "/exchange/codes").status_code == 303
    shown = town.host.client.get("/exchange/codes").text
    code = shown.split('class="code">')[1].split("<")[0]
    town.home.open_browser(ELDER)
    form = {"code": code, "minutes": "30", "form_id": str(new_id())}
    given = send(town.home, "/exchange/gifts/new", **form)
    assert given.status_code == 303
    path = given.headers["location"]
    assert "on its way" in town.home.client.get(path).text
    town.district.drain()
    assert "arrived" in town.home.client.get(path).text
    assert "arrived" in town.home.client.get("/exchange").text
    received = town.host.client.get(path).text
    assert f"Gift from {HOME} house" in received
    short = code.rpartition("-")[2]
    withdrawn = send(town.host, f"/exchange/codes/{short}/withdraw", page="/exchange/codes")
    assert withdrawn.status_code == 303
    assert code not in town.host.client.get("/exchange/codes").text
    again = send(town.home, "/exchange/gifts/new", **(form | {"form_id": str(new_id())}))
    town.district.drain()
    refused = town.home.client.get(again.headers["location"]).text
    assert "not taken" in refused
    assert "it was mistyped or taken back" in refused
    assert "gift_code_unknown" not in refused
    town.home.open_browser(ELDER, language="zh")
    assert "可能输错了，或者已经停用" in town.home.client.get(again.headers["location"]).text
    assert town.district.home.minutes(ELDER) == -30, "only the first gift was paid"


def test_a_gift_that_cannot_be_given_says_why(town: Town) -> None:
    town.home.open_browser(ELDER)
    for fields in (
        {"code": "nowhere-ABCDEFGHJK", "minutes": "30"},
        {"code": "ABC", "minutes": "30"},
        {"code": f"{HOST}-ABCDEFGHJK", "minutes": "481"},
        {"code": "", "minutes": "30"},
    ):
        assert send(town.home, "/exchange/gifts/new", **fields).status_code == 422
    rows = town.district.home.ask(
        lambda session: session.query(Gift).filter_by(state=GiftState.SENT).count()
    )
    assert rows == 0


def test_minutes_go_back_by_consent(town: Town) -> None:
    """Each desk says how its own resident agreed; the page shows who acted."""
    town.district.help_guest(minutes=60)
    path = f"/exchange/receipts/{exchange_id()}"
    staff(town.home, Role.CLERK)
    form = {"act": "ask", "minutes": "20", "form_id": str(new_id())}
    assert send(town.home, path, **form).status_code == 422
    asked = send(town.home, path, **form, consent="telephone")
    assert asked.status_code == 303
    town.district.drain()
    staff(town.host, Role.CLERK)
    where = asked.headers["location"]
    shown = town.host.client.get(where).text
    assert "asked back" in shown
    assert "How did the resident agree?" in shown
    assert "Done for them by" not in shown
    assert send(town.host, where, act="offer").status_code == 422
    assert send(town.host, where, act="offer", consent="in_person").status_code == 303
    assert "They are here and say yes" in town.host.client.get(where).text
    town.district.drain()
    paid = town.home.client.get(where).text
    assert "paid back" in paid
    assert "They said yes on the telephone" in paid
    assert "paid back" in town.home.client.get(path).text
    assert send(town.host, where, act="decline").status_code == 422


def test_a_dispute_from_the_elder_to_the_verdict(town: Town) -> None:
    town.district.help_guest(minutes=60)
    town.home.open_browser(ELDER)
    path = f"/exchange/receipts/{exchange_id()}"
    claim = {"act": "dispute", "code": "fewer_minutes", "minutes": "30", "words": "half an hour"}
    opened = send(town.home, path, **claim)
    assert opened.headers["location"] == path, "the elder may not read the desk's page"
    assert "opened, to be answered" in town.home.client.get(path).text
    assert send(town.home, path, act="ask", minutes="30").status_code == 403
    town.district.drain()
    staff(town.host, Role.SOCIAL_WORKER)
    assert "Disputes with other communities: 1" in town.host.client.get("/").text
    listed = town.host.client.get("/exchange/disputes").text
    where = listed.split('href="/exchange/disputes/')[1].split('"')[0]
    where = f"/exchange/disputes/{where}"
    shown = town.host.client.get(where).text
    assert "half an hour" not in shown
    assert "<dt>Our receipt</dt><dd>60 minutes, owed by them</dd>" in shown
    assert "<dt>Their receipt</dt><dd>60 minutes, owed by them</dd>" in shown
    answer = {"act": "answer", "code": "as_recorded", "minutes": "0"}
    assert send(town.host, where, **answer).status_code == 303
    town.district.drain()
    assert send(town.host, where, act="judge", minutes="15").status_code == 303
    staff(town.home, Role.SOCIAL_WORKER)
    assert "half an hour" in town.home.client.get(where).text
    assert send(town.home, where, act="judge", minutes="999").status_code == 422
    assert send(town.home, where, act="judge", minutes="15").status_code == 303
    town.district.drain()
    assert "judged" in town.home.client.get(where).text
    assert town.district.home.minutes(ELDER) == -45


def test_an_arbiter_sees_that_the_two_receipts_differ(town: Town) -> None:
    town.district.help_guest(minutes=60)
    town.home.open_browser(ELDER)
    said = {"act": "dispute", "code": "fewer_minutes", "minutes": "30", "words": ""}
    send(town.home, f"/exchange/receipts/{exchange_id()}", **said)
    town.district.drain()
    lower = update(ReceiptRecord).values(minutes=50)
    town.district.host.do(lambda session: session.execute(lower).close())
    staff(town.host, Role.SOCIAL_WORKER)
    where = town.host.client.get("/exchange/disputes").text.split('href="/exchange/disputes/')[1]
    where = f"/exchange/disputes/{where.split(chr(34))[0]}"
    send(town.host, where, act="answer", code="as_recorded", minutes="0")
    shown = town.host.client.get(where).text
    assert "<dd>50 minutes, owed by them</dd>" in shown
    assert "<dd>60 minutes, owed by them</dd>" in shown
    assert "The two receipts differ." in shown


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_operator_watches(town: Town, language: str) -> None:
    town.district.help_guest(minutes=60)
    town.district.clock.advance(timedelta(days=1))
    compare_all(town.district)
    town.district.drain()
    staff(town.home, Role.OPERATOR, language=language)
    shown = town.home.client.get("/exchange/trust").text
    assert f"{HOST} house" in shown
    assert ("the same" if language == "en" else "一致") in shown
    assert town.home.client.get("/exchange/evidence").status_code == 200
    assert ("Trust between" if language == "en" else "社区之间的信用") in town.home.client.get(
        "/"
    ).text
    town.home.open_browser(ELDER)
    for path in ("/exchange/trust", "/exchange/evidence", "/exchange/disputes"):
        assert town.home.client.get(path).status_code == 403
