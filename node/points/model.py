"""Rule versions and when each came into force, awards with their evidence, the catalogue."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel.db import Base
from node.points.rules import RedemptionState


class PointsRuleVersion(Base):
    """One version of the rules, complete, and the motion that brought it. Never changed."""

    __tablename__ = "points_rule_version"
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    in_force_from: Mapped[datetime]
    motion_id: Mapped[UUID | None] = mapped_column(unique=True)  # None: the first version
    content: Mapped[dict[str, Any]] = mapped_column(JSON)


class PointsAward(Base):
    """One act that earned points; the same evidence earns the same resident once."""

    __tablename__ = "points_award"
    __table_args__ = (
        UniqueConstraint("resident_id", "activity", "evidence_id"),
        CheckConstraint("points > 0", name="points_award_positive"),
        Index("points_award_by_day", "resident_id", "day"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)  # also the journal entry's id
    resident_id: Mapped[UUID]
    activity: Mapped[str]
    rule_version: Mapped[int]
    evidence_kind: Mapped[str]
    evidence_id: Mapped[UUID]
    minutes: Mapped[int | None]
    points: Mapped[int]
    day: Mapped[date]
    awarded_at: Mapped[datetime] = mapped_column(index=True)
    awarded_by: Mapped[UUID | None]  # the clerk; None: it followed from an event
    reversed_at: Mapped[datetime | None]
    reversed_by: Mapped[UUID | None]


class CatalogueItem(Base):
    """Something points can be had for, and how many are left."""

    __tablename__ = "catalogue_item"
    __table_args__ = (
        CheckConstraint("stock >= 0", name="catalogue_stock_not_negative"),
        CheckConstraint("points > 0", name="catalogue_points_positive"),
    )
    code: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    points: Mapped[int]
    stock: Mapped[int]


class Redemption(Base):
    """One item reserved for a resident; the points are held until it is collected or released."""

    __tablename__ = "redemption"
    __table_args__ = (Index("redemption_by_state", "item_code", "state", "pickup_ends_at"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)  # also the hold's id
    resident_id: Mapped[UUID] = mapped_column(index=True)
    item_code: Mapped[str]
    points: Mapped[int]
    code: Mapped[str]
    state: Mapped[str] = mapped_column(default=RedemptionState.RESERVED)
    reserved_at: Mapped[datetime]
    reserved_by: Mapped[UUID | None]  # the clerk who acted for the resident
    pickup_ends_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[UUID | None]
