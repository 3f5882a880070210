"""What the council tells the rest of the node. Ids, dates and numbers; no names, no free text."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from node.kernel.events import Event


@dataclass(frozen=True)
class MotionProposed(Event):
    """A motion was moved. Who would have to carry out its `rule_change` may refuse it here."""

    motion_id: UUID
    rule_change: Mapping[str, Any] | None


@dataclass(frozen=True)
class PublicityStarted(Event):
    """A motion is public now; until `ends_at` nothing can be decided about it."""

    motion_id: UUID
    started_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class VotingOpened(Event):
    """A binding vote runs until `ends_at`."""

    motion_id: UUID
    vote_id: UUID
    electorate: str  # residents, or owners
    opened_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class VotingClosing(Event):
    """A binding vote closes soon: who has not voted may be reminded. Recorded once a vote."""

    motion_id: UUID
    vote_id: UUID
    ends_at: datetime


@dataclass(frozen=True)
class MotionCarried(Event):
    """The vote carried a motion: it is a resolution now."""

    motion_id: UUID
    rule_change: Mapping[str, Any] | None


@dataclass(frozen=True)
class MotionClosed(Event):
    """The binding vote on a motion has ended, one way or the other."""

    motion_id: UUID
    is_carried: bool


@dataclass(frozen=True)
class WorkItemAdded(Event):
    """A resolution asks something of somebody until `due_on`."""

    motion_id: UUID
    item_id: UUID
    due_on: date


@dataclass(frozen=True)
class WorkTicketAsked(Event):
    """A work item shall be carried out as a repair ticket, to be reported under this id."""

    ticket_id: UUID
    item_id: UUID
    motion_id: UUID
    opened_by: UUID
    category: str


@dataclass(frozen=True)
class ResultFedBack(Event):
    """What came of a motion was told to everybody: its last step."""

    motion_id: UUID
