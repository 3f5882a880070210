"""Ed25519 signatures over bytes as they travel, each purpose under its own name.

Many messages that leave together may share one signature, over the root of a Merkle tree: each then
carries that signature and its own path to the root, and stays provable alone, for ever.

What is signed is what is sent: the receiver checks the bytes before it reads them, so there is no
canonical form to get wrong. The purpose (context) is part of what is signed, so that a signature
given for one thing is worthless for another.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from node.kernel import merkle
from node.kernel.errors import DomainError

MESSAGE = b"linli/message/v1\0"  # between two communities
STATEMENT = b"linli/statement/v1\0"  # a pair's position, signed by both
ENROLMENT = b"linli/enrolment/v1\0"  # a community's request to the district's office


BATCH = b"linli/batch/v1\0"  # the root over many payloads of one purpose

SIGNATURE_BYTES = 64
_PLACE = struct.Struct(">HH")  # which leaf, of how many
LEAVES_MAX = 4_096


class BadSignature(DomainError):
    code = "kernel.bad_signature"
    message = "The signature of {signer} does not fit what was sent."


def sign(key: Ed25519PrivateKey, *, context: bytes, payload: bytes) -> bytes:
    """The 64 bytes that prove who sent `payload` for this purpose."""
    return key.sign(context + payload)


def verify(public_key: bytes, *, context: bytes, payload: bytes, signature: bytes) -> bool:
    """Whether the owner of this key (32 bytes) signed exactly these bytes for this purpose."""
    if len(signature) == SIGNATURE_BYTES:
        return _is_signed(public_key, context + payload, signature)
    root = _root_above(context + payload, signature[SIGNATURE_BYTES:])
    if root is None:
        return False
    return _is_root_signed(public_key, root, signature[:SIGNATURE_BYTES])


def sign_many(key: Ed25519PrivateKey, *, context: bytes, payloads: Sequence[bytes]) -> list[bytes]:
    """`sign` for each payload, at the price of one: `verify` takes each alone."""
    if len(payloads) == 1:
        return [sign(key, context=context, payload=payloads[0])]
    signatures: list[bytes] = []
    for start in range(0, len(payloads), LEAVES_MAX):
        signatures += _sign_tree(key, [context + one for one in payloads[start:][:LEAVES_MAX]])
    return signatures


def _sign_tree(key: Ed25519PrivateKey, leaves: Sequence[bytes]) -> list[bytes]:
    *below, [root] = merkle.levels(leaves)
    signature = key.sign(BATCH + root)
    signatures = []
    for leaf in range(len(leaves)):
        parts, index = [signature, _PLACE.pack(leaf, len(leaves))], leaf
        for level in below:
            if index ^ 1 < len(level):
                parts.append(level[index ^ 1])
            index //= 2
        signatures.append(b"".join(parts))
    return signatures


def _root_above(leaf: bytes, path: bytes) -> bytes | None:
    """The root that the path leads to; None where it is no path."""
    if len(path) < _PLACE.size:
        return None
    index, width = _PLACE.unpack_from(path)
    if not 0 <= index < width <= LEAVES_MAX:
        return None
    current, at = merkle.leaf_hash(leaf), _PLACE.size
    while width > 1:
        if index ^ 1 < width:
            neighbour = path[at : at + merkle.HASH_BYTES]
            at += merkle.HASH_BYTES
            if len(neighbour) < merkle.HASH_BYTES:
                return None
            pair = (neighbour, current) if index & 1 else (current, neighbour)
            current = _above(*pair)
        index, width = index // 2, (width + 1) // 2
    return current if at == len(path) else None


# The paths of many messages under one root meet: each hash above them is computed once.
_above = lru_cache(maxsize=2 * LEAVES_MAX)(merkle.node_hash)


@lru_cache(maxsize=1_024)
def _is_root_signed(public_key: bytes, root: bytes, signature: bytes) -> bool:
    """The many messages under one root ask this one after the other."""
    return _is_signed(public_key, BATCH + root, signature)


def _is_signed(public_key: bytes, signed: bytes, signature: bytes) -> bool:
    try:
        _key(public_key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


_key = lru_cache(maxsize=1_024)(Ed25519PublicKey.from_public_bytes)  # a district's neighbours
