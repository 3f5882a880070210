"""An hour's life by example, and by chance: whatever two residents do, no minute is lost."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.errors import DomainError, IdReused, NotAllowed, NotFound, WrongState
from node.kernel.ids import derived_id, new_id
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.model import Account, Unit
from node.ledger.refusals import InsufficientBalance
from node.timebank import rules, service, statement
from node.timebank.events import ExchangeConfirmed
from node.timebank.model import Exchange, ExchangeStep
from node.timebank.refusals import MoreThanAgreed
from node.timebank.rules import Act, ExchangeState
from node.timebank.service import Actor
from tests.node.timebank.conftest import CLERK, ELDER, NEIGHBOUR, STRANGER, Heard

BY_ELDER, BY_NEIGHBOUR = Actor(ELDER, CLERK), Actor(NEIGHBOUR)
ARBITER = Actor(None, CLERK, is_arbiter=True)


class Desk:
    """Says the service's functions to a database, for short tests."""

    def __init__(self, database: Database, clock: VirtualClock) -> None:
        self.database, self.clock = database, clock

    def request(self, exchange_id: UUID, *, minutes: int = 60) -> Exchange:
        return self.database.do(
            lambda session: service.request(
                session,
                self.clock,
                exchange_id=exchange_id,
                provider_id=NEIGHBOUR,
                receiver_id=ELDER,
                service="companionship",
                minutes=minutes,
                recorded_by=CLERK,
            )
        )

    def act(self, exchange_id: UUID, act: Act, actor: Actor, *, minutes: int = 60) -> Exchange:
        def command(session: Session) -> Exchange:
            if act in (Act.DELIVER, Act.SETTLE):
                function = service.deliver if act is Act.DELIVER else service.settle
                return function(
                    session, self.clock, exchange_id=exchange_id, minutes=minutes, actor=actor
                )
            plain: dict[Act, Callable[..., Exchange]] = {
                Act.ACCEPT: service.accept,
                Act.DECLINE: service.decline,
                Act.CANCEL: service.cancel,
                Act.CONFIRM: service.confirm,
                Act.DISPUTE: service.dispute,
            }
            return plain[act](session, self.clock, exchange_id=exchange_id, actor=actor)

        return self.database.do(command)

    def balances(self) -> tuple[int, int, int]:
        """The elder's balance and what is held of it, and the neighbour's balance."""
        with self.database.read() as session:
            elder, neighbour = (
                session.get_one(Account, ledger.resident_account(resident_id, Unit.MINUTES))
                for resident_id in (ELDER, NEIGHBOUR)
            )
            return elder.balance, elder.held, neighbour.balance


@pytest.fixture
def desk(database: Database, clock: VirtualClock) -> Desk:
    return Desk(database, clock)


def test_an_hour_is_given_and_received(desk: Desk, heard: Heard) -> None:
    hour = derived_id("hour")
    assert desk.request(hour, minutes=90).state == ExchangeState.REQUESTED
    assert desk.balances() == (0, 0, 0)
    assert desk.act(hour, Act.ACCEPT, BY_NEIGHBOUR).state == ExchangeState.ACCEPTED
    assert desk.balances() == (0, 90, 0)
    assert desk.act(hour, Act.DELIVER, BY_NEIGHBOUR, minutes=70).delivered_minutes == 75
    assert desk.act(hour, Act.CONFIRM, BY_NEIGHBOUR).state == ExchangeState.DELIVERED
    assert desk.act(hour, Act.CONFIRM, BY_ELDER).state == ExchangeState.CAPTURED
    assert desk.balances() == (-75, 0, 75)
    assert heard.events == [ExchangeConfirmed(hour, NEIGHBOUR, ELDER, 75)]


def test_every_act_said_twice_is_done_once(desk: Desk, heard: Heard) -> None:
    hour = derived_id("hour")
    for _ in range(2):
        desk.request(hour)
    for act, actor in (
        (Act.ACCEPT, BY_NEIGHBOUR),
        (Act.DELIVER, BY_NEIGHBOUR),
        (Act.CONFIRM, BY_ELDER),
        (Act.CONFIRM, BY_NEIGHBOUR),
    ):
        for _ in range(2):
            desk.act(hour, act, actor)
    assert desk.balances() == (-60, 0, 60)
    assert len(heard.events) == 1
    with desk.database.read() as session:
        assert session.scalar(select(func.count()).select_from(ExchangeStep)) == 5
    with pytest.raises(IdReused):
        desk.request(hour, minutes=90)


def test_both_names_are_on_what_a_clerk_did(desk: Desk) -> None:
    hour = derived_id("hour")
    desk.request(hour)
    desk.act(hour, Act.CANCEL, BY_ELDER)
    with desk.database.read() as session:
        steps = session.scalars(select(ExchangeStep).order_by(ExchangeStep.id)).all()
        assert [(step.act, step.side, step.recorded_by) for step in steps] == [
            ("request", "receiver", CLERK),
            ("cancel", "receiver", CLERK),
        ]


def test_calling_off_gives_everything_back(desk: Desk) -> None:
    hour = derived_id("hour")
    desk.request(hour)
    desk.act(hour, Act.ACCEPT, BY_NEIGHBOUR)
    desk.act(hour, Act.CANCEL, BY_ELDER)
    assert desk.balances() == (0, 0, 0)
    with pytest.raises(WrongState):
        desk.act(hour, Act.DELIVER, BY_NEIGHBOUR)


