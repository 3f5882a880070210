"""Motions, votes with their frozen rolls, ballots, written proxies, papers, and what follows."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from node.council.rules import Step
from node.kernel.db import Base


class Motion(Base):
    """Something the residents or owners shall decide, on which terms, and where it stands."""

    __tablename__ = "motion"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    text: Mapped[str]
    matter: Mapped[str]  # says whose decision it is and by which rule: electorates.MATTERS
    is_secret: Mapped[bool]
    publicity_days: Mapped[int]
    voting_days: Mapped[int]
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
    """One vote on a motion, with the terms it was held on; its result is written once."""

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
    electorate: Mapped[str]
    rule: Mapped[dict[str, Any]] = mapped_column(JSON)  # frozen: electorates.DecisionRule
    is_secret: Mapped[bool]
    opened_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]  # None: a straw vote lasts as long as its meeting
    reminded_at: Mapped[datetime | None]
    counting_since: Mapped[datetime | None]  # no ballot is taken any more; trustees are awaited
    closed_at: Mapped[datetime | None]
    on_roll: Mapped[int]  # heads
    roll_area_dm2: Mapped[int]
    roll_sha256: Mapped[str]
    salt: Mapped[str]  # between a voter and their mark on the published roll; never shown
    yes: Mapped[int | None]
    no: Mapped[int | None]
    abstain: Mapped[int | None]
    yes_area_dm2: Mapped[int | None]
    no_area_dm2: Mapped[int | None]
    abstain_area_dm2: Mapped[int | None]
    has_quorum: Mapped[bool | None]
    is_carried: Mapped[bool | None]


class RollEntry(Base):
    """Who may vote, as it was when the vote opened. Never changed.

    Who owns a flat together shares one `unit`, and so one vote; a resident is a unit alone.
    """

    __tablename__ = "roll_entry"
    vote_id: Mapped[UUID] = mapped_column(ForeignKey("vote.id"), primary_key=True)
    voter_id: Mapped[UUID] = mapped_column(primary_key=True)
    unit: Mapped[UUID]
    area_dm2: Mapped[int]  # of the unit


class Ballot(Base):
    """One unit's vote. Never changed.

    In an open vote it says the choice, and who audits the vote can see it. In a secret one it
    says only that this unit took part: what it chose lies encrypted in `SealedBallot`.
    """

    __tablename__ = "ballot"
    __table_args__ = (UniqueConstraint("vote_id", "unit", name="ballot_one_each"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    vote_id: Mapped[UUID] = mapped_column(ForeignKey("vote.id"))
    voter_id: Mapped[UUID]
    unit: Mapped[UUID]
    area_dm2: Mapped[int]
    choice: Mapped[str | None]
    channel: Mapped[str]
    holder_id: Mapped[UUID | None]  # who carried the written proxy
    recorded_by: Mapped[UUID | None]  # the clerk who put it in
    cast_at: Mapped[datetime]
    receipt: Mapped[str]


class VotingProxy(Base):
    """A voter's written word that another votes for them on one motion, until it is used."""

    __tablename__ = "voting_proxy"
    __table_args__ = (
        UniqueConstraint("motion_id", "number"),
        Index("voting_proxy_by_holder", "motion_id", "holder_id"),
        Index("voting_proxy_by_grantor", "motion_id", "grantor_id"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    motion_id: Mapped[UUID] = mapped_column(ForeignKey("motion.id"))
    number: Mapped[int]  # printed on the form: the second proxy of a motion is 2
    grantor_id: Mapped[UUID]
    holder_id: Mapped[UUID]
    is_paper: Mapped[bool]  # signed on paper and kept at the desk; else given on the web
    given_at: Mapped[datetime]
    recorded_by: Mapped[UUID | None]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


class WorkItem(Base):
    """What a resolution asks of whom until when, and how far it is."""

    __tablename__ = "work_item"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    motion_id: Mapped[UUID] = mapped_column(ForeignKey("motion.id"), index=True)
    title: Mapped[str]
    owner: Mapped[str]
    due_on: Mapped[date]
    added_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    done_by: Mapped[UUID | None]


class WorkTicket(Base):
    """A repair ticket that carries out a work item; its state is heard of, never asked for."""

    __tablename__ = "work_ticket"
    id: Mapped[UUID] = mapped_column(primary_key=True)  # also the key under which it is reported
    item_id: Mapped[UUID] = mapped_column(ForeignKey("work_item.id"), index=True)
    category: Mapped[str]
    location: Mapped[str]
    opened_by: Mapped[UUID]  # a resident: who will be told how it goes
    opened_at: Mapped[datetime]
    number: Mapped[int | None] = mapped_column(index=True)  # as the repairs desk counts
    is_closed: Mapped[bool] = mapped_column(default=False)
    changed_at: Mapped[datetime]


class Paper(Base):
    """An adviser's opinion, minutes or a recording that belongs to a motion."""

    __tablename__ = "motion_paper"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    motion_id: Mapped[UUID] = mapped_column(ForeignKey("motion.id"), index=True)
    kind: Mapped[str]
    title: Mapped[str]
    media_type: Mapped[str]
    sha256: Mapped[str]
    bytes_count: Mapped[int]
    content: Mapped[bytes] = mapped_column(deferred=True)
    added_by: Mapped[UUID | None]
    added_at: Mapped[datetime]


class DelegateCall(Base):
    """A call for delegates; its seed is public before anybody stands, and so settles every tie."""

    __tablename__ = "delegate_call"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    seats: Mapped[int]
    seed: Mapped[str]
    opened_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    drawn_at: Mapped[datetime | None]


class Candidate(Base):
    """Somebody who stands as a delegate, in the groups they belonged to on that day."""

    __tablename__ = "delegate_candidate"
    call_id: Mapped[UUID] = mapped_column(ForeignKey("delegate_call.id"), primary_key=True)
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"), primary_key=True)
    age_band: Mapped[str]
    occupation: Mapped[str]
    building: Mapped[str]
    stood_at: Mapped[datetime]
    place: Mapped[int | None]  # in which round they were chosen, from 1; None: not chosen
