"""Who decides what, with which thresholds, and the article of law behind each: data, and the count.

Two electorates that never mix: the residents, one head one vote, and the owners, whose vote counts
twice over, by head and by floor area (Civil Code, article 278). A rule travels with its vote: it is
frozen into the vote when that opens and printed on its result, so a later change of the law or of
this table changes no vote that was held. A lawyer has to confirm the articles before real use.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Electorate(StrEnum):
    """Who is asked."""

    RESIDENTS = "residents"  # by head
    OWNERS = "owners"  # by head and floor area; who owns a flat together has one vote together


class Choice(StrEnum):
    """What a ballot says."""

    YES = "yes"
    NO = "no"
    ABSTAIN = "abstain"


@dataclass(frozen=True)
class Share:
    """More than `over` of `of`, or, with `is_reached_at`, at least that; without fractions."""

    over: int
    of: int
    is_reached_at: bool = False  # 以上 includes the figure itself (Civil Code, article 1259)

    def is_passed(self, part: int, *, whole: int) -> bool:
        """Is `part` of `whole` enough? Of nothing, nothing is."""
        have, needed = part * self.of, whole * self.over
        return whole > 0 and (have > needed or (self.is_reached_at and have == needed))


@dataclass(frozen=True)
class DecisionRule:
    """When a vote counts and when it carries, with the source of the numbers."""

    code: str
    quorum: Share | None  # of the roll, who must have voted
    majority: Share  # of those who voted, abstaining included, who must have said yes
    is_by_area: bool  # both shares must be passed by floor area too
    source: str

    def as_data(self) -> dict[str, Any]:
        """The rule as it is stored beside its vote."""
        return asdict(self)

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> "DecisionRule":
        """The rule that was stored."""
        quorum = Share(**data["quorum"]) if data["quorum"] else None
        return cls(**{**data, "quorum": quorum, "majority": Share(**data["majority"])})


RESIDENTS_RULE = DecisionRule(
    code="residents_ordinary",
    quorum=Share(1, 2),
    majority=Share(1, 2),
    is_by_area=False,
    source=(
        "Organic Law of Urban Residents Committees (1989, amended 2018), article 9: more than half "
        "must take part, more than half of those must agree. Revised with effect from 1 January "
        "2026: have a lawyer confirm the article before real use."
    ),
)
OWNERS_ORDINARY_RULE = DecisionRule(
    code="owners_ordinary",
    quorum=Share(2, 3, is_reached_at=True),
    majority=Share(1, 2),
    is_by_area=True,
    source=(
        "Civil Code, article 278: owners of at least two thirds of the area and at least two "
        "thirds of the owners must take part; more than half of both must agree."
    ),
)
OWNERS_SPECIAL_RULE = DecisionRule(
    code="owners_special",
    quorum=Share(2, 3, is_reached_at=True),
    majority=Share(3, 4, is_reached_at=True),
    is_by_area=True,
    source=(
        "Civil Code, article 278, items 6 to 8: owners of at least two thirds of the area and at "
        "least two thirds of the owners must take part; at least three quarters of both must agree."
    ),
)
STRAW_RULE = DecisionRule(
    code="straw",
    quorum=None,
    majority=Share(1, 2),
    is_by_area=False,
    source="Linli: a straw vote binds nobody, so it needs no quorum.",
)


@dataclass(frozen=True)
class Matter:
    """What is decided about: it says whose matter that is, and by which rule."""

    code: str
    electorate: Electorate
    rule: DecisionRule
    item: int | None  # of article 278


def _owners(item: int, code: str, rule: DecisionRule) -> Matter:
    return Matter(code=code, electorate=Electorate.OWNERS, rule=rule, item=item)


MATTERS = {
    matter.code: matter
    for matter in (
        Matter("residents_ordinary", Electorate.RESIDENTS, RESIDENTS_RULE, item=None),
        _owners(1, "assembly_rules", OWNERS_ORDINARY_RULE),
        _owners(2, "covenant", OWNERS_ORDINARY_RULE),
        _owners(3, "committee", OWNERS_ORDINARY_RULE),
        _owners(4, "manager", OWNERS_ORDINARY_RULE),
        _owners(5, "fund_use", OWNERS_ORDINARY_RULE),
        _owners(6, "fund_raising", OWNERS_SPECIAL_RULE),
        _owners(7, "rebuilding", OWNERS_SPECIAL_RULE),
        _owners(8, "change_of_use", OWNERS_SPECIAL_RULE),
        _owners(9, "owners_other", OWNERS_ORDINARY_RULE),
    )
}
MATTER_DEFAULT = {
    Electorate.RESIDENTS: MATTERS["residents_ordinary"],
    Electorate.OWNERS: MATTERS["owners_other"],
}


@dataclass(frozen=True)
class Weight:
    """So many heads, and so much floor area in hundredths of a square metre."""

    heads: int = 0
    area_dm2: int = 0

    def __add__(self, other: "Weight") -> "Weight":
        return Weight(self.heads + other.heads, self.area_dm2 + other.area_dm2)


@dataclass(frozen=True)
class Tally:
    """The count of a vote."""

    yes: Weight
    no: Weight
    abstain: Weight
    roll: Weight
    has_quorum: bool
    is_carried: bool

    @property
    def cast(self) -> Weight:
        return self.yes + self.no + self.abstain


def decide(counted: Mapping[Choice, Weight], *, roll: Weight, rule: DecisionRule) -> Tally:
    """Whether what was counted carries the motion under this rule."""
    cast = sum(counted.values(), Weight())
    yes = counted.get(Choice.YES, Weight())
    has_quorum = rule.quorum is None or _is_passed(rule, rule.quorum, cast, roll)
    return Tally(
        yes=yes,
        no=counted.get(Choice.NO, Weight()),
        abstain=counted.get(Choice.ABSTAIN, Weight()),
        roll=roll,
        has_quorum=has_quorum,
        is_carried=has_quorum and _is_passed(rule, rule.majority, yes, cast),
    )


def tally(ballots: Iterable[tuple[Choice, int]], *, roll: Weight, rule: DecisionRule) -> Tally:
    """Count the ballots, each a choice and its floor area: do they carry the motion?"""
    counted = dict.fromkeys(Choice, Weight())
    for choice, area_dm2 in ballots:
        counted[choice] += Weight(1, area_dm2)
    return decide(counted, roll=roll, rule=rule)


def _is_passed(rule: DecisionRule, share: Share, part: Weight, whole: Weight) -> bool:
    by_heads = share.is_passed(part.heads, whole=whole.heads)
    by_area = share.is_passed(part.area_dm2, whole=whole.area_dm2)
    return by_heads and (by_area or not rule.is_by_area)
