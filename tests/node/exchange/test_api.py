"""Exchange between communities over HTTP: quote, pass with its slip, gift, reversal, dispute."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from node.exchange.model import Gift, Pass
from node.kernel.ids import new_id
from node.residents import proxies
from node.residents.rules import Role, Scope
from tests.node.exchange.acts import GIFT_CODE, hand_out_code
from tests.node.exchange.conftest import Town, TradingClientHouse, desk
from tests.node.two_nodes import ELDER, HOME, HOST, VOLUNTEER, exchange_id
from tests.node.web.client import key


def post(
    house: TradingClientHouse, path: str, headers: dict[str, str], body: Any = None, **more: Any
) -> Any:
    return house.client.post(path, json=body, headers=headers | key() | more)


def quote(town: Town) -> Any:
    headers = town.home.bearer(Role.CLERK, acting_for=ELDER)
    answer = town.home.client.get(f"/api/exchange/quote?host={HOST}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_quote_says_what_each_limit_leaves(town: Town) -> None:
    first = quote(town)
    assert first["available_minutes"] == first["suggested_max_minutes"] == 450
    assert first["limits"]["peer_minutes"] is None
    town.district.drain()  # asking for it was what asked the host
    second = quote(town)
    assert second["limits"]["peer_minutes"] == 400
    assert second["suggested_max_minutes"] == 400
    assert second["limits"]["peer_told_at"]


def issue(town: Town, headers: dict[str, str], **changes: Any) -> Any:
    body = {"resident_id": str(ELDER), "host": HOST, "minutes": 60}
    return post(town.home, "/api/passes", headers, body | changes)


def give(town: Town, headers: dict[str, str], **changes: Any) -> Any:
    body = {"resident_id": str(ELDER), "code": f"{HOST}-{GIFT_CODE}", "minutes": 30}
    return post(town.home, "/api/gifts", headers, body | changes)


def agree(town: Town, relative: UUID, scope: Scope) -> None:
    """The elder lets a relative act for them, for a month."""
    town.district.home.do(
        lambda session: (
            proxies.agree_proxy(
                session,
                town.home.clock,
                proxy_id=new_id(),
                elder_id=ELDER,
                helper_id=relative,
                scope=scope,
                ends_at=town.home.clock.now() + timedelta(days=30),
                recorded_by=ELDER,
            ).id
        )
    )


def pass_row(town: Town, pass_id: str) -> Pass:
    return town.district.home.ask(lambda session: session.get_one(Pass, UUID(pass_id)))


def test_who_acted_and_how_the_elder_agreed_is_kept(town: Town) -> None:
    alone = issue(town, town.home.signed_in(ELDER)).json()
    assert (alone["consent"], pass_row(town, alone["id"]).issued_by) == ("self", None)
    clerk_id = town.home.resident("Clerk", Role.CLERK)
    clerk = town.home.signed_in(clerk_id)
    assert issue(town, clerk).json()["code"] == "kernel.bad_input"
    by_clerk = issue(town, clerk, consent="written").json()
    assert (by_clerk["consent"], by_clerk["acted_by"]) == ("written", str(clerk_id))
    another = town.home.resident("Another", Role.CLERK)
    blamed = issue(town, clerk, consent="written", acted_by=str(another))
    assert (blamed.status_code, blamed.json()["code"]) == (403, "exchange.actor_unfit")


@pytest.mark.parametrize(
    "said", [{}, {"consent": "in_person"}, {"acted_by": str(ELDER)}, {"consent": None}]
)
def test_a_program_does_not_spend_minutes_by_itself(town: Town, said: dict[str, Any]) -> None:
    hand_out_code(town.district)
    for answer in (
        issue(town, desk(town.home), **said),
        give(town, desk(town.home), **said),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "exchange.consent_unstated")
        assert "acted_by who acts" in answer.json()["title"]
    assert town.district.home.held() == 0


def test_a_program_names_who_acts_and_how_the_elder_agreed(town: Town) -> None:
    hand_out_code(town.district)
    clerk = town.home.resident("Clerk", Role.CLERK)
    said = {"consent": "telephone", "acted_by": str(clerk)}
    issued = issue(town, desk(town.home), **said).json()
    given = give(town, desk(town.home), **said).json()
    assert all(made.items() >= said.items() for made in (issued, given))
    assert pass_row(town, issued["id"]).issued_by == clerk
    by_elder = issue(town, desk(town.home), consent="self", acted_by=str(ELDER)).json()
    assert by_elder["consent"] == "self"
    assert by_elder["acted_by"] not in (None, str(ELDER)), "the program wrote it down"
    wrong = issue(town, desk(town.home), consent="by thought", acted_by=str(clerk))
    assert (wrong.status_code, wrong.json()["code"]) == (400, "kernel.bad_input")


@pytest.mark.parametrize(
    ("consent", "who"),
    [
        ("self", "clerk"),
        ("in_person", "stranger"),
        ("in_person", "nobody"),
        ("telephone", "elder"),
        ("unstated", "clerk"),
        ("proxy", "stranger"),
        ("proxy", "repairs only"),
    ],
)
def test_who_a_program_names_has_to_fit(town: Town, consent: str, who: str) -> None:
    people = {
        "clerk": town.home.resident("Clerk", Role.CLERK),
        "stranger": town.home.resident("Stranger"),
        "repairs only": town.home.resident("Son"),
        "elder": ELDER,
        "nobody": new_id(),
    }
    agree(town, people["repairs only"], Scope.REPAIRS)
    answer = issue(town, desk(town.home), consent=consent, acted_by=str(people[who]))
    assert answer.status_code == (400 if consent == "unstated" else 403)
    assert town.district.home.held() == 0


def test_a_program_may_name_a_relative_with_an_agreement(town: Town) -> None:
    daughter = town.home.resident("Daughter")
    agree(town, daughter, Scope.TIMEBANK)
    made = issue(town, desk(town.home), consent="proxy", acted_by=str(daughter)).json()
    assert (made["consent"], made["acted_by"]) == ("proxy", str(daughter))


def test_the_description_says_what_a_program_has_to_say(town: Town) -> None:
    schema = town.home.client.get("/api/schema/openapi.json").json()["components"]["schemas"]
    for body in ("PassBody", "GiftBody"):
        fields = schema[body]["properties"]
        assert "a program has to say" in str(fields["consent"])
        assert "A program has to name one" in str(fields["acted_by"])


def test_a_relative_acts_within_scope_and_both_are_named(town: Town) -> None:
    relative = town.home.resident("Daughter")
    headers = town.home.signed_in(relative) | {"X-Acting-For": str(ELDER)}
    assert issue(town, headers).status_code == 403
    agree(town, relative, Scope.TIMEBANK)
    made = issue(town, headers).json()
    assert made["consent"] == "proxy"
    assert pass_row(town, made["id"]).issued_by == relative


def test_the_desk_takes_the_text_of_the_qr_code(town: Town) -> None:
    made = issue(town, town.home.signed_in(ELDER)).json()
    body = {"code": made["slip"], "provider_id": str(VOLUNTEER)}
    visit = post(town.host, "/api/visits", desk(town.host), body)
    assert visit.status_code == 201, visit.text
    town.district.drain()
    shown = town.host.client.get(f"/api/visits/{visit.json()['id']}", headers=desk(town.host))
    assert shown.json()["state"] == "accepted"


@pytest.mark.parametrize("change", ["forged", "cut", "not ours", "expired", "no base64"])
def test_a_slip_is_checked_before_home_is_asked(town: Town, change: str) -> None:
    made = issue(town, town.home.signed_in(ELDER)).json()
    slip = made["slip"]
    texts = {
        "forged": slip[:30] + ("A" if slip[30] != "A" else "B") + slip[31:],
        "cut": slip[:120],
        "no base64": "%" * 200,
    }
    house = town.home if change == "not ours" else town.host
    if change == "expired":
        town.district.clock.advance(timedelta(days=15))
    body = {"code": texts.get(change, slip), "provider_id": str(VOLUNTEER)}
    answer = post(house, "/api/visits", desk(house), body)
    assert (answer.status_code, answer.json()["code"]) == (400, "exchange.slip_unusable")
    assert town.district.host.ask(lambda session: session.query(Gift).count()) == 0


def test_a_gift_from_code_to_credit(town: Town) -> None:
    receiver = town.host.signed_in(VOLUNTEER)
    code = post(town.host, "/api/gift-codes", receiver).json()["code"]
    assert code.startswith(f"{HOST}-")
    listed = town.host.client.get("/api/gift-codes", headers=receiver).json()
    assert [one["code"] for one in listed] == [code]
    giver = town.home.signed_in(ELDER)
    body = {"resident_id": str(ELDER), "code": code, "minutes": 45}
    given = post(town.home, "/api/gifts", giver, body).json()
    assert given["state"] == "sent"
    town.district.drain()
    shown = town.home.client.get(f"/api/gifts/{given['id']}", headers=giver).json()
    assert shown["state"] == "accepted"
    assert town.district.host.minutes(VOLUNTEER) == 45
    stranger = town.home.signed_in(town.home.resident("Stranger"))
    assert town.home.client.get(f"/api/gifts/{given['id']}", headers=stranger).status_code == 403
    gone = post(town.host, f"/api/gift-codes/{code}/withdraw", receiver).json()
    assert gone["is_in_use"] is False


def test_a_reversal_at_both_desks(town: Town) -> None:
    """Who decided for the resident on either side, and how the resident agreed, is kept."""
    town.district.help_guest(minutes=60)
    body = {"exchange_id": str(exchange_id()), "minutes": 20, "act": "ask"}
    unsaid = post(town.home, "/api/reversals", desk(town.home), body)
    assert (unsaid.status_code, unsaid.json()["code"]) == (400, "exchange.consent_unstated")
    there, here = (house.resident("Clerk", Role.CLERK) for house in (town.home, town.host))
    said = {"consent": "telephone", "acted_by": str(there)}
    asked = post(town.home, "/api/reversals", desk(town.home), body | said).json()
    assert asked["state"] == "asked"
    assert asked.items() >= said.items()
    town.district.drain()
    path = f"/api/reversals/{asked['id']}"
    waiting = town.host.client.get(path, headers=desk(town.host)).json()
    assert (waiting["consent"], waiting["acted_by"]) == (None, None), "nobody here has decided"
    clerk = town.host.signed_in(here)
    assert post(town.host, f"{path}/offer", clerk).json()["code"] == "kernel.bad_input"
    offered = post(town.host, f"{path}/offer", clerk, {"consent": "written"}).json()
    assert (offered["state"], offered["consent"]) == ("offered", "written")
    assert offered["acted_by"] == str(here)
    town.district.drain()
    for house in (town.home, town.host):
        shown = house.client.get(path, headers=desk(house)).json()
        assert shown["state"] == "reversed"
    receipt = town.home.client.get(f"/api/receipts/{asked['id']}", headers=desk(town.home)).json()
    assert (receipt["kind"], receipt["debtor"], receipt["minutes"]) == ("reversal", HOST, 20)
    assert post(town.home, f"{path}/forget", desk(town.home)).status_code == 403
    wrong = body | said | {"act": "x"}
    assert post(town.home, "/api/reversals", desk(town.home), wrong).status_code == 400
    resident = town.home.signed_in(ELDER)
    assert post(town.home, "/api/reversals", resident, body).status_code == 403


def test_a_dispute_at_both_desks(town: Town) -> None:
    town.district.help_guest(minutes=60)
    body = {"exchange_id": str(exchange_id()), "code": "fewer_minutes", "minutes": 30}
    elder = town.home.signed_in(ELDER)
    opened = post(town.home, "/api/disputes", elder, body | {"words": "half an hour"}).json()
    assert opened["state"] == "opened"
    town.district.drain()
    path = f"/api/disputes/{opened['id']}"
    said = {"code": "as_recorded", "minutes": 0}
    assert post(town.host, f"{path}/answer", desk(town.host), said).json()["state"] == "answered"
    town.district.drain()
    for house in (town.home, town.host):
        judge = post(house, f"{path}/judge", desk(house, Role.SOCIAL_WORKER), {"minutes": 15})
        assert judge.status_code == 200, judge.text
        town.district.drain()
    shown = town.home.client.get(path, headers=desk(town.home)).json()
    assert (shown["state"], shown["verdict_minutes"]) == ("judged", 15)
    assert shown["words"] == "half an hour"
    assert town.district.home.minutes(ELDER) == -45
    [listed] = town.host.client.get("/api/disputes", headers=desk(town.host)).json()
    assert "words" not in listed
    assert post(town.home, f"{path}/judge", desk(town.home), {"minutes": 1}).status_code == 403
    late = post(town.host, f"{path}/carry-out", desk(town.host, Role.SOCIAL_WORKER))
    assert late.status_code == 200
    stranger = town.home.signed_in(town.home.resident("Stranger"))
    assert post(town.home, "/api/disputes", stranger, body).status_code == 403


def test_the_operator_sets_limits_and_sees_what_was_compared(town: Town) -> None:
    operator = desk(town.home, Role.OPERATOR)
    body = {"peer": HOST, "minutes": 120}
    assert post(town.home, "/api/exchange/limits", operator, body).status_code == 201
    [row] = town.home.client.get("/api/exchange/limits", headers=operator).json()
    assert (row["peer"], row["minutes"]) == (HOST, 120)
    for path in ("comparisons", "evidence"):
        assert town.home.client.get(f"/api/exchange/{path}", headers=operator).json() == []
    clerk = desk(town.home)
    assert town.home.client.get("/api/exchange/evidence", headers=clerk).status_code == 403
    unknown = town.home.client.get(f"/api/receipts/{new_id()}", headers=operator)
    assert unknown.status_code == 404
    assert HOME != HOST
