"""A community's side of the secure sum, with everything that it refuses.

A `Member` is a value between two messages: `to_bytes` and `from_bytes` carry it from one process
of the app to the next (see vault.py for where). It never holds a secret longer than it is needed:
the seeds of a round are forgotten with its masking, the shares of others with its unmasking.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from federation.secagg.adverts import (
    ROUNDS_MAX,
    Advert,
    Identity,
    Roster,
    SignedAdvert,
    claimed,
    signed,
    verified,
)
from federation.secagg.primitives import (
    SEED_BYTES,
    Words,
    agreed,
    committed,
    derived,
    key_from,
    mask_stream,
    new_seed,
    opened,
    sealed,
    split,
)
from federation.secagg.refusals import (
    AdvertForged,
    RosterRefused,
    RoundRepeated,
    SharesForged,
    StepOutOfOrder,
    SurvivorsRefused,
)


@dataclass
class Round:
    """What this node still knows, or has done, in one round."""

    key_seed: bytes | None = field(repr=False)  # of its pairwise masks; None once masked
    mask_seed: bytes | None = field(repr=False)  # of its own mask; None once masked
    participants: tuple[str, ...] = ()  # empty until masked
    is_answered: bool = False  # whether shares were given


@dataclass
class Member:
    """One community in one run."""

    run: str
    advert: SignedAdvert
    exchange_seed: bytes = field(repr=False)
    rounds: list[Round]
    roster: Roster | None = None
    # community -> for each round the share of its key seed and of its mask seed; "" once given
    shares: dict[str, list[bytes]] = field(default_factory=dict, repr=False)
    offered: tuple[SignedAdvert, ...] = ()

    @classmethod
    def begin(cls, identity: Identity, *, run: str, rounds: int) -> "Member":
        """Fresh secrets for every round of a run, and the advert of their public halves."""
        if not 1 <= rounds <= ROUNDS_MAX:
            raise RosterRefused(reason=f"a run has 1 to {ROUNDS_MAX} rounds, not {rounds}")
        exchange_seed = new_seed()
        secrets = [Round(new_seed(), new_seed()) for _ in range(rounds)]
        advert = Advert(
            run=run,
            community=identity.community,
            exchange_key=_public(_exchange_key(exchange_seed)),
            mask_keys=tuple(_public(key_from(one.key_seed or b"")) for one in secrets),
            commitments=tuple(committed(one.mask_seed or b"") for one in secrets),
            training_key=identity.training_key.public_key().public_bytes_raw(),
            delegation=identity.delegation,
        )
        return cls(run, signed(advert, key=identity.training_key), exchange_seed, secrets)

    @property
    def community(self) -> str:
        return claimed(self.advert).community

    def share(
        self, offered: Sequence[SignedAdvert], *, quorum: int, members: Mapping[str, bytes]
    ) -> dict[str, bytes]:
        """Agree to a roster and deal shares of all secrets to it, a sealed box for each other."""
        if self.roster is not None:
            raise StepOutOfOrder(round=0, reason="secrets are dealt once in a run")
        if self.advert not in offered:
            raise RosterRefused(reason="this node's own keys are not in it")
        roster = Roster.of(offered, [verified(one, members=members) for one in offered], quorum)
        if (roster.adverts[0].run, roster.adverts[0].rounds) != (self.run, len(self.rounds)):
            raise RosterRefused(reason="it is for another run")
        dealt = self._dealt(roster)
        self.roster, self.offered = roster, tuple(offered)
        self.shares[self.community] = dealt.pop(self.community)
        return {
            receiver: sealed(
                self._box_key(receiver, sender=self.community),
                b"".join(pieces),
                about=roster.digest,
            )
            for receiver, pieces in dealt.items()
        }

    def _dealt(self, roster: Roster) -> dict[str, list[bytes]]:
        """For each member the shares of all rounds: key seed, mask seed, key seed, ..."""
        dealt: dict[str, list[bytes]] = {community: [] for community in roster.communities}
        for each in self.rounds:
            for seed in (each.key_seed, each.mask_seed):
                assert seed is not None, "nothing is masked before the secrets are dealt"
                parts = split(seed, quorum=roster.quorum, holders=len(roster.adverts))
                for community, part in zip(roster.communities, parts, strict=True):
                    dealt[community].append(part)
        return dealt

    def accept(self, boxes: Mapping[str, bytes]) -> None:
        """Keep the shares that others dealt to this node; of each sender the first ones count."""
        roster = self._agreed_roster(0)
        for sender, box in boxes.items():
            if sender not in roster.communities:
                raise SharesForged(community=sender)
            if sender in self.shares:
                continue
            key = self._box_key(self.community, sender=sender)
            plain = opened(key, box, about=roster.digest)
            if plain is None or len(plain) != 2 * SEED_BYTES * len(self.rounds):
                raise SharesForged(community=sender)
            self.shares[sender] = [
                plain[at : at + SEED_BYTES] for at in range(0, len(plain), SEED_BYTES)
            ]

    def check_round(self, round_number: int, participants: Sequence[str]) -> None:
        """Refused unless this node may mask with exactly these members in this round."""
        roster = self._agreed_roster(round_number)
        if self._round(round_number).participants:
            raise RoundRepeated(round=round_number, what="masked")
        named = set(participants)
        if len(named) != len(participants) or not named <= set(roster.communities):
            raise StepOutOfOrder(round=round_number, reason="participants are not of the roster")
        if self.community not in named:
            raise StepOutOfOrder(round=round_number, reason="this node is not a participant")
        if len(named) < roster.quorum:
            reason = f"{len(named)} participants are fewer than the quorum of {roster.quorum}"
            raise StepOutOfOrder(round=round_number, reason=reason)
        if missing := sorted(named - set(self.shares)):
            raise StepOutOfOrder(
                round=round_number, reason=f"no shares came from {', '.join(missing)}"
            )

    def mask(
        self, round_number: int, participants: Sequence[str], words: Words, *, about: bytes
    ) -> Words:
        """The words under this round's masks; what made them is forgotten."""
        self.check_round(round_number, participants)
        roster, this = self._agreed_roster(round_number), self._round(round_number)
        assert this.key_seed is not None, "check_round has seen that nothing is masked yet"
        assert this.mask_seed is not None, "see above"
        binding = roster.binding(round_number, participants, about)
        key = key_from(this.key_seed)
        masked = words + own_mask(this.mask_seed, binding, len(words))
        for other in participants:
            if other != self.community:
                public = roster.adverts[roster.index(other)].mask_keys[round_number - 1]
                masked += pair_mask(
                    key, public, binding, len(words), is_first=self.community < other
                )
        this.participants = tuple(sorted(participants))
        this.key_seed = this.mask_seed = None
        return masked

    def unmask(self, round_number: int, survivors: Collection[str]) -> dict[str, bytes]:
        """Give the shares that unmask the sum of these survivors; once, and for one set only.

        For a survivor it is the share of its own mask, for a lost node that of its pairwise key.
        A request names the survivors alone, so none can ask for both; a second one is refused.
        """
        roster, this = self._agreed_roster(round_number), self._round(round_number)
        if not this.participants:
            raise StepOutOfOrder(round=round_number, reason="this node has not masked it")
        if this.is_answered:
            raise RoundRepeated(round=round_number, what="unmasked")
        named = set(survivors)
        if len(named) != len(survivors) or not named <= set(this.participants):
            reason = "it names others than the participants, or one twice"
            raise SurvivorsRefused(round=round_number, reason=reason)
        if self.community not in named:
            reason = "this node's own update came through, and is said to be lost"
            raise SurvivorsRefused(round=round_number, reason=reason)
        if len(named) < roster.quorum:
            reason = f"{len(named)} survivors are fewer than the quorum of {roster.quorum}"
            raise SurvivorsRefused(round=round_number, reason=reason)
        this.is_answered = True
        key_share = 2 * (round_number - 1)
        given: dict[str, bytes] = {}
        for owner, held in self.shares.items():
            if owner in this.participants:
                given[owner] = held[key_share + 1 if owner in named else key_share]
            held[key_share] = held[key_share + 1] = b""
        return given

    @property
    def is_done(self) -> bool:
        """Whether the last round is over for this node: nothing of the run is needed any more."""
        return self.rounds[-1].is_answered

    def _agreed_roster(self, round_number: int) -> Roster:
        if self.roster is None:
            raise StepOutOfOrder(round=round_number, reason="no roster was agreed yet")
        return self.roster

    def _round(self, round_number: int) -> Round:
        if not 1 <= round_number <= len(self.rounds):
            reason = f"the run has {len(self.rounds)} rounds"
            raise StepOutOfOrder(round=round_number, reason=reason)
        return self.rounds[round_number - 1]

    def _box_key(self, receiver: str, *, sender: str) -> bytes:
        """The key of the one box from sender to receiver; this node is one of the two."""
        roster = self._agreed_roster(0)
        other = sender if receiver == self.community else receiver
        public = roster.adverts[roster.index(other)].exchange_key
        names = json.dumps([sender, receiver]).encode()
        try:
            return agreed(_exchange_key(self.exchange_seed), public, purpose=b"box/" + names)
        except ValueError as error:
            raise AdvertForged(community=other, reason="its exchange key is none") from error

    def to_bytes(self) -> bytes:
        """Everything, secrets included: to be kept where only this node reads."""
        content = {
            "run": self.run,
            "exchange_seed": self.exchange_seed.hex(),
            "rounds": [
                {
                    "key_seed": one.key_seed.hex() if one.key_seed else None,
                    "mask_seed": one.mask_seed.hex() if one.mask_seed else None,
                    "participants": list(one.participants),
                    "is_answered": one.is_answered,
                }
                for one in self.rounds
            ],
            "advert": _pair(self.advert),
            "offered": [_pair(one) for one in self.offered],
            "quorum": self.roster.quorum if self.roster else 0,
            "shares": {owner: [part.hex() for part in held] for owner, held in self.shares.items()},
        }
        return json.dumps(content).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Member":
        """What `to_bytes` kept; it was checked when it came and is this node's own file."""
        kept = json.loads(content)
        member = cls(
            run=kept["run"],
            advert=_advert(kept["advert"]),
            exchange_seed=bytes.fromhex(kept["exchange_seed"]),
            rounds=[
                Round(
                    key_seed=bytes.fromhex(one["key_seed"]) if one["key_seed"] else None,
                    mask_seed=bytes.fromhex(one["mask_seed"]) if one["mask_seed"] else None,
                    participants=tuple(one["participants"]),
                    is_answered=one["is_answered"],
                )
                for one in kept["rounds"]
            ],
            shares={a: [bytes.fromhex(part) for part in b] for a, b in kept["shares"].items()},
            offered=tuple(_advert(one) for one in kept["offered"]),
        )
        if member.offered:
            adverts = [claimed(one) for one in member.offered]
            member.roster = Roster.of(member.offered, adverts, kept["quorum"])
        return member


def own_mask(seed: bytes, binding: bytes, words: int) -> Words:
    """The mask that only the survivors together can take away."""
    return mask_stream(derived(seed, purpose=b"own/" + binding), words)


def pair_mask(
    key: X25519PrivateKey, other: bytes, binding: bytes, words: int, *, is_first: bool
) -> Words:
    """The mask that two members share; the first adds it, the second takes it away."""
    try:
        stream = mask_stream(agreed(key, other, purpose=b"pair/" + binding), words)
    except ValueError as error:
        raise AdvertForged(community="somebody", reason="a mask key is none") from error
    return stream if is_first else np.negative(stream)


def _exchange_key(seed: bytes) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(derived(seed, purpose=b"exchange-key"))


def _public(key: X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _pair(advert: SignedAdvert) -> list[str]:
    return [advert.payload.hex(), advert.signature.hex()]


def _advert(pair: Sequence[str]) -> SignedAdvert:
    payload, signature = pair
    return SignedAdvert(bytes.fromhex(payload), bytes.fromhex(signature))
