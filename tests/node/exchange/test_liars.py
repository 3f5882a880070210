"""What a liar tries on the wire, and what it gains: a refusal, or nothing at all."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from node.exchange import evidence, home, host, rules
from node.exchange.messages import (
    PassAccepted,
    PassReleased,
    PresentPass,
    Receipt,
    ReleasePass,
    RequestCapture,
)
from node.exchange.rules import VisitState
from node.kernel import signing
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Envelope, Refusal, Sealed
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.outbox import service as outbox
from node.peer import wire
from node.peer.admission import AHEAD_MAX
from tests.node.two_nodes import HOME, HOST, RETRY, VOLUNTEER, District, exchange_id, two_nodes


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def ask_home(district: District, body: Body, *, name: str = "lie") -> Body:
    item = district.host.say(body, to=HOME, message_id=derived_id(name))
    return district.host.read_answer(district.home.hear(item, caller=HOST), sender=HOME)


def code_of(answer: Body) -> str:
    assert isinstance(answer, Refusal)
    return answer.code


def test_the_same_bytes_get_the_same_bytes_for_ever(district: District) -> None:
    district.issue()
    asked = PresentPass(exchange_id(), f"{HOME}-ABCD2222")
    item = district.host.say(asked, to=HOME, message_id=derived_id("once"))
    first = district.home.hear(item, caller=HOST)
    district.expire()
    district.home.reopen()
    assert district.home.hear(item, caller=HOST) == first


def test_a_refusal_too_is_the_same_for_ever(district: District) -> None:
    asked = PresentPass(exchange_id(), f"{HOME}-ABCD2222")
    item = district.host.say(asked, to=HOME, message_id=derived_id("too early"))
    first = district.home.hear(item, caller=HOST)
    district.issue()
    assert district.home.hear(item, caller=HOST) == first


def test_other_bytes_under_a_known_id_are_refused_and_change_nothing(district: District) -> None:
    district.issue(0)
    district.issue(1)
    asked = PresentPass(exchange_id(0), f"{HOME}-ABCD2222")
    item = district.host.say(asked, to=HOME, message_id=derived_id("same id"))
    first = district.home.hear(item, caller=HOST)
    other = district.host.say(
        PresentPass(exchange_id(1), f"{HOME}-ABCD2223"), to=HOME, message_id=derived_id("same id")
    )
    answer = district.home.hear(other, caller=HOST)
    assert code_of(district.host.read_answer(answer, sender=HOME)) == "kernel.id_reused"
    assert district.pass_state(1) == "issued"
    assert district.home.hear(item, caller=HOST) == first


def test_a_forged_signature_is_refused_and_leaves_no_trace(district: District) -> None:
    district.issue()
    asked = PresentPass(exchange_id(), f"{HOME}-ABCD2222")
    item = district.host.say(asked, to=HOME, message_id=derived_id("forged"))
    forged = replace(item, signature=bytes(64))
    answer = district.home.hear(forged, caller=HOST)
    assert code_of(district.host.read_answer(answer, sender=HOME)) == "kernel.bad_signature"
    assert district.pass_state() == "issued"
    genuine = district.host.read_answer(district.home.hear(item, caller=HOST), sender=HOME)
    assert isinstance(genuine, PassAccepted), "the forger did not use up the id"


def test_changed_bytes_do_not_pass(district: District) -> None:
    district.issue()
    asked = PresentPass(exchange_id(), f"{HOME}-ABCD2222")
    item = district.host.say(asked, to=HOME, message_id=derived_id("changed"))
    changed = replace(item, payload=item.payload.replace(b"ABCD2222", b"ABCD2223"))
    answer = district.home.hear(changed, caller=HOST)
    assert code_of(district.host.read_answer(answer, sender=HOME)) == "kernel.bad_signature"


def test_nobody_speaks_for_another(district: District) -> None:
    """A certificate says who calls; a message that names another sender is not from it."""
    asked = PresentPass(exchange_id(), f"{HOME}-ABCD2222")
    item = district.host.say(asked, to=HOME, message_id=derived_id("as"), sender="willow-bank")
    answer = district.home.hear(item, caller=HOST)
    assert code_of(district.host.read_answer(answer, sender=HOME)) == "kernel.bad_signature"


def test_a_caller_that_the_directory_does_not_know_is_refused(district: District) -> None:
    asked = PresentPass(exchange_id(), f"{HOME}-ABCD2222")
    item = district.host.say(asked, to=HOME, message_id=derived_id("stranger"))
    answer = district.home.hear(item, caller="willow-bank")
    assert code_of(wire.decode(answer.payload).body) == "peer.unknown"


def test_a_message_for_somebody_else_is_refused(district: District) -> None:
    asked = PresentPass(exchange_id(), f"{HOME}-ABCD2222")
    item = district.host.say(asked, to="willow-bank", message_id=derived_id("astray"))
    answer = district.home.hear(item, caller=HOST)
    assert code_of(district.host.read_answer(answer, sender=HOME)) == "peer.wrong_recipient"


def test_what_cannot_be_read_is_refused(district: District) -> None:
    payload = b"\xff\xfe no message"
    signature = signing.sign(district.host.key, context=signing.MESSAGE, payload=payload)
    answer = district.home.hear(Sealed(payload, signature), caller=HOST)
    assert code_of(district.host.read_answer(answer, sender=HOME)) == "peer.unreadable"


def test_an_answer_is_not_a_question(district: District) -> None:
    assert code_of(ask_home(district, PassReleased(exchange_id()))) == "peer.not_a_question"


def test_a_host_cannot_use_an_exchange_id_twice(district: District) -> None:
    """Two receipts under one id would be one receipt."""
    district.issue(0)
    district.issue(1)
    district.present(0)
    district.drain()
    answer = ask_home(district, PresentPass(exchange_id(0), f"{HOME}-ABCD2223"))
    assert code_of(answer) == "kernel.id_reused"
    assert district.pass_state(1) == "issued"


def test_a_home_cannot_use_the_id_of_our_own_visit(district: District) -> None:
    """The host's visit id, sent back to it as if it were an exchange of its own pass."""
    district.issue(0)
    district.present(0)
    district.drain()
    asked = derived_id("host pass")
    account = ledger.resident_account(VOLUNTEER, Unit.MINUTES)
    district.host.do(lambda session: ledger.set_floor(session, account_id=account, floor=-100))
    district.host.do(
        lambda session: home.issue_pass(
            session,
            district.clock,
            district.host.sealer,
            pass_id=asked,
            resident_id=VOLUNTEER,
            issued_by=None,
            host=HOME,
            minutes=60,
            code="WXYZ2222",
            debt_limit_minutes=600,
        )
    )
    lie = PresentPass(exchange_id(0), f"{HOST}-WXYZ2222")
    item = district.home.say(lie, to=HOST, message_id=derived_id("mirror"))
    answer = district.host.hear(item, caller=HOME)
    assert code_of(district.home.read_answer(answer, sender=HOST)) == "kernel.id_reused"


