"""Gatherings with a rotating code: who types it was there, and is thanked once for each gathering.

What is counted by the hour takes two codes, one on coming and one on leaving; the minutes between
them earn the points. Always inside the caller's transaction.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, IdReused, NotFound
from node.kernel.ports import Clock
from node.points import codes, service
from node.points.model import CodeTries, Gathering, Presence
from node.points.refusals import (
    EvidenceNotAccepted,
    GatheringNotOpen,
    OwnAward,
    TooManyTries,
    UnknownActivity,
)
from node.points.rules import EvidenceKind, Per
from node.points.service import Evidence
from node.web.paging import Page, page_of

GATHERING_TIME_MAX = timedelta(hours=12)
LEAVING_TIME = timedelta(minutes=30)  # after the end, in which those who stayed may still sign out
STAY_TIME_MIN = timedelta(minutes=15)  # between the two codes of an hour
PLACE_LENGTH_MAX = 60
SHOWN_MAX = 50


def open_gathering(
    session: Session,
    clock: Clock,
    *,
    gathering_id: UUID,
    activity: str,
    place: str,
    closes_at: datetime,
    secret: str,
    opened_by: UUID | None,
) -> Gathering:
    """Let a screen show the code from now on until `closes_at`."""
    known = session.get(Gathering, gathering_id)
    if known is not None:
        if (known.activity, known.place) != (activity, place):
            raise IdReused(id=str(gathering_id))
        return known
    rule = service.in_force(session).rules.activities.get(activity)
    if rule is None:
        raise UnknownActivity(activity=activity)
    if EvidenceKind.ONSITE_CODE not in rule.evidence:
        raise EvidenceNotAccepted(activity=activity, kind=EvidenceKind.ONSITE_CODE.value)
    if not 0 < len(place) <= PLACE_LENGTH_MAX or not place.isprintable():
        raise BadInput(field="place", problem="give 1 to 60 characters")
    if not clock.now() < closes_at <= clock.now() + GATHERING_TIME_MAX:
        raise BadInput(field="closes_at", problem="within the next twelve hours")
    row = Gathering(
        id=gathering_id,
        activity=activity,
        place=place,
        opens_at=clock.now(),
        closes_at=closes_at,
        secret=secret,
        opened_by=opened_by,
    )
    session.add(row)
    return row


def check_in(
    session: Session,
    clock: Clock,
    *,
    gathering_id: UUID,
    resident_id: UUID,
    code: str,
    recorded_by: UUID | None = None,
) -> Presence | None:
    """Type the code on coming (and, where hours count, again on leaving); None: a wrong code.

    A wrong one is counted in this transaction, so the edge refuses only after the commit.
    """
    gathering, now = find(session, gathering_id), clock.now()
    if gathering.opened_by == resident_id:
        raise OwnAward
    present = session.get(Presence, (gathering_id, resident_id))
    ends_at = gathering.closes_at + (LEAVING_TIME if present else timedelta(0))
    if not gathering.opens_at <= now < ends_at:
        raise GatheringNotOpen
    if not _code_fits(session, gathering, resident_id, code, now):
        return None
    rule = service.in_force(session).rules.activities.get(gathering.activity)
    if rule is None:
        raise UnknownActivity(activity=gathering.activity)
    if present is None:
        present = Presence(
            gathering_id=gathering_id,
            resident_id=resident_id,
            came_at=now,
            recorded_by=recorded_by,
        )
        session.add(present)
        if rule.per is not Per.HOUR:
            _thank(session, clock, gathering, present, minutes=None)
    elif rule.per is Per.HOUR and present.left_at is None and _has_stayed(present, now):
        present.left_at = now
        minutes = int((now - present.came_at).total_seconds()) // 60
        _thank(session, clock, gathering, present, minutes=minutes)
    return present


def find(session: Session, gathering_id: UUID) -> Gathering:
    """The gathering with this id; refuses an unknown one."""
    row = session.get(Gathering, gathering_id)
    if row is None:
        raise NotFound(what="gathering", id=str(gathering_id))
    return row


def open_now(session: Session, clock: Clock) -> Sequence[Gathering]:
    """Where people are at this moment, the one that ends first on top."""
    running = select(Gathering).where(
        Gathering.opens_at <= clock.now(), Gathering.closes_at > clock.now()
    )
    return session.scalars(running.order_by(Gathering.closes_at).limit(SHOWN_MAX)).all()


def to_leave(session: Session, clock: Clock, resident_id: UUID) -> Sequence[Gathering]:
    """Where this resident came and has not yet said that they leave, though the screen is off."""
    since = clock.now() - LEAVING_TIME
    mine = (
        select(Gathering)
        .join(Presence, Presence.gathering_id == Gathering.id)
        .where(
            Presence.resident_id == resident_id,
            Presence.left_at.is_(None),
            Presence.award_id.is_(None),
            Gathering.closes_at <= clock.now(),
            Gathering.closes_at > since,
        )
    )
    return session.scalars(mine.limit(SHOWN_MAX)).all()


def presence(session: Session, gathering_id: UUID, resident_id: UUID) -> Presence | None:
    """A resident's stay at a gathering, if they came."""
    return session.get(Presence, (gathering_id, resident_id))


def people_at(
    session: Session, gathering_id: UUID, *, limit: int, after: str | None = None
) -> Page[Presence]:
    """Who came, in the order in which they did."""
    query = select(Presence).where(Presence.gathering_id == gathering_id)
    return page_of(
        session, query, [Presence.came_at, Presence.resident_id], limit=limit, after=after
    )


def close_early(session: Session, clock: Clock, *, gathering_id: UUID) -> Gathering:
    """End a gathering now; who came may still sign out for a while."""
    row = find(session, gathering_id)
    if row.closes_at > clock.now():
        row.closes_at = max(clock.now(), row.opens_at + timedelta(seconds=1))
    return row


def _has_stayed(present: Presence, now: datetime) -> bool:
    """Long enough that the second code is a leaving, and not the first one typed again."""
    return now - present.came_at >= STAY_TIME_MIN


def _thank(
    session: Session, clock: Clock, gathering: Gathering, present: Presence, *, minutes: int | None
) -> None:
    award = service.award_what_fits(
        session,
        clock,
        present.resident_id,
        gathering.activity,
        Evidence(EvidenceKind.ONSITE_CODE, gathering.id),
        minutes=minutes,
        recorded_by=present.recorded_by,
    )
    present.award_id = award.id if award else None


def _code_fits(
    session: Session, gathering: Gathering, resident_id: UUID, code: str, now: datetime
) -> bool:
    tries = session.get(CodeTries, (gathering.id, resident_id))
    pause = timedelta(seconds=codes.TRIES_PAUSE_SECONDS)
    if tries is not None and tries.failed >= codes.TRIES_MAX:
        left = tries.last_at + pause - now
        if left > timedelta(0):
            raise TooManyTries(minutes=-(-int(left.total_seconds()) // 60))
        tries.failed = 0
    if codes.fits(gathering.secret, code, now):
        return True
    if tries is None:
        tries = CodeTries(gathering_id=gathering.id, resident_id=resident_id, failed=0, last_at=now)
        session.add(tries)
    tries.failed, tries.last_at = tries.failed + 1, now
    return False
