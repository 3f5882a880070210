"""Rule versions, awards with their evidence, who was where, the shelf and what left it."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, UniqueConstraint
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
        Index("points_award_on_day", "day", "resident_id", "points"),
        Index("points_award_in_time", "awarded_at", "id"),
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
    awarded_at: Mapped[datetime]
    awarded_by: Mapped[UUID | None]  # the clerk; None: it followed from an event
    reversed_at: Mapped[datetime | None]
    reversed_by: Mapped[UUID | None]
    reversal_reason: Mapped[str | None]


class PointsSecret(Base):
    """What pseudonyms are keyed with; made once, never shown. One row."""

    __tablename__ = "points_secret"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    secret: Mapped[str]


class Gathering(Base):
    """A time at a place where a screen shows the rotating code: a morning of waste sorting, say."""

    __tablename__ = "gathering"
    __table_args__ = (CheckConstraint("opens_at < closes_at", name="gathering_has_length"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    activity: Mapped[str]
    place: Mapped[str]
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime] = mapped_column(index=True)
    secret: Mapped[str]
    opened_by: Mapped[UUID | None]


class Presence(Base):
    """A resident who typed a fitting code at a gathering; once each, by the primary key."""

    __tablename__ = "presence"
    gathering_id: Mapped[UUID] = mapped_column(ForeignKey("gathering.id"), primary_key=True)
    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    came_at: Mapped[datetime]
    left_at: Mapped[datetime | None]  # only where points are counted by the hour
    award_id: Mapped[UUID | None]  # None: still there, or the day's cap was reached
    recorded_by: Mapped[UUID | None]  # who typed it for them


class CodeTries(Base):
    """Wrong codes of a resident at a gathering, so that nobody can try them all."""

    __tablename__ = "code_tries"
    gathering_id: Mapped[UUID] = mapped_column(ForeignKey("gathering.id"), primary_key=True)
    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    failed: Mapped[int]
    last_at: Mapped[datetime]


class Claim(Base):
    """An act that a resident says they did, and the second person who is asked to sign for it."""

    __tablename__ = "points_claim"
    __table_args__ = (
        UniqueConstraint("resident_id", "activity", "day", "cosigner_id"),
        CheckConstraint("resident_id <> cosigner_id", name="points_claim_two_people"),
        Index("points_claim_by_cosigner", "cosigner_id", "state", "asked_at"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)  # also the award's evidence
    resident_id: Mapped[UUID]
    cosigner_id: Mapped[UUID]
    activity: Mapped[str]
    minutes: Mapped[int | None]
    day: Mapped[date]  # on which it was done: its caps count
    state: Mapped[str]
    asked_at: Mapped[datetime]
    recorded_by: Mapped[UUID | None]  # who wrote it down for the resident
    answered_at: Mapped[datetime | None]
    answered_by: Mapped[UUID | None]  # who answered for the cosigner
    award_id: Mapped[UUID | None]


class RankingChoice(Base):
    """What a resident wants of the ranking; without a row: listed, under the pseudonym."""

    __tablename__ = "ranking_choice"
    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    shown: Mapped[str]
    changed_at: Mapped[datetime]


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
    is_offered: Mapped[bool] = mapped_column(default=True)


class StockChange(Base):
    """How the number on the shelf changed, why, and who says so. Append-only."""

    __tablename__ = "stock_change"
    __table_args__ = (CheckConstraint("change <> 0", name="stock_change_not_zero"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    item_code: Mapped[str] = mapped_column(ForeignKey("catalogue_item.code"), index=True)
    change: Mapped[int]
    reason: Mapped[str]
    done_by: Mapped[UUID | None]
    done_at: Mapped[datetime]


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
