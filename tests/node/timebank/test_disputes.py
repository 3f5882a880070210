"""Disputes before and after the payment, decisions with their reason, and times that run out."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.errors import BadInput, WrongState
from node.kernel.ids import derived_id
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.model import JournalEntry, Unit
from node.ledger.refusals import InsufficientBalance
from node.points import clawback
from node.points import service as points
from node.residents.events import ResidentErased
from node.timebank import disputes, events, lapsing, leaving, listings, rules, service
from node.timebank.model import Exchange
from node.timebank.refusals import AlreadyDecided, TooLate
from node.timebank.rules import Act, DisputeReason, ExchangeState, Kind
from node.timebank.service import Actor
from tests.node.timebank.conftest import CLERK, ELDER, NEIGHBOUR, Heard
from tests.node.timebank.test_service import ARBITER, BY_ELDER, BY_NEIGHBOUR, Desk

HOUR = derived_id("hour")


@pytest.fixture
def database(database: Database, heard: Heard) -> Database:
    """The same house, which also listens to everything else that the time bank tells."""
    told = [one for one in vars(events).values() if isinstance(one, type)]
    known = database._reactions
    database._reactions = {kind: [*known.get(kind, [heard])] for kind in told}
    return database


@pytest.fixture
def desk(database: Database, clock: VirtualClock) -> Desk:
    return Desk(database, clock)


def paid(desk: Desk, *, minutes: int = 60) -> None:
    desk.request(HOUR, minutes=minutes)
    desk.act(HOUR, Act.ACCEPT, BY_NEIGHBOUR)
    desk.act(HOUR, Act.DELIVER, BY_NEIGHBOUR, minutes=minutes)
    desk.act(HOUR, Act.CONFIRM, BY_NEIGHBOUR)
    desk.act(HOUR, Act.CONFIRM, BY_ELDER)


def complain(desk: Desk, *, actor: Actor = BY_ELDER, words: str = "") -> Exchange:
    return desk.database.do(
        lambda session: service.dispute(
            session,
            desk.clock,
            exchange_id=HOUR,
            actor=actor,
            reason=DisputeReason.SHORTER,
            words=words,
        )
    )


def decide(desk: Desk, minutes: int, *, verdict: str = "Heard both.") -> Exchange:
    return desk.database.do(
        lambda session: service.settle(
            session,
            desk.clock,
            exchange_id=HOUR,
            minutes=minutes,
            actor=ARBITER,
            verdict=verdict,
        )
    )


def test_paid_minutes_are_corrected_by_an_entry_of_their_own(desk: Desk, heard: Heard) -> None:
    paid(desk)
    assert complain(desk).state == ExchangeState.CONTESTED
    assert desk.balances() == (-60, 0, 60)  # nothing moves before the decision
    assert decide(desk, 15).state == ExchangeState.CAPTURED
    assert desk.balances() == (-15, 0, 15)
    assert heard.events[-2:] == [
        events.ExchangeCorrected(HOUR, NEIGHBOUR, ELDER, 15, 60),
        events.DisputeDecided(HOUR, NEIGHBOUR, ELDER, 15),
    ]
    with desk.database.read() as session:
        reasons = [entry.reason for entry in session.query(JournalEntry)]
        quarrel = disputes.of(session, HOUR)
        assert audit_ledger(session).ok
    assert reasons == ["exchange", "exchange_corrected"]
    assert quarrel is not None
    assert (quarrel.paid_before, quarrel.minutes, quarrel.decided_by) == (60, 15, CLERK)


def test_a_decision_of_none_gives_everything_back(desk: Desk) -> None:
    paid(desk)
    complain(desk)
    assert decide(desk, 0).state == ExchangeState.CANCELLED
    assert desk.balances() == (0, 0, 0)


def test_a_decision_stands(desk: Desk) -> None:
    paid(desk)
    complain(desk)
    decide(desk, 60)
    with pytest.raises(AlreadyDecided):
        complain(desk)
    with pytest.raises(WrongState):
        decide(desk, 0)
    assert desk.balances() == (-60, 0, 60)


def test_after_a_month_what_was_paid_is_paid(desk: Desk, clock: VirtualClock) -> None:
    paid(desk)
    clock.advance(rules.CONTEST_TIME + timedelta(seconds=1))
    with pytest.raises(TooLate):
        complain(desk)


def test_nobody_is_made_to_give_back_more_than_their_credit(desk: Desk) -> None:
    paid(desk)
    complain(desk)
    desk.database.do(
        lambda session: ledger.set_floor(
            session, account_id=ledger.resident_account(NEIGHBOUR, Unit.MINUTES), floor=0
        )
    )
    spend = Actor(ELDER)
    other = derived_id("other way")
    desk.database.do(
        lambda session: service.request(
            session,
            desk.clock,
            exchange_id=other,
            provider_id=ELDER,
            receiver_id=NEIGHBOUR,
            service="errands",
            minutes=60,
        )
    )
    desk.act(other, Act.ACCEPT, spend)
    with pytest.raises(InsufficientBalance):
        decide(desk, 0)
    with desk.database.read() as session:
        assert service.find(session, HOUR).state == ExchangeState.CONTESTED


def test_both_sides_are_heard_and_words_are_kept_once(desk: Desk) -> None:
    paid(desk)
    for _ in range(2):
        complain(desk, words="Twenty minutes at most.")
    complain(desk, actor=BY_NEIGHBOUR, words="An hour, by the clock.")
    with pytest.raises(BadInput):
        complain(desk, words="x" * (rules.WORDS_LENGTH_MAX + 1))
    with desk.database.read() as session:
        said = [(one.side, one.words, one.recorded_by) for one in disputes.words_of(session, HOUR)]
    assert sorted(said) == [
        ("provider", "An hour, by the clock.", None),
        ("receiver", "Twenty minutes at most.", CLERK),
    ]


def test_points_follow_a_correction(desk: Desk, clock: VirtualClock) -> None:
    desk.database.do(lambda session: points.prepare(session, clock))
    desk.database._reactions = {
        events.ExchangeConfirmed: [points.award_for_exchange],
        events.ExchangeCorrected: [clawback.correct_for_exchange],
    }
    paid(desk)
    assert points_of(desk) == 30
    complain(desk)
    decide(desk, 30)
    assert points_of(desk) == 15
    with desk.database.read() as session:
        rows = points.awards_of(session, NEIGHBOUR, limit=5).rows
    assert sorted((row.points, row.reversal_reason) for row in rows) == [
        (15, None),
        (30, "corrected"),
    ]


def points_of(desk: Desk) -> int:
    with desk.database.read() as session:
        return points.own_points(session, NEIGHBOUR)[0]


def sweep(desk: Desk) -> int:
    return desk.database.do(lambda session: lapsing.lapse_overdue(session, desk.clock))


def state(desk: Desk, exchange_id: UUID = HOUR) -> str:
    with desk.database.read() as session:
        return service.find(session, exchange_id).state


def test_a_question_that_nobody_answers_runs_out(
    desk: Desk, clock: VirtualClock, heard: Heard
) -> None:
    desk.request(HOUR)
    clock.advance(rules.ANSWER_TIME - timedelta(minutes=1))
    assert sweep(desk) == 0
    clock.advance(timedelta(minutes=1))
    with pytest.raises(TooLate):
        desk.act(HOUR, Act.ACCEPT, BY_NEIGHBOUR)
    assert (sweep(desk), sweep(desk), state(desk)) == (1, 0, ExchangeState.EXPIRED)
    assert heard.events[-1] == events.ExchangeExpired(HOUR, NEIGHBOUR, ELDER)


def test_a_visit_that_has_passed_cannot_be_promised(desk: Desk, clock: VirtualClock) -> None:
    planned_at = clock.now() + timedelta(hours=3)

    def command(session: Session) -> None:
        service.request(
            session,
            clock,
            exchange_id=HOUR,
            provider_id=NEIGHBOUR,
            receiver_id=ELDER,
            service="companionship",
            minutes=60,
            planned_at=planned_at,
        )

    desk.database.do(command)
    clock.advance(timedelta(hours=3))
    assert (sweep(desk), state(desk)) == (1, ExchangeState.EXPIRED)
    with pytest.raises(BadInput):
        desk.database.do(
            lambda session: service.request(
                session,
                clock,
                exchange_id=derived_id("past"),
                provider_id=NEIGHBOUR,
                receiver_id=ELDER,
                service="companionship",
                minutes=60,
                planned_at=planned_at,
            )
        )


def test_minutes_of_a_visit_that_never_came_are_free_again(desk: Desk, clock: VirtualClock) -> None:
    desk.request(HOUR)
    desk.act(HOUR, Act.ACCEPT, BY_NEIGHBOUR)
    assert desk.balances() == (0, 60, 0)
    clock.advance(rules.DELIVERY_TIME)
    assert (sweep(desk), state(desk)) == (1, ExchangeState.EXPIRED)
    assert desk.balances() == (0, 0, 0)


def test_silence_pays_nobody_by_itself_and_is_heard(
    desk: Desk, clock: VirtualClock, heard: Heard
) -> None:
    desk.request(HOUR)
    desk.act(HOUR, Act.ACCEPT, BY_NEIGHBOUR)
    desk.act(HOUR, Act.DELIVER, BY_NEIGHBOUR)
    desk.act(HOUR, Act.CONFIRM, BY_NEIGHBOUR)
    clock.advance(rules.CONFIRM_TIME)
    assert (sweep(desk), state(desk)) == (1, ExchangeState.DISPUTED)
    assert desk.balances() == (0, 60, 0)
    assert heard.events[-1] == events.DisputeOpened(HOUR, NEIGHBOUR, ELDER, by_silence=True)
    decide(desk, 60)
    assert desk.balances() == (-60, 0, 60)


def test_who_is_erased_leaves_minutes_and_no_words(desk: Desk, clock: VirtualClock) -> None:
    paid(desk)
    complain(desk, words="Twenty minutes at most.")
    decide(desk, 60)
    waiting, listed = derived_id("waiting"), derived_id("listing")
    desk.request(waiting)
    desk.database.do(
        lambda session: listings.open_listing(
            session,
            clock,
            listing_id=listed,
            kind=Kind.NEED,
            resident_id=ELDER,
            service="companionship",
            times=1,
            minutes=60,
            note="The door is open.",
        )
    )
    desk.database.do(lambda session: leaving.forget(session, clock, ResidentErased(ELDER)))
    with desk.database.read() as session:
        assert [one.words for one in disputes.words_of(session, HOUR)] == [leaving.FORGOTTEN_WORDS]
        row = listings.find(session, listed)
        assert (row.note, listings.is_open(row, clock)) == (None, False)
    assert state(desk, waiting) == ExchangeState.EXPIRED
    assert desk.balances() == (-60, 0, 60)
