"""A district to be simulated: how large, how long, how busy, and what goes wrong in it."""

from collections.abc import Set
from dataclasses import dataclass, field

from node.kernel.errors import BadInput
from simulation.faults import Faults

COMMUNITIES_MAX, DAYS_MAX = 20, 366


@dataclass(frozen=True)
class Scenario:
    """Everything a history depends on. Amounts are minutes."""

    seed: int
    days: int = 30
    communities: int = 5
    faults: Faults = field(default_factory=Faults)
    acts_per_day: float = 1.4  # stories that begin, in each community
    residents: int = 6  # of each community
    credit_limit_minutes: int = 300
    peer_limit_minutes: int = 600
    debt_limit_minutes: int = 900
    chain_limit_minutes: int = 700
    days_between_rounds: int = 2
    left_out_stories: Set[int] = frozenset()  # by number, to make a failing history shorter
    spared_faults: Set[str] = frozenset()  # single faults that do not happen, to the same end

    def __post_init__(self) -> None:
        if not 2 <= self.communities <= COMMUNITIES_MAX:
            problem = f"between 2 and {COMMUNITIES_MAX}, not {self.communities}"
            raise BadInput(field="--communities", problem=problem)
        if not 1 <= self.days <= DAYS_MAX:
            raise BadInput(field="--days", problem=f"between 1 and {DAYS_MAX}, not {self.days}")

    @property
    def names(self) -> list[str]:
        """The communities' ids."""
        return [
            _NAMES[number % len(_NAMES)] + _suffix(number) for number in range(self.communities)
        ]

    @property
    def stories_a_day(self) -> int:
        """Stories that begin on one day."""
        return max(1, round(self.acts_per_day * self.communities))

    @property
    def story_count(self) -> int:
        """Stories that begin, left out ones included."""
        return self.stories_a_day * self.days


LIAR = "paper-mill"
"""The community that lies: it has keys and a place in the directory, and no honest node."""

_NAMES = ("plum-court", "jade-garden", "willow-bank", "osmanthus", "lotus-pond", "bamboo-lane")


def _suffix(number: int) -> str:
    return f"-{number // len(_NAMES) + 1}" if number >= len(_NAMES) else ""
