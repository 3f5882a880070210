"""How an entry becomes a link of the hash chain: pure, so that anyone can replay it."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
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
    body = {
        "at_us": int(recorded_at.timestamp()) * 1_000_000 + recorded_at.microsecond,
        "id": str(entry_id),
        "legs": [[str(leg.account_id), leg.amount] for leg in sorted(legs)],
        "previous": previous_hash,
        "reason": reason,
        "refers_to": str(refers_to) if refers_to else None,
        "reverses": str(reverses) if reverses else None,
        "sequence": sequence,
    }
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
