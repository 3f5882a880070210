"""Ids: chosen by whoever causes a thing, so that saying it twice does it once."""

import hashlib
import secrets
import time
from uuid import UUID

NAMESPACE = UUID("6c696e6c-6920-5000-8000-e982bbe9878c")
_VERSION_AND_VARIANT = 0xF << 76 | 0x3 << 62
CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # nothing an elder could misread


def new_id() -> UUID:
    """A fresh id that sorts by time (RFC 9562 version 7), for edges whose caller brought none."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | secrets.randbits(80)
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return UUID(int=value)


def derived_id(*parts: object) -> UUID:
    """The same id for the same parts, for ever: what a step causes is found again on repeat."""
    name = "/".join([str(part) for part in parts])
    digest = hashlib.sha1(NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()
    value = int.from_bytes(digest[:16]) & ~_VERSION_AND_VARIANT
    return UUID(int=value | 0x5 << 76 | 0x2 << 62)  # uuid.uuid5's, which a test compares with it


def new_code(length: int = 8) -> str:
    """A short code to read aloud, 30 ** length possibilities, from a cryptographic source."""
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(length))
