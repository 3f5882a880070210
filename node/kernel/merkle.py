"""Merkle trees over receipts: a root that stands for many, and proofs that one is among them.

SHA-256, leaves hashed under another prefix than nodes (RFC 6962), so that a node cannot pass as a
leaf. An odd node at the end of a level moves up as it is.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


class Step(NamedTuple):
    """One level of a proof: the neighbour's hash and on which side it stands."""

    neighbour: bytes
    is_left: bool


def leaf_hash(content: bytes) -> bytes:
    """The hash of one leaf's content, 32 bytes."""
    return hashlib.sha256(b"\x00" + content).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over the leaves' contents in the given order, 32 bytes."""
    level = [leaf_hash(leaf) for leaf in leaves]
    while len(level) > 1:
        level = _up(level)
    return level[0] if level else EMPTY_ROOT


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Every level of hashes over the leaves' contents, the root's last."""
    found = [[leaf_hash(leaf) for leaf in leaves]]
    while len(found[-1]) > 1:
        found.append(_up(found[-1]))
    return found


def proof(leaves: Sequence[bytes], index: int) -> list[Step]:
    """The steps from leaf `index` up to the root."""
    level, steps = [leaf_hash(leaf) for leaf in leaves], []
    while len(level) > 1:
        neighbour = index ^ 1
        if neighbour < len(level):
            steps.append(Step(level[neighbour], is_left=neighbour < index))
        level, index = _up(level), index // 2
    return steps


def is_proven(content: bytes, steps: Sequence[Step], expected_root: bytes) -> bool:
    """Whether the steps lead from this leaf to that root."""
    current = leaf_hash(content)
    for step in steps:
        pair = (step.neighbour, current) if step.is_left else (current, step.neighbour)
        current = node_hash(*pair)
    return current == expected_root


def _up(level: Sequence[bytes]) -> list[bytes]:
    pairs = [level[index : index + 2] for index in range(0, len(level), 2)]
    return [node_hash(*pair) if len(pair) == 2 else pair[0] for pair in pairs]


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash that stands above two others, 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()