def bound_pass(district: District) -> UUID:
    district.issue(minutes=60)
    district.present()
    district.drain()
    return derived_id("test pass", 0)


@pytest.mark.parametrize(
    ("minutes", "code"),
    [(61, "exchange.pass_too_small"), (0, "kernel.bad_input"), (-60, "kernel.bad_input")],
)
def test_a_host_cannot_take_what_the_pass_does_not_give(
    district: District, minutes: int, code: str
) -> None:
    pass_id = bound_pass(district)
    answer = ask_home(district, RequestCapture(exchange_id(), pass_id, minutes))
    assert code_of(answer) == code
    assert district.home.clearing(HOST) == 0


def test_a_host_cannot_capture_twice(district: District) -> None:
    pass_id = bound_pass(district)
    first = ask_home(district, RequestCapture(exchange_id(), pass_id, 30), name="first")
    again = ask_home(district, RequestCapture(exchange_id(), pass_id, 30), name="again")
    assert first == again
    more = ask_home(district, RequestCapture(exchange_id(), pass_id, 31), name="more")
    assert code_of(more) == "kernel.id_reused"
    assert district.home.clearing(HOST) == 30
    released = ask_home(district, ReleasePass(exchange_id(), pass_id), name="release")
    assert code_of(released) == "exchange.pass_not_usable"


def test_a_pass_is_captured_for_the_exchange_it_is_bound_to(district: District) -> None:
    pass_id = bound_pass(district)
    answer = ask_home(district, RequestCapture(derived_id("other"), pass_id, 30))
    assert code_of(answer) == "exchange.pass_not_usable"
    nobody = ask_home(district, RequestCapture(exchange_id(), derived_id("no pass"), 30), name="no")
    assert code_of(nobody) == "exchange.pass_unknown"


def question(district: District, body: Body) -> Envelope:
    return Envelope(derived_id("asked"), HOST, HOME, district.clock.now(), body)


def test_home_cannot_touch_another_visit_by_its_answer(district: District) -> None:
    district.help_guest(0, minutes=60)
    district.issue(1)
    district.present(1)
    asked = question(district, PresentPass(exchange_id(1), f"{HOME}-ABCD2223"))
    lie = PassAccepted(exchange_id(0), derived_id("x"), 60, district.clock.now())
    said = Sealed(b"payload", b"signature")
    district.host.do(
        lambda session: host.pass_accepted(
            session, district.clock, district.host.sealer, asked, lie, said
        )
    )
    assert district.visit(0).state == VisitState.CAPTURED
    assert district.visit(1).refusal == "exchange.answer_differs"
    [kept] = district.host.ask(evidence.latest)
    assert (kept.peer, kept.kind) == (HOME, "exchange.answer_differs")
    assert Sealed(kept.payload, kept.signature) == said


def test_a_visit_that_was_called_off_stays_so_whatever_home_answers(district: District) -> None:
    """A state that has an end in the table ends there."""
    district.present()
    district.call_off()
    asked = question(district, PresentPass(exchange_id(), f"{HOME}-ABCD2222"))
    lie = PassAccepted(exchange_id(5), derived_id("x"), 60, district.clock.now())
    said = Sealed(b"payload", b"signature")
    district.host.do(
        lambda session: host.pass_accepted(
            session, district.clock, district.host.sealer, asked, lie, said
        )
    )
    visit = district.visit()
    assert (visit.state, visit.refusal) == (VisitState.RELEASED, "exchange.answer_differs")
    assert district.host.ask(evidence.count) == 1


