"""Tell residents, show them their inbox, send what they want sent: in the caller's transaction."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from node.kernel.errors import NotFound
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.notices import rules
from node.notices.model import Notice, NoticeDelivery, NoticeRead, NoticeWay
from node.notices.refusals import NoConsent
from node.notices.rules import Audience, Channel, DeliveryState
from node.residents import privacy
from node.residents import service as residents
from node.residents.model import Resident
from node.residents.rules import Purpose

Details = Mapping[str, str | int]


class Told(NamedTuple):
    """A notice as its reader sees it."""

    notice: Notice
    details: dict[str, str | int]
    is_read: bool


class Queue(NamedTuple):
    """How the messages to providers stand, for the operator."""

    waiting: int
    given_up: int
    oldest_waiting: datetime | None


def tell(
    session: Session,
    clock: Clock,
    *,
    notice_id: UUID,
    resident_id: UUID,
    kind: str,
    details: Details | None = None,
    link: str = "/inbox",
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> None:
    """Put a notice into a resident's inbox, and into the queue of each way they chose. Once.

    Whoever was erased hears nothing more: what ends with them would fill their inbox again.
    """
    if session.get(Notice, notice_id) is not None:
        return
    if residents.resident(session, resident_id).erased_at is not None:
        return
    notice = Notice(
        id=notice_id,
        resident_id=resident_id,
        audience=None,
        kind=kind,
        details=json.dumps(dict(details or {}), sort_keys=True),
        link=link,
        told_at=clock.now(),
        starts_at=starts_at,
        ends_at=ends_at,
        spread_at=clock.now(),
    )
    session.add(notice)
    session.flush()
    ways = session.scalars(select(NoticeWay).where(NoticeWay.resident_id == resident_id)).all()
    _queue(session, clock, notice, ways)


def announce(
    session: Session,
    clock: Clock,
    *,
    notice_id: UUID,
    audience: Audience,
    kind: str,
    details: Details | None = None,
    link: str = "/inbox",
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> None:
    """Tell an audience, as one row however many they are; `spread` fills the queue. Once."""
    if session.get(Notice, notice_id) is not None:
        return
    session.add(
        Notice(
            id=notice_id,
            resident_id=None,
            audience=audience.value,
            kind=kind,
            details=json.dumps(dict(details or {}), sort_keys=True),
            link=link,
            told_at=clock.now(),
            starts_at=starts_at,
            ends_at=ends_at,
        )
    )


def spread(session: Session, clock: Clock) -> int:
    """Queue the messages of announcements not yet spread; says how many announcements."""
    fresh = session.scalars(select(Notice).where(Notice.spread_at.is_(None)).limit(10)).all()
    for notice in fresh:
        notice.spread_at = clock.now()
        ways = select(NoticeWay)
        if notice.audience == Audience.OWNERS:
            owners = select(Resident.id).where(Resident.is_owner)
            ways = ways.where(NoticeWay.resident_id.in_(owners))
        _queue(session, clock, notice, session.scalars(ways).all())
    return len(fresh)


def inbox(session: Session, *, resident_id: UUID, before: datetime | None = None) -> list[Told]:
    """What this resident was told, newest first, one page of it."""
    query = select(Notice, NoticeRead.read_at).outerjoin(NoticeRead, _is_read_by(resident_id))
    query = query.where(_concerns(session, resident_id))
    if before is not None:
        query = query.where(Notice.told_at < before)
    query = query.order_by(Notice.told_at.desc(), Notice.id).limit(rules.INBOX_PAGE)
    return [
        Told(row.Notice, details_of(row.Notice), row.read_at is not None)
        for row in session.execute(query)
    ]


def unread(session: Session, *, resident_id: UUID) -> int:
    """How many notices wait for this reader."""
    query = (
        select(func.count())
        .select_from(Notice)
        .outerjoin(NoticeRead, _is_read_by(resident_id))
        .where(_concerns(session, resident_id), NoticeRead.read_at.is_(None))
    )
    return session.scalar(query) or 0


def notice_for(session: Session, *, resident_id: UUID, notice_id: UUID) -> Notice:
    """One notice; for whoever it does not concern there is none."""
    query = select(Notice).where(Notice.id == notice_id, _concerns(session, resident_id))
    found = session.scalar(query)
    if found is None:
        raise NotFound(what="notice", id=str(notice_id))
    return found


def details_of(notice: Notice) -> dict[str, str | int]:
    """What stands in the gaps of the notice's sentence."""
    found: dict[str, str | int] = json.loads(notice.details)
    return found


