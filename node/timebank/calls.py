"""Calls for helpers: on a day that will be busy, the community asks who can lend a hand.

A call opens no exchange and moves no minutes: whoever comes agrees on help as always.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple, Protocol, cast
from uuid import UUID

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.kernel.db import Base
from node.kernel.errors import NotFound
from node.kernel.events import Event
from node.kernel.ports import Clock


class HelpCall(Base):
    """A day for which helpers are called; none are called for where `people` is 0."""

    __tablename__ = "help_call"
    day: Mapped[date] = mapped_column(primary_key=True)
    people: Mapped[int]
    called_at: Mapped[datetime]


class HelpPromise(Base):
    """A resident who said that they come."""

    __tablename__ = "help_promise"
    day: Mapped[date] = mapped_column(ForeignKey("help_call.day"), primary_key=True)
    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    promised_at: Mapped[datetime]


class OpenCall(NamedTuple):
    """A day that is still to come, how many are needed and who has said that they come."""

    day: date
    people: int
    promised: int
    is_mine: bool  # the reader is one of them


class Needed(Protocol):
    """What a call needs of an event such as HelpersNeeded."""

    day: date
    people: int


def call_for_helpers(session: Session, clock: Clock, event: Event) -> None:
    """A reaction: call for as many as the newest outlook says."""
    needed = cast(Needed, event)
    _set(session, clock, needed.day, needed.people)


def end_call(session: Session, clock: Clock, event: Event) -> None:
    """A reaction: the outlook has changed, the people on duty will do."""
    day = cast(Needed, event).day
    if session.get(HelpCall, day) is not None:
        _set(session, clock, day, 0)


def promise(session: Session, clock: Clock, *, day: date, resident_id: UUID) -> None:
    """Say that one comes; saying it twice is saying it once."""
    call = session.get(HelpCall, day)
    if call is None or call.people == 0:
        raise NotFound(what="call for helpers", id=day.isoformat())
    if session.get(HelpPromise, (day, resident_id)) is None:
        session.add(HelpPromise(day=day, resident_id=resident_id, promised_at=clock.now()))


def take_back(session: Session, *, day: date, resident_id: UUID) -> None:
    """Say that one does not come after all."""
    known = session.get(HelpPromise, (day, resident_id))
    if known is not None:
        session.delete(known)


def open_calls(session: Session, *, after: date, reader_id: UUID | None) -> Sequence[OpenCall]:
    """The calls for days after `after`, the nearest first."""
    promised = dict(
        session.execute(select(HelpPromise.day, func.count()).group_by(HelpPromise.day)).all()
    )
    mine = set(
        session.scalars(select(HelpPromise.day).where(HelpPromise.resident_id == reader_id))
        if reader_id
        else ()
    )
    calls = select(HelpCall).where(HelpCall.day > after, HelpCall.people > 0).order_by(HelpCall.day)
    return [
        OpenCall(one.day, one.people, promised.get(one.day, 0), one.day in mine)
        for one in session.scalars(calls)
    ]


def _set(session: Session, clock: Clock, day: date, people: int) -> None:
    call = session.get(HelpCall, day)
    if call is None:
        session.add(HelpCall(day=day, people=people, called_at=clock.now()))
    elif call.people != people:
        call.people, call.called_at = people, clock.now()
