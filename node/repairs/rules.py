"""The state table, due times and limits of service requests; pages, API and tests read them."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from itertools import pairwise
from typing import NamedTuple

from node.kernel.errors import BadInput, DomainError, WrongState


class Status(StrEnum):
    """Where a request stands. The order is the order of the work."""

    PENDING = "pending"
    DISPATCHED = "dispatched"
    PROCESSING = "processing"
    COMPLETED = "completed"


STEPS: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.DISPATCHED}),
    Status.DISPATCHED: frozenset({Status.PROCESSING}),
    Status.PROCESSING: frozenset({Status.COMPLETED}),
    Status.COMPLETED: frozenset(),  # only its reporter takes it back, by reopening
}
REOPENED = Status.PENDING  # where a reopened request stands, to be dispatched anew


class Level(IntEnum):
    """Who answers for an overdue request: 楼栋 → 物业 → 社区. Nobody yet is 0."""

    NONE = 0
    BUILDING = 1
    PROPERTY = 2
    COMMUNITY = 3


class Category(NamedTuple):
    """What kind of trouble, and how soon it is to be over."""

    name: str
    due_hours: int


CATEGORIES: Mapping[str, Category] = {
    "housing_repair": Category("House and flat", 72),
    "water_power": Category("Water, power, gas", 24),
    "lift": Category("Lift", 4),
    "sanitation_parks": Category("Cleanliness and green", 48),
    "transport": Category("Parking and roads", 72),
    "welfare": Category("Daily life and care", 48),
    "housing_other": Category("Housing, other matters", 120),
    "other": Category("Something else", 120),
}
CATEGORY_DEFAULT = "housing_repair"
SHARED_BY_NATURE = frozenset({"lift", "sanitation_parks", "transport"})  # nobody's home
DUE_HOURS_DEFAULT = 72  # for categories that a community brought with its own history
REOPEN_TIME = timedelta(days=14)  # how long after completion the reporter may reopen
REOPENINGS_MAX = 5  # then it is a new request
TITLE_LENGTH_MAX, LOCATION_LENGTH_MAX, ASSIGNEE_LENGTH_MAX = 120, 120, 60
TEXT_LENGTH_MAX = 4_000
CONTACT_LENGTH_MAX = 60
BUILDING_LENGTH_MAX = 60
FOLLOWERS_MAX = 2_000  # of one request
LIKENESS_MIN = 0.35  # from which two requests may be about the same thing
SIMILAR_SHOWN_MAX = 3
SIMILAR_DAYS = 30  # older ones are not offered
SIMILAR_READ_MAX = 300  # open requests that one new request is compared with
RATING_MIN, RATING_MAX = 1, 5
PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX = 10, 100
PAGE_MAX = 100_000
NUMBER_MAX = 2**63 - 1  # of a request, as databases count
LOCAL_TIME = timezone(timedelta(hours=8), "Asia/Shanghai")  # a month begins here at midnight
YEAR_MIN, YEAR_MAX = 2000, 2200

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")
_CATEGORY = re.compile(r"[^\W_][\w \-/&.]{0,59}")  # what a community's own history may bring


class FieldsMissing(DomainError):
    code = "repairs.fields_missing"
    message = "Required fields are missing: {fields}."


class NotCompleted(DomainError):
    code = "repairs.not_completed"
    message = "Only a completed request can be rated."


class AlreadyRated(DomainError):
    code = "repairs.already_rated"
    message = "This request was rated before, with {rating}."


class NotShared(DomainError):
    code = "repairs.not_shared"
    message = "Only requests about a shared place can be followed by neighbours."


class TooManyFollowers(DomainError):
    code = "repairs.too_many_followers"
    message = "This request has {most} followers already, the limit."


class ReopenedTooOften(DomainError):
    code = "repairs.reopened_too_often"
    message = "This request was reopened {times} times. Please report it anew."


class TooLateToReopen(DomainError):
    code = "repairs.too_late_to_reopen"
    message = "A request can be reopened within {days} days. Please report it again."


class MergedIntoItself(DomainError):
    code = "repairs.merge_itself"
    message = "#{id} cannot be merged into itself."


class AlreadyMerged(DomainError):
    code = "repairs.merged"
    message = "#{id} was merged and goes on as #{kept}."


class MergeCompleted(DomainError):
    code = "repairs.merge_completed"
    message = "#{id} is completed; only open requests can be merged."


class MergeNotShared(DomainError):
    code = "repairs.merge_not_shared"
    message = (
        "Only requests about shared places, or a resident's own about their home, can be merged."
    )


class UnknownRepair(DomainError):
    code = "repairs.not_found"
    message = "There is no service request with the number {id}."


class RepairWrongState(WrongState):
    code = "repairs.wrong_state"
    message = "{what} is {state}; this needs {needed}."


def check_step(request_id: int, *, now: Status, to: Status) -> None:
    """Refuse a step that the table does not have."""
    if to not in STEPS[now]:
        needed = next((status for status in Status if to in STEPS[status]), Status.COMPLETED)
        raise RepairWrongState(what=f"#{request_id}", state=now.value, needed=needed.value)


def check_category(category: str | None) -> str:
    """The category's code; the default where none was named."""
    code = category or CATEGORY_DEFAULT
    if not _CATEGORY.fullmatch(code) or code == "total":
        raise BadInput(field="category", problem="use a short code such as housing_repair")
    return code


