"""Public keys that nobody can swap on the way: signed by a member for one run, checked by all.

The office relays the adverts, so each node checks them itself against the communities' Ed25519
keys, which it has from the district's directory. The directory's key signs money-like messages
and is never shown to a training program: it vouches once for a training key (the delegation), and
that one signs adverts.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federation.secagg.fixed_point import MEMBERS_MAX
from federation.secagg.primitives import KEY_BYTES
from federation.secagg.refusals import (
    AdvertForged,
    IdentityUnreadable,
    QuorumTooSmall,
    RosterRefused,
)

DELEGATION = b"linli/training-key/v1\0"  # the same words as in node/forecast/identity.py
ADVERT = b"linli/secagg/advert/v1\0"
MEMBERS_MIN = 4
ROUNDS_MAX = 100
IDENTITY_BYTES_MAX = 1024 * 1024
NAME_CHARACTERS_MAX = 100


def least_quorum(members: int) -> int:
    """Two thirds: then no two disjoint quorums exist, even if a third of the members lie."""
    return -(-2 * members // 3)


@dataclass(frozen=True)
class Identity:
    """Who this node is in training, and whom it takes for a member."""

    community: str
    training_key: Ed25519PrivateKey
    delegation: bytes  # the community's signature over the training key
    members: Mapping[str, bytes]  # community -> Ed25519 public key in the directory

    @classmethod
    def load(cls, path: Path) -> "Identity":
        """The identity that the node wrote beside its training export."""
        try:
            if path.stat().st_size > IDENTITY_BYTES_MAX:
                raise IdentityUnreadable(reason=f"it has more than {IDENTITY_BYTES_MAX} bytes")
            content = json.loads(path.read_text(encoding="utf-8"))
            seed = bytes.fromhex(content["training_seed"])
            return cls(
                community=str(content["community"]),
                training_key=Ed25519PrivateKey.from_private_bytes(seed),
                delegation=bytes.fromhex(content["delegation"]),
                members={str(a): bytes.fromhex(b) for a, b in content["members"].items()},
            )
        except OSError as error:
            raise IdentityUnreadable(reason=error.strerror or "unreadable") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IdentityUnreadable(reason="its content is damaged") from error


@dataclass(frozen=True)
class SignedAdvert:
    """An advert as it travels: what is signed is what is sent."""

    payload: bytes
    signature: bytes


@dataclass(frozen=True)
class Advert:
    """One member's public keys for one run."""

    run: str
    community: str
    exchange_key: bytes  # shares to this member are sealed for it
    mask_keys: tuple[bytes, ...]  # one a round
    commitments: tuple[bytes, ...]  # to the seed of its own mask, one a round
    training_key: bytes
    delegation: bytes

    @property
    def rounds(self) -> int:
        return len(self.mask_keys)


def signed(advert: Advert, *, key: Ed25519PrivateKey) -> SignedAdvert:
    """The advert, ready to be relayed by whomever."""
    content = {
        "run": advert.run,
        "community": advert.community,
        "exchange_key": advert.exchange_key.hex(),
        "mask_keys": b"".join(advert.mask_keys).hex(),
        "commitments": b"".join(advert.commitments).hex(),
        "training_key": advert.training_key.hex(),
        "delegation": advert.delegation.hex(),
    }
    payload = json.dumps(content, sort_keys=True).encode()
    return SignedAdvert(payload, key.sign(ADVERT + payload))


