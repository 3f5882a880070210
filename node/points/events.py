"""What points tell the rest of the node: ids and figures, never words."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from node.kernel.events import Event


@dataclass(frozen=True)
class PointsAwarded(Event):
    """A resident was thanked for an act."""

    award_id: UUID
    resident_id: UUID
    activity: str
    points: int


@dataclass(frozen=True)
class AwardReversed(Event):
    """Points of an act that did not take place were taken back; the balance may be below zero."""

    award_id: UUID
    resident_id: UUID
    points: int
    balance_after: int


@dataclass(frozen=True)
class CosignatureAsked(Event):
    """A resident names a second person who was there; that one is asked to say so."""

    claim_id: UUID
    resident_id: UUID
    cosigner_id: UUID


@dataclass(frozen=True)
class CouponReserved(Event):
    """Something waits at the desk for a resident."""

    redemption_id: UUID
    resident_id: UUID
    item_code: str
    points: int
    pickup_ends_at: datetime


@dataclass(frozen=True)
class CouponCollected(Event):
    """It was handed over and paid for."""

    redemption_id: UUID
    resident_id: UUID
    points: int


@dataclass(frozen=True)
class CouponReleased(Event):
    """It went back on the shelf, and the points back to the resident."""

    redemption_id: UUID
    resident_id: UUID
    points: int
    is_overdue: bool  # nobody came for it in time


@dataclass(frozen=True)
class RulesAdopted(Event):
    """A motion's version of the rules is in force."""

    version: int
    motion_id: UUID
