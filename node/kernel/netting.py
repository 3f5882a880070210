"""From what pairs owe each other to one figure a community: pure, and its sum is zero."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple


class Claim(NamedTuple):
    """`debtor` owes `creditor` this many minutes, as both have signed."""

    debtor: str
    creditor: str
    minutes: int


def net_positions(claims: Iterable[Claim]) -> dict[str, int]:
    """Minutes each community gains (+) or owes (-) when all claims are settled at once.

    Communities whose claims cancel out are left out. The values sum to zero.
    """
    positions: dict[str, int] = defaultdict(int)
    for claim in claims:
        assert claim.minutes > 0, "a claim is for something"
        assert claim.debtor != claim.creditor, "nobody owes themselves"
        positions[claim.debtor] -= claim.minutes
        positions[claim.creditor] += claim.minutes
    assert sum(positions.values()) == 0, "positions sum to zero"
    return {community: minutes for community, minutes in sorted(positions.items()) if minutes}
