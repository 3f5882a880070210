"""Ids: chosen by whoever causes a thing, so that saying it twice does it once."""

import hashlib
import os
import secrets
import time
from typing import Any
from uuid import UUID, SafeUUID

NAMESPACE = UUID("6c696e6c-6920-5000-8000-e982bbe9878c")
_VERSION_AND_VARIANT = 0xF << 76 | 0x3 << 62
_BELOW_TIME = (1 << 80) - 1  # of an id that begins with its moment
_CHANCE_BYTES = 10  # 80 bits, of which version and variant take 6
_HEX_DIGITS = 32
CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # nothing an elder could misread


def new_id() -> UUID:
    """A fresh id that sorts by time (RFC 9562 version 7), for edges whose caller brought none."""
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(_CHANCE_BYTES)) & ~_VERSION_AND_VARIANT
    return id_of(milliseconds << 80 | chance | 0x7 << 76 | 0x2 << 62)


def derived_id(*parts: object) -> UUID:
    """The same id for the same parts, for ever: what a step causes is found again on repeat."""
    name = "/".join([str(part) for part in parts])
    digest = hashlib.sha1(NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()
    value = int.from_bytes(digest[:16]) & ~_VERSION_AND_VARIANT
    return id_of(value | 0x5 << 76 | 0x2 << 62)  # uuid.uuid5's, which a test compares with it


def step_id(thing: UUID, step: str) -> UUID:
    """derived_id(step, thing), but in the order of the things (RFC 9562 version 8).

    It begins as the thing's own id does: of things made one after the other, what their steps cause
    stands together in an index too.
    """
    chance = derived_id(step, thing).int & _BELOW_TIME & ~_VERSION_AND_VARIANT
    return id_of(thing.int & ~_BELOW_TIME | chance | 0x8 << 76 | 0x2 << 62)


_put_number: Any = vars(UUID)["int"].__set__  # the two slots of the class
_put_safety: Any = vars(UUID)["is_safe"].__set__


def id_of(number: int) -> UUID:
    """UUID(int=number) for a number of 128 bits, at a fifth of the price: a transfer makes thirty.

    The class checks six ways of being made before it fills its two slots; this fills them.
    """
    made = UUID.__new__(UUID)
    _put_number(made, number)
    _put_safety(made, SafeUUID.unknown)
    return made


def read_id(text: str) -> UUID:
    """UUID(text), for text that is most often plain; raises ValueError for the same texts."""
    digits = text.replace("-", "")
    return id_of(int(digits, 16)) if len(digits) == _HEX_DIGITS else UUID(text)


def new_code(length: int = 8) -> str:
    """A short code to read aloud, 30 ** length possibilities, from a cryptographic source."""
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(length))
