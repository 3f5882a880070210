"""What happened to a service request, for reactions.py. Ids, codes and numbers; no text."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from node.kernel.events import Event


@dataclass(frozen=True)
class RepairReported(Event):
    """A resident's request was written down; `key` is its idempotency key."""

    request_id: int
    key: UUID
    reporter_id: UUID
    category: str
    reported_at: datetime


@dataclass(frozen=True)
class RepairClosed(Event):
    """The work is done; `closing` counts how often (a reopened request closes again)."""

    request_id: int
    key: UUID
    reporter_id: UUID
    category: str
    closing: int
    was_in_time: bool


@dataclass(frozen=True)
class RepairRated(Event):
    """The reporter said how it was, 1 to 5. Happens once per request."""

    request_id: int
    key: UUID
    reporter_id: UUID
    rating: int
