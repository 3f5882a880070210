"""Who was thanked most in a month: under a pseudonym, by name where one wants it, or not at all.

Whoever opted out is not counted for anybody else's place either, so no gap betrays them.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.kernel.ports import Clock
from node.points import rules
from node.points.model import PointsAward, RankingChoice
from node.points.rules import Shown

RANKED_MAX = 50


class Ranked(NamedTuple):
    """One line of the ranking; equal points share a place."""

    place: int
    resident_id: UUID
    points: int
    shown: Shown


def ranking(session: Session, *, month: date, limit: int = RANKED_MAX) -> Sequence[Ranked]:
    """The residents with most points of acts in this month who have not opted out."""
    first, after = rules.month_bounds(month)
    points = func.sum(PointsAward.points)
    shown = func.coalesce(RankingChoice.shown, Shown.PSEUDONYM.value)
    query = (
        select(PointsAward.resident_id, points, shown)
        .outerjoin(RankingChoice, RankingChoice.resident_id == PointsAward.resident_id)
        .where(PointsAward.day >= first, PointsAward.day < after)
        .where(PointsAward.reversed_at.is_(None), shown != Shown.NOT.value)
        .group_by(PointsAward.resident_id, RankingChoice.shown)
        .order_by(points.desc(), PointsAward.resident_id)
        .limit(min(limit, RANKED_MAX))
    )
    lines: list[Ranked] = []
    for number, (resident_id, earned, how) in enumerate(session.execute(query), 1):
        is_tie = bool(lines) and lines[-1].points == earned
        place = lines[-1].place if is_tie else number
        lines.append(Ranked(place, resident_id, int(earned), Shown(how)))
    return lines


def earned_in(session: Session, resident_id: UUID, *, month: date) -> int:
    """What one resident earned in a month, whether they are listed or not."""
    first, after = rules.month_bounds(month)
    query = select(func.coalesce(func.sum(PointsAward.points), 0)).where(
        PointsAward.resident_id == resident_id,
        PointsAward.day >= first,
        PointsAward.day < after,
        PointsAward.reversed_at.is_(None),
    )
    return int(session.scalar(query) or 0)


def choice_of(session: Session, resident_id: UUID) -> Shown:
    """What a resident wants; who never said is listed under the pseudonym."""
    row = session.get(RankingChoice, resident_id)
    return Shown(row.shown) if row else Shown.PSEUDONYM


def choose(session: Session, clock: Clock, *, resident_id: UUID, shown: Shown) -> None:
    """Be listed by name, under the pseudonym, or not at all, from now on and for past months."""
    session.merge(RankingChoice(resident_id=resident_id, shown=shown.value, changed_at=clock.now()))
