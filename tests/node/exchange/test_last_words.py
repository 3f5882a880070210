"""Only what both arbiters said last takes minutes back, however words and messages cross."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from node.exchange import dispute
from node.exchange.model import Reversal
from node.exchange.rules import DisputeState, ReversalState
from node.kernel.errors import DomainError
from node.kernel.ids import derived_id
from node.kernel.messages import Sealed
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.outbox.model import OUTBOX, OutboxState
from tests.node.exchange.acts import (
    agree_back,
    answer_dispute,
    ask_back,
    dispute_at,
    dispute_id,
    judge,
    offer_back,
    open_dispute,
    reversal_at,
)
from tests.node.two_nodes import HOME, VOLUNTEER, District, Side, exchange_id, two_nodes

PAID = 90


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        district.help_guest(minutes=PAID)
        yield district


def settle(district: District) -> None:
    """All that waits is said, and a moment passes."""
    district.drain()
    district.clock.advance(timedelta(seconds=1))


def heard(district: District, number: int = 0) -> None:
    open_dispute(district.home, exchange_id(), minutes=60, number=number)
    settle(district)
    answer_dispute(district.host, minutes=0, number=number)
    settle(district)


def verdict(district: District, minutes: int, number: int = 0) -> None:
    heard(district, number)
    for side in district.sides:
        judge(side, minutes=minutes, number=number)
    settle(district)


def back(side: Side) -> int:
    rows = side.ask(lambda session: session.scalars(select(Reversal)).all())
    return sum(row.minutes for row in rows if row.state == ReversalState.REVERSED)


def test_a_word_that_the_arbiter_took_back_gives_nothing_on_asking(district: District) -> None:
    heard(district)
    for minutes in (PAID, 10):
        judge(district.host, minutes=minutes)
        settle(district)
    ask_back(district.home, exchange_id(), minutes=PAID)
    settle(district)
    assert reversal_at(district.host).state == ReversalState.ASKED, "people decide"
    judge(district.home, minutes=10)
    settle(district)
    assert [back(side) for side in district.sides] == [10, 10]


def test_a_word_of_one_arbiter_is_no_verdict(district: District) -> None:
    heard(district)
    judge(district.home, minutes=60)
    judge(district.host, minutes=30)
    settle(district)
    ask_back(district.home, exchange_id(), minutes=30)
    settle(district)
    assert back(district.host) == 0


def test_an_offer_by_people_ends_no_dispute(district: District) -> None:
    heard(district)
    judge(district.home, minutes=50)
    judge(district.host, minutes=60)
    settle(district)
    offer_back(district.host, exchange_id(), minutes=50)
    settle(district)
    assert dispute_at(district.home).state == DisputeState.ANSWERED
    judge(district.home, minutes=60)
    settle(district)
    assert [dispute_at(side).verdict_minutes for side in district.sides] == [60, 60]
    assert back(district.host) == 60


def test_a_verdict_may_overtake_its_sides_answer(district: District) -> None:
    open_dispute(district.host, exchange_id(), minutes=60)
    settle(district)
    answer_dispute(district.home, minutes=60)  # on its way
    judge(district.home, minutes=60)
    assert deliver(district.home, district.host, "JudgeDispute")
    settle(district)
    judge(district.host, minutes=60)
    settle(district)
    assert [dispute_at(side).state for side in district.sides] == [DisputeState.JUDGED] * 2
    assert back(district.host) == 60


def deliver(sender: Side, other: Side, kind: str) -> bool:
    """One message before those that were sent earlier; the relay sends it again later."""
    is_it = (OUTBOX.c.kind == kind, OUTBOX.c.state == OutboxState.WAITING)
    waiting = sender.ask(lambda session: session.execute(select(OUTBOX).where(*is_it)).one())
    sealed = Sealed(waiting.payload, waiting.signature)
    return bool(asyncio.run(other.inbox.take(sender.community, [sealed])))


def try_first_again(district: District) -> None:
    def command(session: object) -> None:
        first = {"dispute_id": dispute_id(1), "decided_by": None}
        dispute.carry_out(session, district.clock, district.host.sealer, **first)  # type: ignore[arg-type]

    district.host.do(command)


@pytest.mark.parametrize(
    "act",
    [
        try_first_again,
        lambda district: ask_back(district.home, exchange_id(), minutes=70),
        lambda district: offer_back(district.host, exchange_id(), minutes=70),
    ],
)
def test_a_later_verdict_takes_the_place_of_one_that_waits(
    district: District, act: Callable[[District], object]
) -> None:
    volunteer = ledger.resident_account(VOLUNTEER, Unit.MINUTES)
    spent = derived_id("spent elsewhere")
    district.host.do(
        lambda session: ledger.place_hold(
            session,
            district.clock,
            hold_id=spent,
            payer_id=volunteer,
            payee_id=ledger.clearing_account(HOME),
            amount=70,
            expires_at=None,
            reason="spent",
        )
    )
    verdict(district, 80, number=1)
    verdict(district, 10, number=2)
    assert back(district.host) == 10
    district.host.do(lambda session: ledger.void_hold(session, district.clock, hold_id=spent))
    with suppress(DomainError):
        act(district)
    settle(district)
    assert back(district.host) == 10


def test_a_verdict_of_nothing_ends_what_was_asked(district: District) -> None:
    ask_back(district.home, exchange_id(), minutes=60)
    settle(district)
    verdict(district, 0)
    assert [reversal_at(side).state for side in district.sides] == [ReversalState.DECLINED] * 2


def test_a_verdict_that_is_met_ends_what_is_offered(district: District) -> None:
    offer_back(district.host, exchange_id(), minutes=50, number=1)
    settle(district)
    agree_back(district.home, 1)
    settle(district)
    offer_back(district.host, exchange_id(), minutes=20, number=2)
    settle(district)
    verdict(district, 50)
    with suppress(DomainError):
        agree_back(district.home, 2)
    settle(district)
    assert back(district.host) == 50
