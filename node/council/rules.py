"""The seven steps, who may vote, how votes are counted: pure, with each number's source beside it.

A binding vote comes only in the fourth of seven steps, never before seven days of publicity. What a
neighbourhood meeting thinks today is asked by a *straw vote* (意向投票) in the first step: the same
roll, ballots and count, but it binds nobody; it only shows whether a motion is worth screening.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from uuid import UUID

from node.council.electorates import Choice
from node.kernel.errors import BadInput
from node.kernel.ids import CODE_ALPHABET

LOCAL_ZONE = timezone(timedelta(hours=8), "Asia/Shanghai")  # one offset, no summer time
PUBLICITY_TIME_MIN = timedelta(days=7)  # the seed document: 议题公示(提前7天)
PUBLICITY_DAYS_MAX = 90
VOTING_TIME = timedelta(days=3)  # so that who works, or is ill, can vote too; ours
VOTING_DAYS_MAX = 60
REMINDER_TIME = timedelta(days=1)  # before the close, those who forgot are told
VOTING_AGE_YEARS = 18
PROXIES_PER_HOLDER_MAX = 2  # a house rule: nobody carries a meeting in a bag; the law has no figure
TITLE_LENGTH_MAX, TEXT_LENGTH_MAX, OWNER_LENGTH_MAX = 120, 4_000, 80
RULE_CHANGE_BYTES_MAX = 10_000
WORK_ITEMS_MAX = 50  # of one resolution
RECEIPT_LENGTH = 8
MARK_LENGTH = 32


class Step(StrEnum):
    """Where a motion stands: the seed document's seven steps, and DECLINED in the second."""

    COLLECTING = "collecting"  # 议题征集
    SCREENING = "screening"  # 议题筛选
    PUBLICITY = "publicity"  # 议题公示
    ASSEMBLY = "assembly"  # 议事会召开: the vote is open
    RESOLVED = "resolved"  # 形成决议
    EXECUTING = "executing"  # 执行与监督
    FEEDBACK = "feedback"  # 结果反馈
    DECLINED = "declined"


NEXT_STEPS: Mapping[Step, frozenset[Step]] = {
    Step.COLLECTING: frozenset({Step.SCREENING}),
    Step.SCREENING: frozenset({Step.PUBLICITY, Step.DECLINED}),
    Step.PUBLICITY: frozenset({Step.ASSEMBLY}),
    Step.ASSEMBLY: frozenset(),  # closing the vote, and nothing else, leads to RESOLVED
    Step.RESOLVED: frozenset({Step.EXECUTING, Step.FEEDBACK}),
    Step.EXECUTING: frozenset({Step.FEEDBACK}),
    Step.FEEDBACK: frozenset(),
    Step.DECLINED: frozenset(),
}
"""RESOLVED goes to EXECUTING when carried and to FEEDBACK when not: see `next_steps`."""


class VoteKind(StrEnum):
    """What a vote does: a straw vote asks, a binding vote decides."""

    STRAW = "straw"
    BINDING = "binding"


class Channel(StrEnum):
    """How a ballot came."""

    WEB = "web"
    DESK = "desk"
    PROXY = "proxy"
    CODE = "code"  # a secret ballot that the voter encrypts themself


def next_steps(step: Step, *, is_carried: bool | None) -> frozenset[Step]:
    """Where a motion can go from here."""
    if step is Step.RESOLVED:
        return frozenset({Step.EXECUTING if is_carried else Step.FEEDBACK})
    return NEXT_STEPS[step]


def publicity_ends(started_at: datetime, *, days: int) -> datetime:
    """The earliest moment at which the assembly may begin."""
    return started_at + max(timedelta(days=days), PUBLICITY_TIME_MIN)


def in_words(moment: datetime) -> str:
    """A moment as the residents write it, for a refusal."""
    return f"{moment.astimezone(LOCAL_ZONE):%Y-%m-%d %H:%M}"


def is_eligible(birth_year: int | None, *, this_year: int) -> bool:
    """May this resident vote? Whose year of birth nobody wrote down counts as grown up."""
    return birth_year is None or this_year - birth_year >= VOTING_AGE_YEARS


def mark(salt: str, unit: UUID) -> str:
    """What stands for a voter on the published roll: nobody finds the person from it."""
    return hashlib.sha256(f"{salt}/{unit}".encode()).hexdigest()[:MARK_LENGTH]


def roll_lines(marks: Iterable[tuple[str, int]]) -> str:
    """The published roll: sorted, one mark and its floor area a line."""
    return "".join(f"{mark} {area_dm2}\n" for mark, area_dm2 in sorted(marks))


def roll_hash(marks: Iterable[tuple[str, int]]) -> str:
    """SHA-256 of the published roll: anyone who kept it can check that it stayed."""
    return hashlib.sha256(roll_lines(marks).encode()).hexdigest()


def receipt(ballot_id: UUID, *, choice: Choice) -> str:
    """What the voter keeps: after the close, the published list shows it beside their choice."""
    digest = hashlib.sha256(f"receipt/{ballot_id}/{choice}".encode()).digest()
    return "".join(CODE_ALPHABET[byte % len(CODE_ALPHABET)] for byte in digest[:RECEIPT_LENGTH])


def check_length(field: str, text: str, limit: int) -> None:
    """Refuse a text that says nothing, or more than anybody reads."""
    if not 0 < len(text) <= limit:
        raise BadInput(field=field, problem="this is empty, or too long")
