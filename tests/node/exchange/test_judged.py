"""A receipt that only one side still has: judged by both arbiters, booked by the house, turned."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from node.exchange import receipts
from node.exchange.dispute import answer, judge
from node.exchange.model import Dispute, Reversal
from node.exchange.rules import DisputeCode, DisputeState
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.settlement.service import audit_receipts
from tests.node.exchange.acts import compare_all, receipt_at
from tests.node.exchange.test_comparison import DAY, backup, restore
from tests.node.two_nodes import (
    ELDER,
    HOME,
    HOST,
    VOLUNTEER,
    District,
    Side,
    exchange_id,
    two_nodes,
)

MINUTES = 60


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def lose(district: District, folder: Path, *, by: str) -> Side:
    """One side's disk is restored from before the exchange; it knows nothing of it any more."""
    side = district.home if by == HOME else district.host
    copy = backup(side, folder)
    district.help_guest(minutes=MINUTES)
    restore(side, copy)
    return side


def later(district: District) -> None:
    district.clock.advance(DAY)
    compare_all(district)
    district.drain()


def disputed(side: Side) -> Dispute:
    return side.ask(lambda session: session.scalars(select(Dispute)).one())


def hear_and_judge(district: District, *, back: int) -> None:
    """The dispute that the comparison opened goes its way; both arbiters say the same."""
    for side in district.sides:
        row = disputed(side)
        if not row.is_ours and row.state == DisputeState.OPENED:
            side.do(
                lambda session, side=side, row=row: answer(  # type: ignore[misc]
                    session,
                    district.clock,
                    side.sealer,
                    dispute_id=row.id,
                    code=DisputeCode.AS_RECORDED,
                    minutes=0,
                )
            )
    district.drain()
    for side in district.sides:
        row = disputed(side)
        side.do(
            lambda session, side=side, row=row: judge(  # type: ignore[misc]
                session,
                district.clock,
                side.sealer,
                dispute_id=row.id,
                minutes=back,
                arbiter=None,
            )
        )
        district.drain()


def judged_minutes(side: Side) -> int:
    account = receipts.account_of(None)
    return side.ask(
        lambda session: ledger.balance(session, account) if ledger.exists(session, account) else 0
    )


@pytest.mark.parametrize("back", [0, 25, MINUTES])
@pytest.mark.parametrize("loser", [HOME, HOST])
def test_what_arbiters_said_of_a_one_sided_receipt_is_carried_out(
    district: District, tmp_path: Path, loser: str, back: int
) -> None:
    side = lose(district, tmp_path, by=loser)
    later(district)
    assert {disputed(one).state for one in district.sides} == {DisputeState.OPENED}
    hear_and_judge(district, back=back)
    assert {disputed(one).state for one in district.sides} == {DisputeState.JUDGED}
    for _ in range(2):
        later(district)
    kept = MINUTES - back
    assert receipt_at(side, exchange_id()).minutes == MINUTES
    assert judged_minutes(side) == (-kept if loser == HOME else kept)
    assert district.home.minutes(ELDER) == (0 if loser == HOME else -kept)
    assert district.host.minutes(VOLUNTEER) == (0 if loser == HOST else kept)
    assert district.home.clearing(HOST) == -district.host.clearing(HOME) == kept
    assert district.home.held() == district.host.held() == 0
    for one in district.sides:
        states = one.ask(lambda session: session.scalars(select(Reversal.state)).all())
        assert set(states) == ({"reversed"} if back else set())
        assert one.ask(audit_ledger).ok
        assert one.ask(audit_receipts) == ""


def test_nothing_is_booked_before_both_arbiters_have_spoken(
    district: District, tmp_path: Path
) -> None:
    side = lose(district, tmp_path, by=HOME)
    for _ in range(3):
        later(district)
    assert district.home.clearing(HOST) == 0
    assert judged_minutes(side) == 0


def test_the_house_books_it_once(district: District, tmp_path: Path) -> None:
    side = lose(district, tmp_path, by=HOST)
    later(district)
    hear_and_judge(district, back=0)
    for _ in range(3):
        later(district)
    assert judged_minutes(side) == MINUTES
    assert compare_all(district) == 0, "nothing is left to ask"
