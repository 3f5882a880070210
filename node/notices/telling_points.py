"""What residents hear of their points: what waits, what went back, what is asked, what changed."""

from datetime import datetime
from typing import Protocol, cast
from uuid import UUID

from sqlalchemy.orm import Session

from node.kernel.events import Event
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.notices import service
from node.notices.rules import Audience
from node.web.language import LOCAL_TIME


class Coupon(Protocol):
    """Something from the shelf; what it is stands on its slip."""

    redemption_id: UUID
    resident_id: UUID
    points: int


class Reserved(Coupon, Protocol):
    pickup_ends_at: datetime


class Released(Coupon, Protocol):
    is_overdue: bool


class Asked(Protocol):
    """A neighbour's claim; whose it is stands on the page."""

    claim_id: UUID
    cosigner_id: UUID


class TakenBack(Protocol):
    award_id: UUID
    resident_id: UUID
    points: int
    balance_after: int


class Adopted(Protocol):
    version: int
    motion_id: UUID


def reserved(session: Session, clock: Clock, event: Event) -> None:
    """Whoever something is put aside for hears until when, also where a relative asked for it."""
    coupon = cast(Reserved, event)
    service.tell(
        session,
        clock,
        notice_id=derived_id("notice", "coupon_reserved", coupon.redemption_id),
        resident_id=coupon.resident_id,
        kind="coupon_reserved",
        details={"day": coupon.pickup_ends_at.astimezone(LOCAL_TIME).date().isoformat()},
        link=f"/points/redemptions/{coupon.redemption_id}",
        ends_at=coupon.pickup_ends_at,
    )


def released(session: Session, clock: Clock, event: Event) -> None:
    """The same one hears that it is back on the shelf and the points are free."""
    coupon = cast(Released, event)
    service.tell(
        session,
        clock,
        notice_id=derived_id("notice", "coupon_released", coupon.redemption_id),
        resident_id=coupon.resident_id,
        kind="coupon_overdue" if coupon.is_overdue else "coupon_released",
        details={"points": coupon.points},
        link="/points",
    )


def cosignature_asked(session: Session, clock: Clock, event: Event) -> None:
    """Whoever is named as a witness is asked; nobody earns anything before the answer."""
    asked = cast(Asked, event)
    service.tell(
        session,
        clock,
        notice_id=derived_id("notice", "cosignature_asked", asked.claim_id),
        resident_id=asked.cosigner_id,
        kind="cosignature_asked",
        link="/points/claims",
    )


def taken_back(session: Session, clock: Clock, event: Event) -> None:
    """A resident hears that points were taken back, and how many are missing if they were spent."""
    gone = cast(TakenBack, event)
    details = {"points": gone.points}
    if gone.balance_after < 0:
        details["missing"] = -gone.balance_after
    service.tell(
        session,
        clock,
        notice_id=derived_id("notice", "points_taken_back", gone.award_id),
        resident_id=gone.resident_id,
        kind="points_missing" if gone.balance_after < 0 else "points_taken_back",
        details=details,
        link="/points",
    )


def rules_adopted(session: Session, clock: Clock, event: Event) -> None:
    """Everybody hears that points are counted by other rules from now on."""
    adopted = cast(Adopted, event)
    service.announce(
        session,
        clock,
        notice_id=derived_id("notice", "rules_adopted", adopted.motion_id),
        audience=Audience.EVERYONE,
        kind="rules_adopted",
        details={"version": adopted.version},
        link="/points/rules",
    )
