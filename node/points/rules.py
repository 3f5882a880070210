"""Which act earns how many points, what points can be had for, and what is possible in which state.

All of it is data: the council changes it by a motion, and every award names its version.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from node.kernel.errors import BadInput
from node.kernel.ids import CODE_ALPHABET

LOCAL_ZONE = timezone(
    timedelta(hours=8), "Asia/Shanghai"
)  # one offset, no summer time: a day's caps
POINTS_MAX = 1_000  # for one act, or one hour of it; a rule change may not go above
DAILY_POINTS_MAX = 10_000  # the highest cap a rule change may set
ACTIVITIES_MAX = 40  # in one version of the rules
MINUTES_MAX = 24 * 60  # of one award
PICKUP_DAYS = 14  # a reserved item waits this long, then it goes back on the shelf
PSEUDONYM_LENGTH = 6
DEBT_POINTS_MAX = 1_000  # how far below zero taking back spent points may bring a resident
CLAIM_DAYS = 7  # within which an act is claimed, and then signed for
CLAIMS_SHOWN_MAX = 50
PAIR_SIGNATURES_MAX, PAIR_DAYS = 4, 30  # of one neighbour for one resident
STOCK_MAX = 10_000  # of one item, and in one delivery
ITEM_TITLE_LENGTH_MAX = 60


class Per(StrEnum):
    """What the points are counted by."""

    TIME = "time"
    HOUR = "hour"
    SUGGESTION = "suggestion"


class EvidenceKind(StrEnum):
    """What shows that the act took place. The reference is an id: free text proves nothing."""

    ONSITE_CODE = "onsite_code"  # the code shown at the place, on that day
    COSIGNATURE = "cosignature"  # a second person confirmed
    ATTENDANCE = "attendance"  # the signed list of a meeting
    EXCHANGE = "exchange"  # an hour of the time bank, confirmed by both
    REPAIR = "repair"  # a repair that its reporter has rated
    MOTION = "motion"  # a suggestion that became a resolution


ANY_EVIDENCE = frozenset(EvidenceKind)


@dataclass(frozen=True)
class ActivityRule:
    """One line of the table: an act, its points, what shows it, and how many points it is a day."""

    activity: str
    points: int
    per: Per
    daily_points_max: int
    evidence: frozenset[EvidenceKind] = ANY_EVIDENCE


@dataclass(frozen=True)
class RuleSet:
    """One version of the rules, complete."""

    activities: Mapping[str, ActivityRule]
    daily_points_max: int


def _table(*lines: ActivityRule) -> Mapping[str, ActivityRule]:
    return {line.activity: line for line in lines}


_E = EvidenceKind
FIRST_VERSION = 1
FIRST_RULES = RuleSet(
    activities=_table(
        ActivityRule(
            "waste_sorting", 10, Per.TIME, 20, frozenset({_E.ONSITE_CODE, _E.COSIGNATURE})
        ),
        ActivityRule(
            "council_session", 20, Per.TIME, 20, frozenset({_E.ONSITE_CODE, _E.ATTENDANCE})
        ),
        ActivityRule("volunteering", 30, Per.HOUR, 120, ANY_EVIDENCE - {_E.REPAIR, _E.MOTION}),
        ActivityRule(
            "suggestion_adopted", 50, Per.SUGGESTION, 100, frozenset({_E.MOTION, _E.ATTENDANCE})
        ),
    ),
    daily_points_max=200,
)
"""What a community starts with: the four amounts are the seed document's, the caps are ours."""


@dataclass(frozen=True)
class Item:
    """Something points can be had for."""

    code: str
    title: str
    points: int
    stock: int = field(default=0)


FIRST_CATALOGUE = (
    Item("market_voucher_10", "Supermarket voucher, 10 yuan", 100, stock=100),
    Item("housekeeping_visit", "One free housekeeping visit", 200, stock=20),
    Item("parking_month", "Discount on a month of community parking", 500, stock=20),
    Item("community_star", "Community star of the year", 1000, stock=5),
)


class StockReason(StrEnum):
    """Why the number on the shelf changed, other than by being reserved."""

    DELIVERED = "delivered"
    COUNTED = "counted"  # the shelf held more or fewer than the books
    BROKEN = "broken"


