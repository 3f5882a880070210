"""What residents hear of what happened elsewhere in the house: reactions, joined in reactions.py.

Each takes what it needs of an event by name, so that this slice knows no other.
"""

from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Protocol, cast
from uuid import UUID

from sqlalchemy.orm import Session

from node.kernel.events import Event
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.notices import service
from node.notices.rules import Audience
from node.residents.rules import Purpose
from node.web.language import LOCAL_TIME


class Repair(Protocol):
    """What is told of a request."""

    request_id: int
    key: UUID
    reporter_id: UUID | None
    follower_ids: tuple[UUID, ...]


class Moved(Repair, Protocol):
    before: str
    after: str


class Overdue(Repair, Protocol):
    level: int
    turn: int
    member_ids: tuple[UUID, ...]


class Reopened(Repair, Protocol):
    turn: int


class Merged(Repair, Protocol):
    kept_id: int


class Followed(Protocol):
    request_id: int
    key: UUID
    reporter_id: UUID | None
    follower_id: UUID


class Paid(Protocol):
    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID
    minutes: int


class HelpNeeded(Protocol):
    day: date
    people: int


class Vote(Protocol):
    motion_id: UUID
    ends_at: datetime


class VoteEnded(Protocol):
    motion_id: UUID
    is_carried: bool


class Agreed(Protocol):
    proxy_id: UUID
    elder_id: UUID
    helper_id: UUID


class Resident(Protocol):
    resident_id: UUID


class TakenBack(Resident, Protocol):
    purpose: str


def repair_moved(session: Session, clock: Clock, event: Event) -> None:
    """Reporter and followers hear each step of the work."""
    moved = cast(Moved, event)
    if moved.after == "pending":  # reopened: an event of its own
        return
    kind = f"repair_{moved.after}"
    step = (moved.before, moved.after, clock.now().isoformat())
    _tell_all(session, clock, _concerned(moved), kind, moved, step)


def repair_reopened(session: Session, clock: Clock, event: Event) -> None:
    """Followers hear that it was not fixed; the reporter said so."""
    reopened = cast(Reopened, event)
    followers = set(reopened.follower_ids) - {reopened.reporter_id}
    _tell_all(session, clock, followers, "repair_reopened", reopened, (reopened.turn,))


def repair_overdue(session: Session, clock: Clock, event: Event) -> None:
    """Those it was handed up to are called; reporter and followers hear that it was."""
    late = cast(Overdue, event)
    about = (late.level, late.turn)
    _tell_all(session, clock, late.member_ids, "repair_overdue", late, about)
    _tell_all(session, clock, _concerned(late), "repair_late", late, about, level=late.level)


def repair_followed(session: Session, clock: Clock, event: Event) -> None:
    """The reporter hears that a neighbour has the same trouble; not who it is."""
    followed = cast(Followed, event)
    if followed.reporter_id not in (None, followed.follower_id):
        assert followed.reporter_id is not None
        service.tell(
            session,
            clock,
            notice_id=derived_id("notice", "followed", followed.key, followed.follower_id),
            resident_id=followed.reporter_id,
            kind="repair_followed",
            details={"number": followed.request_id},
            link=f"/repairs/{followed.request_id}",
        )


def repair_merged(session: Session, clock: Clock, event: Event) -> None:
    """Reporter and followers hear under which number it goes on, and are led there."""
    merged = cast(Merged, event)
    for resident_id in sorted(_concerned(merged)):
        service.tell(
            session,
            clock,
            notice_id=derived_id("notice", "merged", merged.key, resident_id, merged.kept_id),
            resident_id=resident_id,
            kind="repair_merged",
            details={"number": merged.request_id, "kept": merged.kept_id},
            link=f"/repairs/{merged.kept_id}",
        )


def hours_paid(session: Session, clock: Clock, event: Event) -> None:
    """Both sides of an exchange hear that it is in the books."""
    paid = cast(Paid, event)
    for resident_id in (paid.provider_id, paid.receiver_id):
        service.tell(
            session,
            clock,
            notice_id=derived_id("notice", "paid", paid.exchange_id, resident_id),
            resident_id=resident_id,
            kind="hours_paid",
            details={"minutes": paid.minutes},
            link="/timebank",
        )


