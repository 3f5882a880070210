"""How an entry becomes a link of the hash chain: pure, so that anyone can replay it."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

GENESIS_HASH = hashlib.sha256(b"linli-journal-v1").hexdigest()
AMOUNT_MAX = 1_000_000_000  # minutes or points in one entry


class Leg(NamedTuple):
    """`amount` into (+) or out of (-) an account."""

    account_id: UUID
    amount: int


def entry_hash(
    previous_hash: str,
    *,
    sequence: int,
    entry_id: UUID,
    recorded_at: datetime,
    reason: str,
    refers_to: UUID | None,
    reverses: UUID | None,
    legs: Sequence[Leg],
) -> str:
    """SHA-256 over the previous hash and this entry in canonical JSON (RFC 8785's subset).

    Hex digits, 64 of them. Legs are ordered by account, times are microseconds since 1970 UTC.
    """
    at_us = int(recorded_at.timestamp()) * 1_000_000 + recorded_at.microsecond
    moved = ",".join(sorted([f'["{_known(account)}",{amount}]' for account, amount in legs]))
    # Written out, since every entry comes by here; a test compares it with the json module's bytes.
    canonical = (
        f'{{"at_us":{at_us},"id":"{entry_id}","legs":[{moved}],"previous":"{previous_hash}",'
        f'"reason":{_as_json(reason)},"refers_to":{_quoted(refers_to)},'
        f'"reverses":{_quoted(reverses)},"sequence":{sequence}}}'
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


_as_json = lru_cache(maxsize=1_024)(json.dumps)  # there are a few dozen reasons
_known = lru_cache(maxsize=16_384)(UUID.__str__)  # accounts come again; as text they order as ids


def _quoted(key: UUID | None) -> str:
    return f'"{key}"' if key else "null"
