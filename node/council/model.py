"""Motions, votes with their frozen rolls, ballots, and the tasks of a resolution."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from node.council.rules import Step
from node.kernel.db import Base


class Motion(Base):
    """Something the residents shall decide, and the step it stands in."""

    __tablename__ = "motion"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    text: Mapped[str]
    electorate: Mapped[str]
    decision_rule: Mapped[str]
    rule_change: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    step: Mapped[str] = mapped_column(default=Step.COLLECTING, index=True)
    proposed_by: Mapped[UUID | None]  # a resident; None: it came up in a meeting
    recorded_by: Mapped[UUID | None]  # who wrote it down, when that was somebody else
    proposed_at: Mapped[datetime]
    publicity_started_at: Mapped[datetime | None]
    is_carried: Mapped[bool | None]
    note: Mapped[str] = mapped_column(default="")  # why declined, or what came of it


class StepChange(Base):
    """One step a motion took, when, and who recorded it. Append-only."""

    __tablename__ = "motion_step"
    id: Mapped[int] = mapped_column(primary_key=True)
    motion_id: Mapped[UUID] = mapped_column(ForeignKey("motion.id"), index=True)
    step: Mapped[str]
    changed_at: Mapped[datetime]
    changed_by: Mapped[UUID | None]


class Vote(Base):
    """One vote on a motion; its result is written once, at the close."""

    __tablename__ = "vote"
    __table_args__ = (
        Index(
            "vote_one_open",
            "motion_id",
            unique=True,
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    motion_id: Mapped[UUID] = mapped_column(ForeignKey("motion.id"), index=True)
    kind: Mapped[str]
    decision_rule: Mapped[str]
    opened_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]  # None: a straw vote lasts as long as its meeting
    closed_at: Mapped[datetime | None]
    on_roll: Mapped[int]
    roll_sha256: Mapped[str]
    yes: Mapped[int | None]
    no: Mapped[int | None]
    abstain: Mapped[int | None]
    has_quorum: Mapped[bool | None]
    is_carried: Mapped[bool | None]


class RollEntry(Base):
    """Who may vote, as it was when the vote opened. Never changed."""

    __tablename__ = "roll_entry"
    vote_id: Mapped[UUID] = mapped_column(ForeignKey("vote.id"), primary_key=True)
    voter_id: Mapped[UUID] = mapped_column(primary_key=True)


class Ballot(Base):
    """One voter's choice, in the open: who audits the vote can see it. Never changed."""

    __tablename__ = "ballot"
    __table_args__ = (UniqueConstraint("vote_id", "voter_id", name="ballot_one_each"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    vote_id: Mapped[UUID] = mapped_column(ForeignKey("vote.id"))
    voter_id: Mapped[UUID]
    choice: Mapped[str]
    channel: Mapped[str]
    holder_id: Mapped[UUID | None]  # who carried the written proxy
    recorded_by: Mapped[UUID | None]  # the clerk who put it in
    cast_at: Mapped[datetime]
    receipt: Mapped[str]


class WorkItem(Base):
    """What a resolution asks of whom until when."""

    __tablename__ = "work_item"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    motion_id: Mapped[UUID] = mapped_column(ForeignKey("motion.id"), index=True)
    title: Mapped[str]
    owner: Mapped[str]
    due_on: Mapped[date]
    added_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    done_by: Mapped[UUID | None]