def helpers_needed(session: Session, clock: Clock, event: Event) -> None:
    """Everybody hears of a busy day, once for each day."""
    call = cast(HelpNeeded, event)
    service.announce(
        session,
        clock,
        notice_id=derived_id("notice", "helpers", call.day),
        audience=Audience.EVERYONE,
        kind="helpers_needed",
        details={"day": call.day.isoformat(), "people": call.people},
        link="/timebank",
        starts_at=datetime.combine(call.day, time(8), LOCAL_TIME),
        ends_at=datetime.combine(call.day, time(18), LOCAL_TIME),
    )


def motion_public(session: Session, clock: Clock, event: Event) -> None:
    """Everybody hears that a motion can be read and spoken about."""
    _announce_vote(session, clock, cast(Vote, event), "motion_public", Audience.EVERYONE)


def vote_open(session: Session, clock: Clock, event: Event) -> None:
    """The electorate hears that it can vote, and until when."""
    electorate = str(getattr(event, "electorate", Audience.EVERYONE))
    if electorate == Audience.OWNERS:
        _announce_vote(session, clock, cast(Vote, event), "owners_vote_open", Audience.OWNERS)
    else:
        _announce_vote(session, clock, cast(Vote, event), "vote_open", Audience.EVERYONE)


def vote_closing(session: Session, clock: Clock, event: Event) -> None:
    """A last word before a vote closes."""
    _announce_vote(session, clock, cast(Vote, event), "vote_closing", Audience.EVERYONE)


def vote_ended(session: Session, clock: Clock, event: Event) -> None:
    """Everybody hears how a vote ended."""
    ended = cast(VoteEnded, event)
    kind = "vote_carried" if ended.is_carried else "vote_not_carried"
    _announce(session, clock, kind, ended.motion_id)


def motion_done(session: Session, clock: Clock, event: Event) -> None:
    """Everybody hears that there is an account of what a motion brought."""
    _announce(session, clock, "motion_done", cast(Vote, event).motion_id)


def proxy_agreed(session: Session, clock: Clock, event: Event) -> None:
    """Elder and helper hear of an agreement, whoever wrote it down."""
    agreed = cast(Agreed, event)
    pairs = ((agreed.elder_id, "proxy_agreed"), (agreed.helper_id, "proxy_granted"))
    for resident_id, kind in pairs:
        service.tell(
            session,
            clock,
            notice_id=derived_id("notice", kind, agreed.proxy_id),
            resident_id=resident_id,
            kind=kind,
            link="/proxies",
        )


def forget(session: Session, _clock: Clock, event: Event) -> None:
    """Nothing of an erased resident's inbox and addresses stays."""
    service.forget(session, resident_id=cast(Resident, event).resident_id)


def consent_withdrawn(session: Session, _clock: Clock, event: Event) -> None:
    """Who takes back that notices may leave the house gets them in the inbox alone, from now on."""
    taken_back = cast(TakenBack, event)
    if taken_back.purpose == Purpose.OUTSIDE_MESSAGES:
        service.leave(session, resident_id=taken_back.resident_id)


def _concerned(repair: Repair) -> set[UUID]:
    own = () if repair.reporter_id is None else (repair.reporter_id,)
    return {*own, *repair.follower_ids}


def _tell_all(
    session: Session,
    clock: Clock,
    readers: Iterable[UUID],
    kind: str,
    repair: Repair,
    about: tuple[object, ...],
    **details: int,
) -> None:
    for resident_id in sorted(set(readers)):
        service.tell(
            session,
            clock,
            notice_id=derived_id("notice", kind, repair.key, resident_id, *about),
            resident_id=resident_id,
            kind=kind,
            details={"number": repair.request_id, **details},
            link=f"/repairs/{repair.request_id}",
        )


def _announce_vote(
    session: Session, clock: Clock, vote: Vote, kind: str, audience: Audience
) -> None:
    service.announce(
        session,
        clock,
        notice_id=derived_id("notice", kind, vote.motion_id, vote.ends_at.isoformat()),
        audience=audience,
        kind=kind,
        details={"day": vote.ends_at.astimezone(LOCAL_TIME).date().isoformat()},
        link=f"/council/motions/{vote.motion_id}",
        ends_at=vote.ends_at,
    )


def _announce(session: Session, clock: Clock, kind: str, motion_id: UUID) -> None:
    service.announce(
        session,
        clock,
        notice_id=derived_id("notice", kind, motion_id),
        audience=Audience.EVERYONE,
        kind=kind,
        link=f"/council/motions/{motion_id}",
    )
