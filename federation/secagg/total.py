"""The office's side of the secure sum: it passes boxes on, adds masked words, removes masks.

It is handed nothing that would show it one community's update, and checks what it is given as far
as it can: a wrong share does not spoil a sum while a quorum of right ones is there.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from federation.secagg.adverts import Roster, SignedAdvert, claimed, least_quorum
from federation.secagg.member import own_mask, pair_mask
from federation.secagg.primitives import SEED_BYTES, Words, committed, key_from, recovered
from federation.secagg.refusals import SecretLost, StepOutOfOrder

Shares = Mapping[str, Mapping[str, bytes]]  # who answered -> whose secret -> the share


class SecureSum:
    """One run, from its adverts on."""

    def __init__(self, offered: Sequence[SignedAdvert], *, quorum: int | None = None) -> None:
        adverts = [claimed(one) for one in offered]
        self.offered = tuple(offered)
        self.roster = Roster.of(offered, adverts, quorum or least_quorum(len(adverts)))
        self._boxes: dict[str, dict[str, bytes]] = {}  # receiver -> sender -> box
        self._have_dealt: set[str] = set()

    @property
    def quorum(self) -> int:
        return self.roster.quorum

    def take_boxes(self, sender: str, boxes: Mapping[str, bytes]) -> None:
        """Keep what a member dealt, until the others are asked to mask."""
        if set(boxes) != set(self.roster.communities) - {sender}:
            raise StepOutOfOrder(round=0, reason=f"{sender} has not dealt to all others")
        self._have_dealt.add(sender)
        for receiver, box in boxes.items():
            self._boxes.setdefault(receiver, {})[sender] = box

    @property
    def dealers(self) -> tuple[str, ...]:
        """Who can take part in rounds: their secrets are in the hands of the others."""
        return tuple(sorted(self._have_dealt))

    def boxes_for(self, receiver: str) -> dict[str, bytes]:
        """What was dealt to a member by those who take part."""
        return dict(self._boxes.get(receiver, {}))

    def unmasked(
        self,
        round_number: int,
        masked: Mapping[str, Words],
        shares: Shares,
        *,
        participants: Sequence[str],
        about: bytes,
    ) -> Words:
        """The sum of the survivors' words, `masked` being what came from each of them."""
        binding = self.roster.binding(round_number, participants, about)
        lost = sorted(set(participants) - set(masked))
        length = len(next(iter(masked.values())))
        total = np.zeros(length, dtype=np.uint64)
        for community, words in masked.items():
            total += words
            seed = self._secret(round_number, community, shares, self._fits_mask(round_number))
            total -= own_mask(seed, binding, length)
        for community in lost:
            seed = self._secret(round_number, community, shares, self._fits_key(round_number))
            key = key_from(seed)
            for survivor in masked:
                public = self.roster.adverts[self.roster.index(survivor)].mask_keys
                total += pair_mask(  # the mask as the lost node would have added it
                    key,
                    public[round_number - 1],
                    binding,
                    length,
                    is_first=community < survivor,
                )
        return total

    def _secret(
        self,
        round_number: int,
        community: str,
        shares: Shares,
        fits: Callable[[str, bytes], bool],
    ) -> bytes:
        held = {
            self.roster.index(holder): given[community]
            for holder, given in shares.items()
            if len(given.get(community, b"")) == SEED_BYTES
        }
        seed = recovered(held, quorum=self.quorum, fits=lambda seed: fits(community, seed))
        if seed is None:
            raise SecretLost(round=round_number, community=community)
        return seed

    def _fits_mask(self, round_number: int) -> Callable[[str, bytes], bool]:
        def fits(community: str, seed: bytes) -> bool:
            advert = self.roster.adverts[self.roster.index(community)]
            return committed(seed) == advert.commitments[round_number - 1]

        return fits

    def _fits_key(self, round_number: int) -> Callable[[str, bytes], bool]:
        def fits(community: str, seed: bytes) -> bool:
            advert = self.roster.adverts[self.roster.index(community)]
            public = key_from(seed).public_key().public_bytes_raw()
            return public == advert.mask_keys[round_number - 1]

        return fits
