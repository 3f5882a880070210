"""What happened to a service request, for reactions.py. Ids, codes and numbers; no text.

`request_id` is the number people know. `reporter_id` is None for a report that came from outside
(Open311 without a resident); `follower_ids` are the neighbours who said "me too". Whoever tells
residents about an event finds everybody concerned in it.
"""

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
class RepairReportedFromOutside(Event):
    """The same from a program that named no resident; `reporter_id` is an id nobody has."""

    request_id: int
    key: UUID
    reporter_id: UUID
    category: str
    reported_at: datetime


@dataclass(frozen=True)
class RepairMoved(Event):
    """Dispatched, being worked on, completed: `after` is a status of rules.Status."""

    request_id: int
    key: UUID
    reporter_id: UUID | None
    follower_ids: tuple[UUID, ...]
    category: str
    before: str
    after: str


@dataclass(frozen=True)
class RepairOverdue(Event):
    """Its time passed, and it was handed up to `level`: 1 building, 2 property, 3 community.

    `turn` counts from 0 how often the request was reopened: (request, turn, level) happens once.
    `member_ids` are the staff of the team that answers for it now.
    """

    request_id: int
    key: UUID
    reporter_id: UUID | None
    follower_ids: tuple[UUID, ...]
    category: str
    level: int
    turn: int
    member_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class RepairClosed(Event):
    """The work is done (beside RepairMoved); `closing` counts how often, for it may be reopened."""

    request_id: int
    key: UUID
    reporter_id: UUID | None
    category: str
    closing: int
    was_in_time: bool
    follower_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class RepairReopened(Event):
    """Its reporter says that it is not fixed; `turn` counts how often, from 1."""

    request_id: int
    key: UUID
    reporter_id: UUID | None
    follower_ids: tuple[UUID, ...]
    category: str
    turn: int


@dataclass(frozen=True)
class RepairMerged(Event):
    """It means the same as `kept_id`, which its reporter and followers follow from now on."""

    request_id: int
    key: UUID
    reporter_id: UUID | None
    follower_ids: tuple[UUID, ...]
    category: str
    kept_id: int


@dataclass(frozen=True)
class RepairFollowed(Event):
    """A neighbour said "me too"."""

    request_id: int
    key: UUID
    reporter_id: UUID | None
    follower_id: UUID
    category: str


@dataclass(frozen=True)
class RepairRated(Event):
    """The reporter said how it was, 1 to 5. Happens once per request."""

    request_id: int
    key: UUID
    reporter_id: UUID
    rating: int
