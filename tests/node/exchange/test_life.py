"""The whole life of a pass, on both sides, and every way in which one side says no."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import home, rules
from node.exchange.model import Pass, ReceiptRecord
from node.exchange.rules import PASS_STEPS, VISIT_STEPS, PassState, StepRefused, VisitState
from node.kernel.errors import BadInput, IdReused, NotFound
from node.kernel.ids import derived_id, step_id
from node.kernel.messages import Sealed
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.ledger.refusals import InsufficientBalance
from node.peer import wire
from node.peer.seal import open_sealed
from tests.node.two_nodes import (
    ELDER,
    HOME,
    HOST,
    VOLUNTEER,
    District,
    Fault,
    exchange_id,
    two_nodes,
)


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def test_an_hour_earned_next_door_arrives(district: District) -> None:
    issued = district.issue(minutes=120)
    assert district.home.held() == 120
    district.present()
    district.drain()
    assert district.pass_state() == PassState.ACCEPTED
    assert district.host.held() == 120
    district.deliver(minutes=90)
    district.confirm(parties=["elder"])
    assert district.visit().state == VisitState.DELIVERED, "one of two is not enough"
    district.confirm(parties=["provider"])
    district.drain()
    assert (district.pass_state(), district.visit().state) == ("captured", "captured")
    assert district.home.minutes(ELDER) == -90, "thirty of the 120 were released"
    assert district.host.minutes(VOLUNTEER) == 90
    assert district.home.clearing(HOST) == 90
    assert district.home.held() == district.host.held() == 0
    assert issued.minutes_up_to == 120
    district.check()


def test_the_receipt_is_homes_signed_word(district: District) -> None:
    district.help_guest(minutes=60)
    kept = district.host.ask(lambda session: session.get_one(ReceiptRecord, exchange_id()))
    assert kept.payload is not None
    assert kept.signature is not None
    said = open_sealed(district.host.book, Sealed(kept.payload, kept.signature), sender=HOME)
    assert said.in_reply_to == step_id(exchange_id(), "capture")
    owed = district.home.ask(lambda session: session.get_one(ReceiptRecord, exchange_id()))
    assert (owed.is_debt, kept.is_debt) == (True, False)
    assert (owed.minutes, owed.captured_at) == (kept.minutes, kept.captured_at)


def test_the_slip_carries_the_pass_under_homes_signature(district: District) -> None:
    slip = district.issue().slip
    said = open_sealed(district.host.book, Sealed(slip[:-64], slip[-64:]), sender=HOME)
    assert wire.encode(said) == slip[:-64]


@pytest.mark.parametrize(
    "code", ["plum-court-abcd2222", " Plum-Court - ABCD 2222 ", "PLUM-COURT-ABCD2222"]
)
def test_a_code_is_forgiven_its_spaces_and_small_letters(district: District, code: str) -> None:
    district.issue()
    district.present(code=code)
    district.drain()
    assert district.visit().state == VisitState.ACCEPTED


@pytest.mark.parametrize("code", ["", "ABCD2222", "plum-court-ABC", "-ABCD2222"])
def test_what_is_no_code_is_said_so_at_once(district: District, code: str) -> None:
    with pytest.raises(BadInput):
        rules.split_code(code)


def test_a_void_pass_gives_the_minutes_back_and_is_refused_when_shown(district: District) -> None:
    district.issue()
    district.void()
    district.void()
    assert district.home.held() == 0
    district.present()
    district.drain()
    assert district.visit().refusal == "exchange.pass_not_usable"
    district.check()


def test_a_presented_pass_cannot_be_taken_back(district: District) -> None:
    district.issue()
    district.present()
    district.drain()
    with pytest.raises(StepRefused):
        district.void()


def test_a_pass_not_shown_in_time_expires(district: District) -> None:
    district.issue()
    district.clock.advance(rules.PASS_LIFETIME)
    district.present()
    district.drain()  # home has not swept yet: the time decides, not the sweep
    assert district.visit().refusal == "exchange.pass_not_usable"
    assert district.expire() == 1
    assert district.expire() == 0
    assert (district.pass_state(), district.home.held()) == (PassState.EXPIRED, 0)


def test_a_capture_that_comes_too_late_is_refused_and_nobody_is_credited(
    district: District,
) -> None:
    district.issue()
    district.present()
    district.drain()
    district.deliver()
    district.confirm()
    district.clock.advance(rules.CAPTURE_LIFETIME + timedelta(seconds=1))
    district.drain()
    assert (district.visit().state, district.host.held()) == (VisitState.REFUSED, 0)
    assert district.expire() == 1
    assert district.home.held() == district.host.minutes(VOLUNTEER) == 0
    district.check()


@pytest.mark.parametrize("is_delivered", [False, True])
def test_a_visit_that_nobody_confirms_in_time_ends_by_itself(
    district: District, is_delivered: bool
) -> None:
    district.issue()
    district.present()
    district.drain()
    if is_delivered:
        district.deliver()
        district.confirm(parties=["elder"])
    district.clock.advance(rules.CAPTURE_LIFETIME - timedelta(seconds=1))
    district.expire()
    assert district.host.held() == 120, "until then the promise stands"
    district.clock.advance(timedelta(seconds=1))
    district.expire()
    district.expire()
    district.drain()
    visit = district.visit()
    assert (visit.state, visit.refusal) == (VisitState.RELEASED, "exchange.visit_overdue")
    assert (district.pass_state(), district.home.held()) == (PassState.EXPIRED, 0)
    assert district.host.held() == 0
    district.check()


def test_the_desk_hears_at_once_that_it_is_too_late(district: District) -> None:
    for number, minutes in ((0, 90), (1, 30)):
        district.issue(number, minutes=minutes)
        district.present(number)
    district.drain()
    district.deliver(0, minutes=90)
    district.confirm(0, parties=["elder"])
    district.clock.advance(rules.CAPTURE_LIFETIME)
    for _ in range(2):
        with pytest.raises(rules.VisitOverdue):
            district.confirm(0, parties=["provider"])
    with pytest.raises(rules.VisitOverdue):
        district.deliver(1, minutes=30)
    assert [district.visit(number).state for number in (0, 1)] == ["delivered", "accepted"]


def test_the_sweep_never_ends_a_visit_that_home_was_asked_to_pay(district: District) -> None:
    """The question is under way, or its answer is: only the answer may end it."""
    district.issue(minutes=90)
    district.present()
    district.drain()
    district.deliver(minutes=90)
    district.confirm()
    asyncio.run(hear_but_lose_the_answer(district))
    assert district.pass_state() == PassState.CAPTURED
    district.clock.advance(rules.CAPTURE_LIFETIME * 2)
    district.expire()
    assert (district.visit().state, district.host.held()) == (VisitState.CONFIRMED, 90)
    district.drain()
    assert district.host.minutes(VOLUNTEER) == 90
    district.check()


async def hear_but_lose_the_answer(district: District) -> None:
    """Home gets what the host has to say, and its answer never arrives."""
    district.network.plan = lambda number, first=district.network.calls: (  # type: ignore[misc]
        Fault.ANSWER_LOST if number == first else Fault.NONE
    )
    assert await district.host.relay.drain_once() == 0


def test_help_called_off_frees_both_sides(district: District) -> None:
    district.issue()
    district.present()
    district.drain()
    district.call_off()
    district.call_off()
    district.drain()
    assert (district.pass_state(), district.visit().state) == ("released", "released")
    assert district.home.held() == district.host.held() == 0
    district.check()


def test_help_called_off_before_home_answered_frees_home_too(district: District) -> None:
    district.issue()
    district.present()
    district.call_off()
    district.drain()
    assert (district.pass_state(), district.home.held()) == (PassState.RELEASED, 0)


def test_our_limit_for_a_community_gives_its_pass_back(district: District) -> None:
    peer = ledger.clearing_account(HOME)
    district.host.do(lambda session: ledger.set_floor(session, account_id=peer, floor=-100))
    district.issue(minutes=120)
    district.present()
    district.drain()
    assert (district.visit().state, district.visit().refusal) == (
        VisitState.RELEASED,
        "ledger.limit_reached",
    )
    assert (district.pass_state(), district.home.held()) == (PassState.RELEASED, 0)


def test_a_limit_cut_while_help_is_given_does_not_rob_the_volunteer(district: District) -> None:
    district.issue()
    district.present()
    district.drain()
    peer = ledger.clearing_account(HOME)
    district.host.do(lambda session: ledger.set_floor(session, account_id=peer, floor=0))
    district.deliver()
    district.confirm()
    district.drain()
    assert district.host.minutes(VOLUNTEER) == 90
    district.check()


def test_home_promises_no_more_than_its_debt_limit(district: District) -> None:
    district.issue(0, minutes=300)
    with pytest.raises(rules.DebtLimitReached, match="150"):
        district.issue(1, minutes=151)
    district.help_guest(2, minutes=150)
    with pytest.raises(rules.DebtLimitReached):
        district.issue(3, minutes=1)
    district.void(0)
    district.issue(3, minutes=300)


def test_home_promises_no_more_than_its_elder_has(district: District) -> None:
    account = ledger.resident_account(ELDER, Unit.MINUTES)
    district.home.do(lambda session: ledger.set_floor(session, account_id=account, floor=-100))
    with pytest.raises(InsufficientBalance):
        district.issue(minutes=101)


@pytest.mark.parametrize("minutes", [0, -5, rules.MINUTES_MAX + 1])
def test_a_pass_is_for_a_day_of_help_at_most(district: District, minutes: int) -> None:
    with pytest.raises(BadInput):
        district.issue(minutes=minutes)


@pytest.mark.parametrize("to", [HOME, "nowhere"])
def test_a_pass_is_for_another_community_that_we_know(district: District, to: str) -> None:
    with pytest.raises(rules.UnknownCommunity):
        district.home.do(
            lambda session: home.issue_pass(
                session,
                district.clock,
                district.home.sealer,
                pass_id=derived_id("elsewhere"),
                resident_id=ELDER,
                issued_by=None,
                host=to,
                minutes=60,
                code="ABCD9999",
                debt_limit_minutes=600,
            )
        )


def test_a_visit_needs_a_known_home_and_a_volunteer(district: District) -> None:
    with pytest.raises(rules.UnknownCommunity):
        district.present(code="nowhere-ABCD2222")
    with pytest.raises(rules.UnknownCommunity):
        district.present(code=f"{HOST}-ABCD2222")
    with pytest.raises(NotFound):
        district.deliver()


def test_an_unknown_code_is_refused_by_home(district: District) -> None:
    district.present()
    district.drain()
    assert district.visit().refusal == "exchange.pass_unknown"


def test_a_pass_for_another_host_is_refused(district: District) -> None:
    pass_id = district.issue().id

    def redirect(session: Session) -> None:
        session.get_one(Pass, pass_id).host = "elsewhere"

    district.home.do(redirect)
    district.present()
    district.drain()
    assert district.visit().refusal == "exchange.pass_for_other"


def test_a_pass_serves_once(district: District) -> None:
    district.issue()
    district.present(0)
    district.present(1, code=f"{HOME}-ABCD2222")
    district.drain()
    states = {district.visit(0).state, district.visit(1).state}
    assert states == {VisitState.ACCEPTED, VisitState.REFUSED}


def test_more_than_the_pass_covers_is_refused(district: District) -> None:
    district.issue(minutes=60)
    district.present()
    district.drain()
    with pytest.raises(rules.PassTooSmall):
        district.deliver(minutes=61)


def test_each_act_repeated_is_the_same_act(district: District) -> None:
    for _ in range(2):
        first = district.issue()
    assert district.home.held() == first.minutes_up_to
    with pytest.raises(IdReused):
        district.issue(minutes=first.minutes_up_to + 1)
    for _ in range(2):
        district.present()
    with pytest.raises(IdReused):
        district.present(code=f"{HOME}-ZZZZ9999")
    district.drain()
    for _ in range(2):
        district.deliver()
    for _ in range(2):
        district.confirm()
    district.drain()
    district.confirm()
    assert district.host.minutes(VOLUNTEER) == 90
    district.check()


def test_every_pair_of_states_is_decided_by_the_table() -> None:
    for now, to in product(PassState, PassState):
        if to in PASS_STEPS[now]:
            rules.check_pass_step(now=now, to=to)
        else:
            with pytest.raises(StepRefused):
                rules.check_pass_step(now=now, to=to)
    for seen, then in product(VisitState, VisitState):
        if then in VISIT_STEPS[seen]:
            rules.check_visit_step(now=seen, to=then)
        else:
            with pytest.raises(StepRefused):
                rules.check_visit_step(now=seen, to=then)


def test_no_receipt_without_a_capture(district: District) -> None:
    district.issue()
    district.present()
    district.drain()
    for side in district.sides:
        assert side.ask(lambda session: session.scalars(select(ReceiptRecord)).all()) == []