def check_building(building: str | None) -> str | None:
    """The building as people say it, None where none was said."""
    clean = check_text("building", building, most=BUILDING_LENGTH_MAX)
    if clean is not None and not clean.isprintable():
        raise BadInput(field="building", problem="give at most 60 characters")
    return clean


def likeness(one: str, other: str) -> float:
    """How alike two short texts are, 0 to 1: shared pairs of letters, Chinese or Latin."""
    pairs = [Counter(pairwise(_letters(text))) for text in (one, other)]
    count = sum(pairs[0].values()) + sum(pairs[1].values())
    return 2 * sum((pairs[0] & pairs[1]).values()) / count if count else 0.0


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def check_text(field: str, text: str | None, *, most: int) -> str | None:
    """The text without spaces around it, None for an empty one; refuses an endless one."""
    clean = (text or "").strip()
    if not _is_storable(clean):
        raise BadInput(field=field, problem="this holds characters that are no text")
    if len(clean) > most:
        raise BadInput(field=field, problem="this is too long")
    return clean or None


def _is_storable(text: str) -> bool:
    """Databases take neither NUL nor half a surrogate pair."""
    return _UNSTORABLE.search(text) is None


def check_rating(rating: int) -> None:
    """Refuse anything but one to five."""
    if not RATING_MIN <= rating <= RATING_MAX:
        raise BadInput(field="rating", problem="give a number from 1 to 5")


def month_of(moment: datetime) -> tuple[int, int]:
    """The year and month in which something happened, by the community's clock."""
    local = moment.astimezone(LOCAL_TIME)
    return local.year, local.month


def check_month(text: str) -> tuple[int, int]:
    """The year and month in a text such as 2026-11."""
    found = _MONTH.fullmatch(text)
    year, month = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (YEAR_MIN <= year <= YEAR_MAX and 1 <= month <= 12):
        raise BadInput(field="month", problem="give a month like 2026-11")
    return year, month


def month_span(year: int, month: int) -> tuple[datetime, datetime]:
    """From when to when a month lasts; the end is not in it."""
    after = (year + 1, 1) if month == 12 else (year, month + 1)
    return _first(year, month), _first(*after)


def month_before(year: int, month: int) -> tuple[int, int]:
    """The month before this one."""
    return (year - 1, 12) if month == 1 else (year, month - 1)


def _first(year: int, month: int) -> datetime:
    return datetime(year, month, 1, tzinfo=LOCAL_TIME).astimezone(UTC)