def claimed(offered: SignedAdvert) -> Advert:
    """What an advert says, whoever wrote it; refused if it says nothing."""
    try:
        content = json.loads(offered.payload)
        community = content["community"]
        advert = Advert(
            run=_text(content["run"]),
            community=_text(community),
            exchange_key=_one(content["exchange_key"]),
            mask_keys=_pieces(content["mask_keys"]),
            commitments=_pieces(content["commitments"]),
            training_key=_one(content["training_key"]),
            delegation=bytes.fromhex(content["delegation"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise AdvertForged(community="somebody", reason="they cannot be read") from error
    if not 1 <= advert.rounds <= ROUNDS_MAX or len(advert.commitments) != advert.rounds:
        raise AdvertForged(community=advert.community, reason="they are for no number of rounds")
    return advert


def verified(offered: SignedAdvert, *, members: Mapping[str, bytes]) -> Advert:
    """What the advert says, once it is seen to be that community's own."""
    advert = claimed(offered)
    pinned = members.get(advert.community)
    if pinned is None:
        raise AdvertForged(community=advert.community, reason="the directory has no such member")
    try:
        Ed25519PublicKey.from_public_bytes(pinned).verify(
            advert.delegation, DELEGATION + advert.community.encode() + b"\0" + advert.training_key
        )
        Ed25519PublicKey.from_public_bytes(advert.training_key).verify(
            offered.signature, ADVERT + offered.payload
        )
    except (InvalidSignature, ValueError) as error:
        reason = "the signatures are not that community's"
        raise AdvertForged(community=advert.community, reason=reason) from error
    return advert


@dataclass(frozen=True)
class Roster:
    """The members of one run, in the order that every one of them sees."""

    adverts: tuple[Advert, ...]  # by community
    quorum: int
    digest: bytes  # of all adverts and the quorum: whoever saw another roster cannot be read

    @classmethod
    def of(
        cls, offered: Sequence[SignedAdvert], adverts: Sequence[Advert], quorum: int
    ) -> "Roster":
        """Refused unless it has members enough, each once, and a quorum that is one."""
        if problem := _problem(adverts):
            raise RosterRefused(reason=problem)
        members, needed = len(adverts), least_quorum(len(adverts))
        if not needed <= quorum <= members:
            raise QuorumTooSmall(quorum=quorum, members=members, needed=needed)
        in_order = sorted(zip(adverts, offered, strict=True), key=lambda pair: pair[0].community)
        digest = hashlib.sha256(b"linli/secagg/v1/roster" + quorum.to_bytes(4, "big"))
        for _, each in in_order:
            digest.update(hashlib.sha256(each.payload).digest())
        return cls(tuple(advert for advert, _ in in_order), quorum, digest.digest())

    @property
    def communities(self) -> tuple[str, ...]:
        return tuple(advert.community for advert in self.adverts)

    def index(self, community: str) -> int:
        return self.communities.index(community)

    def binding(self, round_number: int, participants: Sequence[str], about: bytes) -> bytes:
        """What masks of a round depend on: nodes told different things give sums of noise.

        That includes `about`, the hash of the model and the recipe: an office that sends one node
        another model than the rest, to see its update alone, sees nothing (Pasquini et al. 2022).
        """
        digest = hashlib.sha256(b"linli/secagg/v1/round" + self.digest)
        digest.update(round_number.to_bytes(4, "big") + hashlib.sha256(about).digest())
        for community in sorted(participants):
            digest.update(self.index(community).to_bytes(4, "big"))
        return digest.digest()


def _problem(adverts: Sequence[Advert]) -> str | None:
    """Why no run can be done with these members; None if one can."""
    communities = [advert.community for advert in adverts]
    if not MEMBERS_MIN <= len(adverts) <= MEMBERS_MAX:
        return f"it has {len(adverts)} members, not {MEMBERS_MIN} to {MEMBERS_MAX}"
    if len(set(communities)) != len(communities):
        return "a community is in it twice"
    if len({(advert.run, advert.rounds) for advert in adverts}) != 1:
        return "its members speak of different runs"
    return None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= NAME_CHARACTERS_MAX:
        raise ValueError("a name is needed")
    return value


def _one(value: str) -> bytes:
    (piece,) = _pieces(value)
    return piece


def _pieces(value: str) -> tuple[bytes, ...]:
    content = bytes.fromhex(value)
    if len(content) % KEY_BYTES:
        raise ValueError("keys have 32 bytes")
    return tuple(content[at : at + KEY_BYTES] for at in range(0, len(content), KEY_BYTES))