@pytest.mark.parametrize(("verdict", "paid"), [(0, 0), (30, 30), (60, 60)])
def test_an_arbiter_settles_a_dispute(desk: Desk, heard: Heard, verdict: int, paid: int) -> None:
    hour = derived_id("hour")
    desk.request(hour)
    desk.act(hour, Act.ACCEPT, BY_NEIGHBOUR)
    desk.act(hour, Act.DELIVER, BY_NEIGHBOUR)
    desk.act(hour, Act.DISPUTE, BY_ELDER)
    assert desk.balances() == (0, 60, 0)
    with pytest.raises(NotAllowed):
        desk.act(hour, Act.SETTLE, BY_ELDER, minutes=0)
    desk.act(hour, Act.SETTLE, ARBITER, minutes=verdict)
    assert desk.balances() == (-paid, 0, paid)
    assert len(heard.events) == (1 if paid else 0)


def test_nobody_is_their_own_arbiter(desk: Desk) -> None:
    hour = derived_id("hour")
    desk.request(hour)
    desk.act(hour, Act.ACCEPT, BY_NEIGHBOUR)
    desk.act(hour, Act.DELIVER, BY_NEIGHBOUR)
    desk.act(hour, Act.DISPUTE, BY_ELDER)
    with pytest.raises(NotAllowed):
        desk.act(hour, Act.SETTLE, Actor(None, NEIGHBOUR, is_arbiter=True), minutes=60)


def test_only_the_two_take_part(desk: Desk) -> None:
    hour = derived_id("hour")
    desk.request(hour)
    for actor in (Actor(STRANGER), Actor(None), BY_ELDER):
        with pytest.raises(NotAllowed):
            desk.act(hour, Act.ACCEPT, actor)
    with pytest.raises(NotFound):
        desk.act(derived_id("other"), Act.ACCEPT, BY_NEIGHBOUR)


def test_more_than_agreed_is_refused(desk: Desk) -> None:
    hour = derived_id("hour")
    desk.request(hour)
    desk.act(hour, Act.ACCEPT, BY_NEIGHBOUR)
    with pytest.raises(MoreThanAgreed):
        desk.act(hour, Act.DELIVER, BY_NEIGHBOUR, minutes=61)


def test_credit_ends_at_the_accounts_floor(desk: Desk) -> None:
    first, second = derived_id("first"), derived_id("second")
    desk.request(first, minutes=300)
    desk.request(second, minutes=15)
    desk.act(first, Act.ACCEPT, BY_NEIGHBOUR)
    with pytest.raises(InsufficientBalance):
        desk.act(second, Act.ACCEPT, BY_NEIGHBOUR)
    with desk.database.read() as session:
        assert service.find(session, second).state == ExchangeState.REQUESTED


def test_racing_confirmations_pay_once(desk: Desk, heard: Heard) -> None:
    hour = derived_id("hour")
    desk.request(hour)
    desk.act(hour, Act.ACCEPT, BY_NEIGHBOUR)
    desk.act(hour, Act.DELIVER, BY_NEIGHBOUR)

    def command(actor: Actor) -> Callable[[Session], Exchange]:
        return lambda session: service.confirm(session, desk.clock, exchange_id=hour, actor=actor)

    answers = [desk.database.write(command(actor)) for actor in (BY_ELDER, BY_NEIGHBOUR) * 10]
    wait(answers, timeout=20)
    assert Counter(answer.exception() for answer in answers) == {None: 20}
    assert desk.balances() == (-60, 0, 60)
    assert len(heard.events) == 1


def test_a_statement_ends_in_the_balance(desk: Desk) -> None:
    for name, minutes in (("a", 60), ("b", 30)):
        hour = derived_id(name)
        desk.request(hour, minutes=minutes)
        desk.act(hour, Act.ACCEPT, BY_NEIGHBOUR)
        desk.act(hour, Act.DELIVER, BY_NEIGHBOUR, minutes=minutes)
        desk.act(hour, Act.CONFIRM, BY_ELDER)
        desk.act(hour, Act.CONFIRM, BY_NEIGHBOUR)
    with desk.database.read() as session:
        lines = statement.lines(session, ELDER)
    assert [(line.amount_minutes, line.balance_minutes) for line in lines] == [
        (-30, -90),
        (-60, -60),
    ]


_acts = st.tuples(
    st.sampled_from(list(Act)),
    st.sampled_from([BY_ELDER, BY_NEIGHBOUR, ARBITER, Actor(STRANGER)]),
    st.integers(0, 90),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(minutes=st.sampled_from([15, 60, 90]), acts=st.lists(_acts, min_size=3, max_size=12))
def test_whatever_they_do_no_minute_is_lost(
    desk: Desk, minutes: int, acts: list[tuple[Act, Actor, int]]
) -> None:
    hour = new_id()
    try:
        desk.request(hour, minutes=minutes)
        desk.act(hour, Act.ACCEPT, BY_NEIGHBOUR)
    except InsufficientBalance:
        return
    for act, actor, number in acts:
        with suppress(DomainError):
            desk.act(hour, act, actor, minutes=number)
        elder, held, neighbour = desk.balances()
        with desk.database.read() as session:
            is_held = service.find(session, hour).state in rules.HELD_STATES
        assert elder + neighbour == 0
        assert held >= (minutes if is_held else 0)
        assert elder - held >= -300
    with desk.database.read() as session:
        assert audit_ledger(session).ok
        states = select(Exchange.minutes).where(Exchange.state.in_(list(rules.HELD_STATES)))
        assert sum(session.scalars(states)) == desk.balances()[1]
