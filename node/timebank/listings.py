"""Offers and needs: open one, find what fits, close it. Always inside the caller's transaction."""

from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, IdReused, NotFound
from node.kernel.ports import Clock
from node.residents.model import Resident
from node.timebank import matching, rules, training
from node.timebank.matching import Match, Wish
from node.timebank.model import Listing
from node.timebank.refusals import TooManyListings
from node.timebank.rules import Kind
from node.web.paging import PAGE_ROWS_DEFAULT, Page, page_of

CANDIDATES_MAX = 500  # listings that one search looks at, the newest ones
MATCHES_MAX = 20  # shown


def open_listing(
    session: Session,
    clock: Clock,
    *,
    listing_id: UUID,
    kind: Kind,
    resident_id: UUID,
    service: str,
    times: int,
    minutes: int,
    note: str = "",
    recorded_by: UUID | None = None,
) -> Listing:
    """Say what one offers or needs, and when; it is shown for LISTING_TIME."""
    note = note.strip()
    known = session.get(Listing, listing_id)
    if known is not None:
        kept = (known.kind, known.resident_id, known.service, known.times, known.minutes)
        if kept != (kind, resident_id, service, times, minutes):
            raise IdReused(id=str(listing_id))
        return known
    if service not in rules.SERVICES:
        raise BadInput(field="service", problem="there is no such service")
    if not 0 < times <= matching.ALL_TIMES:
        raise BadInput(field="times", problem="choose at least one day and one part of the day")
    if not 0 < minutes <= rules.EXCHANGE_MINUTES_MAX or minutes % rules.STEP_MINUTES:
        raise BadInput(field="minutes", problem="in steps of 15 minutes, up to eight hours")
    if len(note) > rules.NOTE_LENGTH_MAX:
        raise BadInput(field="note", problem="give at most 200 characters")
    if kind is Kind.OFFER:
        training.check(session, clock, resident_id=resident_id, service=service)
    mine = _open(clock).where(Listing.resident_id == resident_id).subquery()
    if (session.scalar(select(func.count()).select_from(mine)) or 0) >= rules.LISTINGS_MAX:
        raise TooManyListings(limit=rules.LISTINGS_MAX)
    row = Listing(
        id=listing_id,
        kind=kind.value,
        resident_id=resident_id,
        service=service,
        times=times,
        minutes=minutes,
        note=note or None,
        recorded_by=recorded_by,
        opened_at=clock.now(),
        ends_at=clock.now() + rules.LISTING_TIME,
    )
    session.add(row)
    return row


def close_listing(
    session: Session, clock: Clock, *, listing_id: UUID, resident_id: UUID
) -> Listing:
    """Take one's own listing down. Twice is once; other people's stay as they are."""
    row = find(session, listing_id)
    if row.resident_id != resident_id:
        raise NotFound(what="listing", id=str(listing_id))
    row.closed_at = row.closed_at or clock.now()
    return row


def find(session: Session, listing_id: UUID) -> Listing:
    """The listing with this id; refuses an unknown one."""
    row = session.get(Listing, listing_id)
    if row is None:
        raise NotFound(what="listing", id=str(listing_id))
    return row


def is_open(row: Listing, clock: Clock) -> bool:
    """Is it still shown?"""
    return row.closed_at is None and row.ends_at > clock.now()


def listings(
    session: Session,
    clock: Clock,
    *,
    kind: Kind | None = None,
    service: str | None = None,
    resident_id: UUID | None = None,
    limit: int = PAGE_ROWS_DEFAULT,
    after: str | None = None,
) -> Page[Listing]:
    """Open offers and needs, newest first, of one kind, service or resident if so asked."""
    query = _open(clock)
    if kind is not None:
        query = query.where(Listing.kind == kind.value)
    if service is not None:
        query = query.where(Listing.service == service)
    if resident_id is not None:
        query = query.where(Listing.resident_id == resident_id)
    key = [Listing.opened_at, Listing.id]
    return page_of(session, query, key, limit=limit, after=after, is_newest_first=True)


def matches(session: Session, clock: Clock, row: Listing) -> list[Match]:
    """What fits this listing best, with the reasons."""
    other_kind = Kind.OFFER if row.kind == Kind.NEED else Kind.NEED
    candidates = (
        _open(clock)
        .where(
            Listing.service == row.service,
            Listing.kind == other_kind.value,
            Listing.resident_id != row.resident_id,
        )
        .order_by(Listing.opened_at.desc())
        .limit(CANDIDATES_MAX)
    )
    rows = [row, *session.scalars(candidates)]
    living = select(Resident.id, Resident.building).where(
        Resident.id.in_({one.resident_id for one in rows}), Resident.erased_at.is_(None)
    )
    buildings = {resident_id: building for resident_id, building in session.execute(living)}
    wishes = [_wish(one, buildings) for one in rows if one.resident_id in buildings]
    if not wishes or wishes[0].id != row.id:
        return []
    return matching.best(wishes[0], wishes[1:], is_need=row.kind == Kind.NEED, limit=MATCHES_MAX)


def _open(clock: Clock) -> Select[Listing]:
    return select(Listing).where(Listing.closed_at.is_(None), Listing.ends_at > clock.now())


def _wish(row: Listing, buildings: dict[UUID, str | None]) -> Wish:
    return Wish(
        id=row.id,
        resident_id=row.resident_id,
        service=row.service,
        times=row.times,
        minutes=row.minutes,
        building=buildings[row.resident_id],
        opened_at=row.opened_at,
    )
