"""What both sides of an exchange hear on its way, and who is given minutes from the pool."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol, cast
from uuid import UUID

from sqlalchemy.orm import Session

from node.kernel.events import Event
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.notices import service
from node.web.language import LOCAL_TIME


class Exchange(Protocol):
    """What is told of an exchange; who the other one is stands on its page."""

    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID


class Requested(Exchange, Protocol):
    answer_by: datetime
    by_provider: bool


class Cancelled(Exchange, Protocol):
    by_provider: bool


class Counted(Exchange, Protocol):
    minutes: int


class Granted(Protocol):
    """Minutes out of the donation pool. Why stays with the social worker: not told on the way."""

    grant_id: UUID
    resident_id: UUID
    minutes: int


def requested(session: Session, clock: Clock, event: Event) -> None:
    """Whoever is asked hears of it, and until when to answer."""
    asked = cast(Requested, event)
    reader = asked.receiver_id if asked.by_provider else asked.provider_id
    day = asked.answer_by.astimezone(LOCAL_TIME).date().isoformat()
    kind = "help_offered" if asked.by_provider else "help_asked"
    _tell(session, clock, asked, (reader,), kind, ends_at=asked.answer_by, day=day)


def accepted(session: Session, clock: Clock, event: Event) -> None:
    """Both hear that it is agreed."""
    _tell_both(session, clock, event, "help_promised")


def declined(session: Session, clock: Clock, event: Event) -> None:
    """Both hear that it will not be."""
    _tell_both(session, clock, event, "help_declined")


def cancelled(session: Session, clock: Clock, event: Event) -> None:
    """The other side hears that it was called off."""
    off = cast(Cancelled, event)
    reader = off.receiver_id if off.by_provider else off.provider_id
    _tell(session, clock, off, (reader,), "help_called_off")


def expired(session: Session, clock: Clock, event: Event) -> None:
    """Both hear that nothing came of it."""
    _tell_both(session, clock, event, "help_expired")


def delivered(session: Session, clock: Clock, event: Event) -> None:
    """Both are asked to confirm."""
    given = cast(Counted, event)
    readers = (given.provider_id, given.receiver_id)
    _tell(session, clock, given, readers, "help_to_confirm", minutes=given.minutes)


def disputed(session: Session, clock: Clock, event: Event) -> None:
    """Both hear that a social worker will look at it."""
    _tell_both(session, clock, event, "help_disputed")


def decided(session: Session, clock: Clock, event: Event) -> None:
    """Both hear what was decided."""
    said = cast(Counted, event)
    readers = (said.provider_id, said.receiver_id)
    _tell(session, clock, said, readers, "help_decided", minutes=said.minutes)


def granted(session: Session, clock: Clock, event: Event) -> None:
    """Whoever was given minutes hears that they can be used."""
    given = cast(Granted, event)
    service.tell(
        session,
        clock,
        notice_id=derived_id("notice", "minutes_granted", given.grant_id),
        resident_id=given.resident_id,
        kind="minutes_granted",
        details={"minutes": given.minutes},
        link="/timebank/statement",
    )


def _tell_both(session: Session, clock: Clock, event: Event, kind: str) -> None:
    exchange = cast(Exchange, event)
    readers = (exchange.provider_id, exchange.receiver_id)
    _tell(session, clock, exchange, readers, kind)


def _tell(
    session: Session,
    clock: Clock,
    exchange: Exchange,
    readers: Iterable[UUID],
    kind: str,
    *,
    ends_at: datetime | None = None,
    **details: str | int,
) -> None:
    for reader in readers:
        service.tell(
            session,
            clock,
            notice_id=derived_id("notice", kind, exchange.exchange_id, reader),
            resident_id=reader,
            kind=kind,
            details=details,
            link=f"/timebank/exchanges/{exchange.exchange_id}",
            ends_at=ends_at,
        )
