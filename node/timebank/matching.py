"""How well an offer fits a need: one score out of 100, and the reasons that add up to it. Pure.

The kind of help must be the same, and at least one time of the week; then

    times      50   the part of the needed times that the helper has
    building   30   they live in the same one
    length     20   the part of the needed minutes that the helper gives at one time

Whole points, rounded down, so that anybody can add them up again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

TIMES_POINTS, BUILDING_POINTS, LENGTH_POINTS = 50, 30, 20
WEEKDAYS = 7  # Monday is 0


class Part(StrEnum):
    """A part of the day."""

    MORNING = "morning"
    AFTERNOON = "afternoon"
    EVENING = "evening"


PARTS = tuple(Part)


class ReasonCode(StrEnum):
    """What a part of the score is for."""

    TIMES = "times"
    BUILDING = "building"
    LENGTH = "length"


class Reason(NamedTuple):
    """So many points for it, of at most so many; `have` of `need` stands behind them."""

    code: ReasonCode
    points: int
    of: int
    have: int
    need: int


@dataclass(frozen=True)
class Wish:
    """What matters of an offer or a need."""

    id: UUID
    resident_id: UUID
    service: str
    times: int
    minutes: int
    building: str | None
    opened_at: datetime


class Match(NamedTuple):
    """The other listing, how well it fits, and why."""

    other: Wish
    score: int
    reasons: tuple[Reason, ...]


def times_of(days: Iterable[int], parts: Iterable[Part]) -> int:
    """These parts of each of these weekdays, as bits."""
    bits = 0
    for day in days:
        for part in parts:
            bits |= _bit(day, part)
    return bits


def times_in(bits: int) -> list[tuple[int, Part]]:
    """The inverse: every weekday and part of the day, in the order of the week."""
    return [(day, part) for day in range(WEEKDAYS) for part in PARTS if bits & _bit(day, part)]


ALL_TIMES = (1 << WEEKDAYS * len(PARTS)) - 1


def match(need: Wish, offer: Wish) -> tuple[int, tuple[Reason, ...]] | None:
    """How well the offer fits the need; None where it does not fit at all."""
    shared = (need.times & offer.times).bit_count()
    is_same_help = need.service == offer.service and need.resident_id != offer.resident_id
    if not (is_same_help and shared):
        return None
    needed = need.times.bit_count()
    lives_near = need.building is not None and need.building == offer.building
    minutes = min(offer.minutes, need.minutes)
    reasons = (
        Reason(ReasonCode.TIMES, TIMES_POINTS * shared // needed, TIMES_POINTS, shared, needed),
        Reason(
            ReasonCode.BUILDING,
            BUILDING_POINTS if lives_near else 0,
            BUILDING_POINTS,
            int(lives_near),
            1,
        ),
        Reason(
            ReasonCode.LENGTH,
            LENGTH_POINTS * minutes // need.minutes,
            LENGTH_POINTS,
            minutes,
            need.minutes,
        ),
    )
    return sum(reason.points for reason in reasons), reasons


def best(mine: Wish, others: Sequence[Wish], *, is_need: bool, limit: int) -> list[Match]:
    """The listings that fit mine, the best first; of equals, who has waited longest."""
    found = []
    for other in others:
        fits = match(mine, other) if is_need else match(other, mine)
        if fits is not None:
            found.append(Match(other, *fits))
    found.sort(key=lambda one: (-one.score, one.other.opened_at, one.other.id))
    return found[:limit]


def _bit(day: int, part: Part) -> int:
    return 1 << (day * len(PARTS) + PARTS.index(part))
