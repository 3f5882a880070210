"""A secure sum among members in this process, step by step, as the tests need it."""

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from federation.secagg import fixed_point
from federation.secagg.adverts import Identity
from federation.secagg.fixed_point import Contribution, Total
from federation.secagg.member import Member
from federation.secagg.primitives import Words
from federation.secagg.total import SecureSum
from tests.federation.identities import make_identities

ABOUT = b"model and recipe"
VALUES = 7


class Circle:
    """Members who have agreed on a roster and dealt their shares."""

    def __init__(
        self, directory: Path, members: int, *, rounds: int = 2, quorum: int | None = None
    ) -> None:
        names = [f"c{n}" for n in range(members)]
        self.identities: dict[str, Identity] = make_identities(directory, names)
        self.members = {
            name: Member.begin(identity, run="1", rounds=rounds)
            for name, identity in self.identities.items()
        }
        self.office = SecureSum([each.advert for each in self.members.values()], quorum=quorum)

    def share(self, names: Collection[str] | None = None) -> "Circle":
        """Deal the shares of these members, or of all."""
        for name in self.members if names is None else names:
            boxes = self.members[name].share(
                self.office.offered,
                quorum=self.office.quorum,
                members=self.identities[name].members,
            )
            self.office.take_boxes(name, boxes)
        return self

    def copied(self) -> "Circle":
        """The same moment once more, to go on from it in another way."""
        other = copy.copy(self)
        other.office = copy.deepcopy(self.office)
        other.members = {
            name: replace(
                member,
                rounds=[replace(one) for one in member.rounds],
                shares={owner: list(held) for owner, held in member.shares.items()},
            )
            for name, member in self.members.items()
        }
        return other

    def deliver(self) -> "Circle":
        for name, member in self.members.items():
            if member.roster is not None:
                member.accept(self.office.boxes_for(name))
        return self

    def mask(self, round_number: int, participants: Sequence[str]) -> dict[str, Words]:
        """Everybody's masked words; what they are is `contribution`'s."""
        return {
            name: self.members[name].mask(
                round_number,
                participants,
                fixed_point.encoded(contribution(name, round_number)),
                about=ABOUT,
            )
            for name in participants
        }

    def total(
        self,
        round_number: int,
        masked: Mapping[str, Words],
        shares: Mapping[str, Mapping[str, bytes]],
        participants: Sequence[str],
    ) -> Total | None:
        words = self.office.unmasked(
            round_number, masked, shares, participants=participants, about=ABOUT
        )
        return fixed_point.decoded(words, members=len(masked))


def contribution(name: str, round_number: int) -> Contribution:
    """A community's own numbers: the same wherever they are asked for."""
    random = np.random.default_rng([int(name[1:]), round_number])
    examples = int(random.integers(1, 5000))
    return Contribution(random.normal(size=VALUES), examples, float(random.normal()), False)


def assert_is_mean_of(total: Total | None, names: Collection[str], round_number: int) -> None:
    """The total is these communities' weighted mean, to within quantisation."""
    assert total is not None
    parts = [contribution(name, round_number) for name in names]
    assert total.examples == sum(part.examples for part in parts)
    mean = sum(part.values * part.examples for part in parts) / total.examples
    np.testing.assert_allclose(total.mean, mean, rtol=0, atol=fixed_point.STEP)
    loss = sum(part.loss * part.examples for part in parts) / total.examples
    np.testing.assert_allclose(total.loss, loss, rtol=0, atol=fixed_point.LOSS_STEP)