class ReversalReason(StrEnum):
    """Why points were taken back; kept, and shown to the resident."""

    MISTAKE = "mistake"  # wrong person, wrong number
    TWICE = "twice"  # the same act was counted two times
    NOT_DONE = "not_done"  # the act did not take place
    CORRECTED = "corrected"  # what it followed from was corrected


def check_item(*, code: str, title: str, points: int) -> None:
    """Refuse what could not stand on the shelf."""
    if not code.isascii() or not code.replace("_", "").isalnum() or len(code) > 40:
        raise BadInput(field="code", problem="a code has up to 40 letters, digits and underscores")
    if not 0 < len(title) <= ITEM_TITLE_LENGTH_MAX or not title.isprintable():
        raise BadInput(field="title", problem="give 1 to 60 characters")
    _check_number(points, limit=DAILY_POINTS_MAX, where="points")


class ClaimState(StrEnum):
    """Where a claim stands that a second person is to sign. Only ASKED can change."""

    ASKED = "asked"
    SIGNED = "signed"
    REFUSED = "refused"
    EXPIRED = "expired"  # asked, and not answered in time


class Shown(StrEnum):
    """How a resident stands in the ranking."""

    PSEUDONYM = "pseudonym"
    NAME = "name"
    NOT = "not"


class RedemptionState(StrEnum):
    """Where a reserved item stands. Only RESERVED can change."""

    RESERVED = "reserved"
    COLLECTED = "collected"
    RELEASED = "released"


REDEMPTION_NEXT: Mapping[RedemptionState, frozenset[RedemptionState]] = {
    RedemptionState.RESERVED: frozenset({RedemptionState.COLLECTED, RedemptionState.RELEASED}),
    RedemptionState.COLLECTED: frozenset(),
    RedemptionState.RELEASED: frozenset(),
}


def earned(rule: ActivityRule, *, minutes: int | None) -> int:
    """The points of one act, in whole points; of hours, the part that was given, rounded down."""
    if rule.per is not Per.HOUR:
        if minutes is not None:
            raise BadInput(field="minutes", problem="this activity is not counted by the hour")
        return rule.points
    if minutes is None or not 0 < minutes <= MINUTES_MAX:
        raise BadInput(field="minutes", problem="give the minutes, at most a day of them")
    return rule.points * minutes // 60


def headroom(
    rules: RuleSet, rule: ActivityRule, *, earned_by_activity: int, earned_today: int
) -> int:
    """How many points a resident can still earn today by this activity."""
    left = min(
        rule.daily_points_max - earned_by_activity,
        rules.daily_points_max - earned_today,
    )
    return max(0, left)


def local_day(moment: datetime) -> date:
    """The day, as the residents count it, that a moment belongs to."""
    return moment.astimezone(LOCAL_ZONE).date()


def month_bounds(month: date) -> tuple[date, date]:
    """The first day of this month and of the next."""
    first = month.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def pickup_ends(reserved_at: datetime) -> datetime:
    """Until when a reserved item waits to be collected."""
    return reserved_at.astimezone(UTC) + timedelta(days=PICKUP_DAYS)


def pseudonym(resident_id: UUID, *, year: int, secret: str) -> str:
    """The name a resident has in this year's public journal: steady within it, new in the next.

    Keyed with the house's secret, so that whoever knows a resident's id still cannot work it out.
    """
    digest = hmac.new(secret.encode(), f"{year}/{resident_id}".encode(), hashlib.sha256).digest()
    return "".join(CODE_ALPHABET[byte % len(CODE_ALPHABET)] for byte in digest[:PSEUDONYM_LENGTH])