def mark_read(
    session: Session, clock: Clock, *, resident_id: UUID, notice_ids: Iterable[UUID]
) -> None:
    """Remember that these were seen. Those that do not concern the reader are passed over."""
    wanted = and_(Notice.id.in_(list(notice_ids)), _concerns(session, resident_id))
    for notice_id in session.scalars(select(Notice.id).where(wanted)).all():
        if session.get(NoticeRead, (notice_id, resident_id)) is None:
            row = NoticeRead(notice_id=notice_id, resident_id=resident_id, read_at=clock.now())
            session.add(row)


def choose(
    session: Session,
    clock: Clock,
    *,
    resident_id: UUID,
    channel: Channel,
    address: str,
    language: str,
) -> None:
    """From now on notices go this way too; needs the consent that they may leave the house."""
    if Purpose.OUTSIDE_MESSAGES not in privacy.consents(session, resident_id=resident_id):
        raise NoConsent
    session.merge(
        NoticeWay(
            resident_id=resident_id,
            channel=channel.value,
            address=rules.clean_address(channel, address),
            language=language,
            chosen_at=clock.now(),
        )
    )


def leave(session: Session, *, resident_id: UUID, channel: Channel | None = None) -> None:
    """No longer this way (no channel: none at all); what waits for it is called off."""
    ways = [NoticeWay.resident_id == resident_id]
    waiting = [
        NoticeDelivery.resident_id == resident_id,
        NoticeDelivery.state == DeliveryState.WAITING,
    ]
    if channel is not None:
        ways.append(NoticeWay.channel == channel)
        waiting.append(NoticeDelivery.channel == channel)
    session.execute(delete(NoticeWay).where(*ways))
    session.execute(
        update(NoticeDelivery)
        .where(*waiting)
        .values(state=DeliveryState.CALLED_OFF.value, address="")
    )


def ways_of(session: Session, *, resident_id: UUID) -> dict[Channel, NoticeWay]:
    """The ways that this resident chose."""
    found = session.scalars(select(NoticeWay).where(NoticeWay.resident_id == resident_id))
    return {Channel(way.channel): way for way in found}


def queue(session: Session) -> Queue:
    """How the queue to the providers stands."""
    stands = select(NoticeDelivery.state, func.count(), func.min(NoticeDelivery.queued_at))
    found = {
        state: (count, oldest)
        for state, count, oldest in session.execute(stands.group_by(NoticeDelivery.state))
    }
    waiting, oldest = found.get(DeliveryState.WAITING, (0, None))
    return Queue(waiting, found.get(DeliveryState.GIVEN_UP, (0, None))[0], oldest)


def forget(session: Session, *, resident_id: UUID) -> None:
    """Nothing of this resident's inbox and addresses stays."""
    own = select(Notice.id).where(Notice.resident_id == resident_id)
    session.execute(delete(NoticeDelivery).where(NoticeDelivery.resident_id == resident_id))
    session.execute(delete(NoticeWay).where(NoticeWay.resident_id == resident_id))
    session.execute(delete(NoticeRead).where(NoticeRead.resident_id == resident_id))
    session.execute(delete(NoticeRead).where(NoticeRead.notice_id.in_(own)))
    session.execute(delete(Notice).where(Notice.resident_id == resident_id))


def _is_read_by(resident_id: UUID) -> ColumnElement[bool]:
    return and_(NoticeRead.notice_id == Notice.id, NoticeRead.resident_id == resident_id)


def _concerns(session: Session, resident_id: UUID) -> ColumnElement[bool]:
    """Own notices, and announcements since this resident came here."""
    reader = residents.resident(session, resident_id)
    audiences = [Audience.EVERYONE.value]
    if reader.is_owner:
        audiences.append(Audience.OWNERS.value)
    announced = and_(Notice.audience.in_(audiences), Notice.told_at >= reader.joined_at)
    return or_(Notice.resident_id == resident_id, announced)


def _queue(session: Session, clock: Clock, notice: Notice, ways: Iterable[NoticeWay]) -> None:
    ways = list(ways)
    if not ways:
        return
    is_waiting = NoticeDelivery.state == DeliveryState.WAITING
    waiting = session.scalar(select(func.count()).select_from(NoticeDelivery).where(is_waiting))
    room = rules.WAITING_MAX - (waiting or 0)
    for way in ways[: max(room, 0)]:
        session.add(
            NoticeDelivery(
                id=derived_id("delivery", notice.id, way.resident_id, way.channel),
                notice_id=notice.id,
                resident_id=way.resident_id,
                channel=way.channel,
                address=way.address,
                language=way.language,
                queued_at=clock.now(),
                next_at=clock.now(),
            )
        )
