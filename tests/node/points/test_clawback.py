"""Points taken back: free ones first, then what is put aside, then below zero to a floor."""

from datetime import timedelta
from uuid import UUID

import pytest

from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.points import clawback, refusals, service, shelf
from node.points.model import PointsAward
from node.points.rules import DEBT_POINTS_MAX, RedemptionState, ReversalReason
from tests.node.points.conftest import CLERK, ELDER
from tests.node.points.test_service import award, points_of, reserve, stock


def take_back(
    database: Database, clock: VirtualClock, award_id: UUID, *, by: UUID | None = CLERK
) -> PointsAward:
    return database.do(
        lambda session: clawback.take_back(
            session, clock, award_id=award_id, reason=ReversalReason.NOT_DONE, reversed_by=by
        )
    )


def earn(database: Database, clock: VirtualClock, count: int) -> list[UUID]:
    """So many days with 120 points each."""
    made = []
    for number in range(count):
        made.append(award(database, clock, f"day{number}", minutes=240).id)
        clock.advance(timedelta(days=1))
    return made


def collect(database: Database, clock: VirtualClock, name: str) -> None:
    row = reserve(database, clock, name)
    database.do(lambda session: shelf.collect(session, clock, redemption_id=row.id, code=row.code))


def test_a_reversal_takes_the_points_back_once(database: Database, clock: VirtualClock) -> None:
    row = award(database, clock, "a")
    first, again = (take_back(database, clock, row.id) for _ in range(2))
    assert first.reversed_at == again.reversed_at
    assert (again.reversed_by, again.reversal_reason) == (CLERK, "not_done")
    assert points_of(database) == (0, 0)
    award(database, clock, "b", minutes=240)  # what was taken back fills no cap
    with database.read() as session:
        assert audit_ledger(session).ok


def test_what_is_put_aside_goes_back_before_anybody_is_in_debt(
    database: Database, clock: VirtualClock
) -> None:
    (earned,) = earn(database, clock, 1)
    row = reserve(database, clock, "r")
    take_back(database, clock, earned)
    with database.read() as session:
        assert shelf.redemption(session, row.id).state == RedemptionState.RELEASED
    assert (points_of(database), stock(database)) == ((0, 0), 100)


def test_what_is_put_aside_stays_where_enough_is_free(
    database: Database, clock: VirtualClock
) -> None:
    earned = earn(database, clock, 2)
    row = reserve(database, clock, "r")
    take_back(database, clock, earned[0])
    with database.read() as session:
        assert shelf.redemption(session, row.id).state == RedemptionState.RESERVED
    assert points_of(database) == (120, 20)


def test_spent_points_leave_a_debt_that_only_new_ones_cover(
    database: Database, clock: VirtualClock
) -> None:
    (earned,) = earn(database, clock, 1)
    collect(database, clock, "spent")
    take_back(database, clock, earned)
    assert points_of(database) == (-100, -100)
    with pytest.raises(refusals.DebtFirst, match="100 must be earned"):
        reserve(database, clock, "r")
    earn_again = [award(database, clock, f"again{number}", minutes=60) for number in range(4)]
    assert len(earn_again) == 4
    assert points_of(database) == (20, 20)
    clock.advance(timedelta(days=1))
    award(database, clock, "enough", minutes=240)
    reserve(database, clock, "r")
    with database.read() as session:
        assert audit_ledger(session).ok
        assert ledger.balance(session, service.SHOP) == 100


def test_nobody_is_taken_deeper_than_the_floor(database: Database, clock: VirtualClock) -> None:
    earned = earn(database, clock, 10)
    for number in range(12):
        collect(database, clock, f"spent{number}")
    taken = 0
    for award_id in earned:
        try:
            take_back(database, clock, award_id)
        except refusals.TakenTooDeep:
            break
        taken += 120
    assert points_of(database)[0] == -taken
    assert -DEBT_POINTS_MAX <= -taken < -DEBT_POINTS_MAX + 120
    with database.read() as session:
        assert session.get_one(PointsAward, earned[-1]).reversed_at is None
        assert audit_ledger(session).ok


def test_nobody_takes_back_their_own(database: Database, clock: VirtualClock) -> None:
    row = award(database, clock, "a")
    with pytest.raises(refusals.OwnAward):
        take_back(database, clock, row.id, by=ELDER)