def changed(rules: RuleSet, change: Mapping[str, Any]) -> RuleSet:
    """The rules after a motion's change; raises BadInput, naming what is wrong with it.

    `{"activities": {code: {points, per, daily_points_max, evidence} | null}, "daily_points_max":
    n}`: what is named is replaced (null takes it out), what is not named stays.
    """
    _only_keys(change, {"activities", "daily_points_max"}, where="rule_change")
    named = change.get("activities", {})
    if not isinstance(named, dict):
        raise BadInput(field="rule_change.activities", problem="give an object of activities")
    activities = dict(rules.activities)
    for code, line in named.items():
        if line is None:
            activities.pop(code, None)
        else:
            activities[code] = _line(code, line, before=activities.get(code))
    if not 0 < len(activities) <= ACTIVITIES_MAX:
        raise BadInput(
            field="rule_change.activities", problem="too many activities, or none, would remain"
        )
    cap = change.get("daily_points_max", rules.daily_points_max)
    _check_number(cap, limit=DAILY_POINTS_MAX, where="rule_change.daily_points_max")
    return replace(rules, activities=activities, daily_points_max=cap)


class Difference(NamedTuple):
    """What one version of the rules changed: of an activity, or ("") of all of them together."""

    activity: str
    what: str
    before: Any  # None: it is new
    after: Any  # None: it was taken out


def differences(before: RuleSet, after: RuleSet) -> list[Difference]:
    """What changed between two versions, line by line, for people who read the later one."""
    found = []
    for code in sorted(before.activities.keys() | after.activities.keys()):
        old, new = (
            _as_line(version.activities[code]) if code in version.activities else {}
            for version in (before, after)
        )
        for what in ("points", "per", "daily_points_max", "evidence"):
            if old.get(what) != new.get(what):
                found.append(Difference(code, what, old.get(what), new.get(what)))
    if before.daily_points_max != after.daily_points_max:
        caps = before.daily_points_max, after.daily_points_max
        found.append(Difference("", "daily_points_max", *caps))
    return found


def as_json(rules: RuleSet) -> dict[str, Any]:
    """The rules as they are kept and served; `changed(FIRST_RULES, …)` reads the same words."""
    return {
        "activities": {line.activity: _as_line(line) for line in rules.activities.values()},
        "daily_points_max": rules.daily_points_max,
    }


def from_json(stored: Mapping[str, Any]) -> RuleSet:
    """The inverse of `as_json`, for what we stored ourselves."""
    empty = RuleSet(activities={}, daily_points_max=stored["daily_points_max"])
    return changed(empty, stored)


def _as_line(line: ActivityRule) -> dict[str, Any]:
    return {
        "points": line.points,
        "per": line.per.value,
        "daily_points_max": line.daily_points_max,
        "evidence": sorted(line.evidence),
    }


def _line(code: str, line: Any, *, before: ActivityRule | None) -> ActivityRule:
    where = f"rule_change.activities.{code}"
    if not code.isascii() or not code.replace("_", "").isalnum() or len(code) > 40:
        raise BadInput(field=where, problem="a code has up to 40 letters, digits and underscores")
    if not isinstance(line, dict):
        raise BadInput(field=where, problem="give an object, or null to take it out")
    _only_keys(line, {"points", "per", "daily_points_max", "evidence"}, where=where)
    usual: dict[str, Any] = {"per": Per.TIME, "evidence": sorted(ANY_EVIDENCE)}
    wanted = usual | (_as_line(before) if before else {}) | line
    for name, limit in (("points", POINTS_MAX), ("daily_points_max", DAILY_POINTS_MAX)):
        _check_number(wanted.get(name), limit=limit, where=f"{where}.{name}")
    if wanted["per"] not in list(Per):
        raise BadInput(field=f"{where}.per", problem=f"one of {', '.join(Per)}")
    kinds = wanted["evidence"]
    if not isinstance(kinds, list) or not kinds or any(kind not in list(_E) for kind in kinds):
        raise BadInput(field=f"{where}.evidence", problem=f"a list of {', '.join(_E)}")
    return ActivityRule(
        code,
        wanted["points"],
        Per(wanted["per"]),
        wanted["daily_points_max"],
        frozenset(EvidenceKind(kind) for kind in kinds),
    )


def _check_number(value: Any, *, limit: int, where: str) -> None:
    if type(value) is not int or not 0 < value <= limit:
        raise BadInput(field=where, problem=f"give a whole number from 1 to {limit}")


def _only_keys(given: Mapping[str, Any], known: set[str], *, where: str) -> None:
    if unknown := sorted(set(given) - known):
        raise BadInput(field=where, problem=f"unknown: {', '.join(unknown)}")