@pytest.mark.parametrize("minutes", [0, -60, 10**12])
def test_home_cannot_promise_nonsense(district: District, minutes: int) -> None:
    district.present()
    asked = question(district, PresentPass(exchange_id(), f"{HOME}-ABCD2222"))
    lie = PassAccepted(exchange_id(), derived_id("x"), minutes, district.clock.now())
    said = Sealed(b"payload", b"signature")
    district.host.do(
        lambda session: host.pass_accepted(
            session, district.clock, district.host.sealer, asked, lie, said
        )
    )
    assert (district.visit().state, district.host.held()) == (VisitState.RELEASED, 0)


@pytest.mark.parametrize(
    "change", [{"minutes": 59}, {"host": "willow-bank"}, {"pass_id": derived_id("other")}]
)
def test_a_receipt_that_says_something_else_credits_nobody(
    district: District, change: dict[str, object]
) -> None:
    pass_id = bound_pass(district)
    district.deliver(minutes=60)
    district.confirm()
    asked = question(district, RequestCapture(exchange_id(), pass_id, 60))
    receipt = Receipt(exchange_id(), pass_id, HOME, HOST, 60, district.clock.now())
    lie = replace(receipt, **change)  # type: ignore[arg-type]  # the values fit their fields
    district.host.do(
        lambda session: host.receipt_arrived(
            session, district.clock, asked, lie, Sealed(b"payload", b"signature")
        )
    )
    assert district.visit().refusal == "exchange.receipt_differs"
    assert district.host.minutes(VOLUNTEER) == district.host.held() == 0


@pytest.mark.parametrize("days_off", [-40, 40, 3650])
def test_a_receipt_dated_outside_what_home_promised_credits_nobody(
    district: District, days_off: int
) -> None:
    answer_with_receipt(district, district.clock.now() + timedelta(days=days_off))
    assert district.visit().refusal == "exchange.receipt_differs"
    assert district.host.minutes(VOLUNTEER) == district.host.held() == 0
    [kept] = district.host.ask(evidence.latest)
    assert (kept.peer, kept.kind) == (HOME, "exchange.receipt_differs")


def test_a_receipt_ahead_of_our_clock_waits_until_the_clocks_agree(district: District) -> None:
    """It may be our clock that is wrong, and home has paid: the hour is neither lost nor booked."""
    with pytest.raises(rules.ReceiptAhead):
        answer_with_receipt(district, district.clock.now() + timedelta(days=1))
    assert (district.visit().state, district.host.held()) == (VisitState.CONFIRMED, 60)
    receipt_at = district.clock.now() + timedelta(days=1)
    district.clock.moment = receipt_at - AHEAD_MAX
    take(district, receipt_at)
    assert (district.visit().state, district.host.minutes(VOLUNTEER)) == (VisitState.CAPTURED, 60)


def answer_with_receipt(district: District, captured_at: datetime) -> None:
    bound_pass(district)
    district.deliver(minutes=60)
    district.confirm()
    take(district, captured_at)


def take(district: District, captured_at: datetime) -> None:
    """Home's receipt with this date arrives."""
    pass_id = district.visit().pass_id
    assert pass_id is not None
    asked = question(district, RequestCapture(exchange_id(), pass_id, 60))
    receipt = Receipt(exchange_id(), pass_id, HOME, HOST, 60, captured_at)
    district.host.do(
        lambda session: host.receipt_arrived(
            session, district.clock, asked, receipt, Sealed(b"payload", b"signature")
        )
    )


def test_an_answer_to_another_question_is_not_taken(district: District) -> None:
    """The message waits on; a true answer still comes through, and no other message is held up."""
    district.issue(0)
    district.issue(1)
    district.present(0)
    district.present(1)
    asked = district.host.ask(
        lambda session: outbox.due(
            session, recipient=HOME, now=district.clock.now(), items_max=9, bytes_max=9_999
        )
    )
    true_answer = district.home.hear(asked[0].sealed, caller=HOST)

    async def answer_all_the_same(sender: str, items: Sequence[Sealed]) -> list[Sealed]:
        return [true_answer for _ in items]

    district.network.sides[HOME] = replace(district.home)  # a home that answers without thinking
    district.network.sides[HOME].inbox.take = answer_all_the_same  # type: ignore[method-assign]
    assert asyncio.run(district.host.relay.drain_once()) == 1
    states = [district.visit(0).state, district.visit(1).state]
    assert sorted(states) == [VisitState.ACCEPTED, VisitState.PRESENTED]
    district.network.sides[HOME].database.close()
    district.network.sides[HOME] = district.home
    district.clock.advance(RETRY)
    district.drain()
    assert {district.visit(0).state, district.visit(1).state} == {VisitState.ACCEPTED}
