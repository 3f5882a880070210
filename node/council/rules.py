"""The seven steps, who may vote, how votes are counted: pure, with each number's source beside it.

A binding vote comes only in the fourth of seven steps, never before seven days of publicity. What a
neighbourhood meeting thinks today is asked by a *straw vote* (意向投票) in the first step: the same
roll, ballots and count, but it binds nobody; it only shows whether a motion is worth screening.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from uuid import UUID

from node.kernel.errors import BadInput
from node.kernel.ids import CODE_ALPHABET

LOCAL_ZONE = timezone(timedelta(hours=8), "Asia/Shanghai")  # one offset, no summer time
PUBLICITY_TIME_MIN = timedelta(days=7)  # the seed document: 议题公示(提前7天)
VOTING_TIME = timedelta(days=3)  # so that who works, or is ill, can vote too; ours
VOTING_AGE_YEARS = 18
PROXIES_PER_HOLDER_MAX = 2
TITLE_LENGTH_MAX, TEXT_LENGTH_MAX, OWNER_LENGTH_MAX = 120, 4_000, 80
RULE_CHANGE_BYTES_MAX = 10_000
WORK_ITEMS_MAX = 50  # of one resolution
RECEIPT_LENGTH = 8


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


class Choice(StrEnum):
    """What a ballot says."""

    YES = "yes"
    NO = "no"
    ABSTAIN = "abstain"


class Channel(StrEnum):
    """How a ballot came."""

    WEB = "web"
    DESK = "desk"
    PROXY = "proxy"


@dataclass(frozen=True)
class Share:
    """More than `over` of `of`, compared without fractions."""

    over: int
    of: int

    def is_passed(self, part: int, *, whole: int) -> bool:
        """Is `part` more than this share of `whole`?"""
        return part * self.of > whole * self.over


@dataclass(frozen=True)
class DecisionRule:
    """When a vote counts and when it carries, with the source of both numbers."""

    code: str
    quorum: Share | None  # of the roll, who must have voted
    majority: Share  # of those who voted, abstaining included, who must have said yes
    source: str


RESIDENTS_RULE = DecisionRule(
    code="residents_ordinary",
    quorum=Share(1, 2),
    majority=Share(1, 2),
    source=(
        "Organic Law of Urban Residents Committees (1989, amended 2018), article 9: more than half "
        "must take part, more than half of those must agree. Revised with effect from 1 January "
        "2026: have a lawyer confirm the article before real use."
    ),
)
STRAW_RULE = DecisionRule(
    code="straw",
    quorum=None,
    majority=Share(1, 2),
    source="Linli: a straw vote binds nobody, so it needs no quorum.",
)
DECISION_RULES = {rule.code: rule for rule in (RESIDENTS_RULE, STRAW_RULE)}
ELECTORATES = ("residents",)  # owners, by area and head (Civil Code, article 278), come with 物业


@dataclass(frozen=True)
class Tally:
    """The count of a vote."""

    yes: int
    no: int
    abstain: int
    on_roll: int
    has_quorum: bool
    is_carried: bool

    @property
    def cast(self) -> int:
        return self.yes + self.no + self.abstain


def tally(choices: Iterable[Choice], *, on_roll: int, rule: DecisionRule) -> Tally:
    """Count the ballots and say whether they carry the motion."""
    counted = dict.fromkeys(Choice, 0)
    for choice in choices:
        counted[choice] += 1
    cast = sum(counted.values())
    has_quorum = rule.quorum is None or rule.quorum.is_passed(cast, whole=on_roll)
    return Tally(
        yes=counted[Choice.YES],
        no=counted[Choice.NO],
        abstain=counted[Choice.ABSTAIN],
        on_roll=on_roll,
        has_quorum=has_quorum,
        is_carried=has_quorum and rule.majority.is_passed(counted[Choice.YES], whole=cast),
    )


def next_steps(step: Step, *, is_carried: bool | None) -> frozenset[Step]:
    """Where a motion can go from here."""
    if step is Step.RESOLVED:
        return frozenset({Step.EXECUTING if is_carried else Step.FEEDBACK})
    return NEXT_STEPS[step]


def publicity_ends(started_at: datetime) -> datetime:
    """The earliest moment at which the assembly may begin."""
    return started_at + PUBLICITY_TIME_MIN


def in_words(moment: datetime) -> str:
    """A moment as the residents write it, for a refusal."""
    return f"{moment.astimezone(LOCAL_ZONE):%Y-%m-%d %H:%M}"


def is_eligible(birth_year: int | None, *, this_year: int) -> bool:
    """May this resident vote? Whose year of birth nobody wrote down counts as grown up."""
    return birth_year is None or this_year - birth_year >= VOTING_AGE_YEARS


def roll_hash(voters: Iterable[UUID]) -> str:
    """SHA-256 over the sorted ids, one a line: anyone who has the roll can check that it stayed."""
    return hashlib.sha256(
        "".join(f"{voter}\n" for voter in sorted(map(str, voters))).encode()
    ).hexdigest()


def receipt(ballot_id: UUID, *, choice: Choice) -> str:
    """What the voter keeps: after the close, the published list shows it beside their choice."""
    digest = hashlib.sha256(f"receipt/{ballot_id}/{choice}".encode()).digest()
    return "".join(CODE_ALPHABET[byte % len(CODE_ALPHABET)] for byte in digest[:RECEIPT_LENGTH])


def check_length(field: str, text: str, limit: int) -> None:
    """Refuse a text that says nothing, or more than anybody reads."""
    if not 0 < len(text) <= limit:
        raise BadInput(field=field, problem="this is empty, or too long")
