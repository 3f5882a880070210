"""Calls for delegates: open with a public seed, stand, draw; in the caller's transaction."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.council import delegates, rules
from node.council.delegates import UNKNOWN, Coverage, Standing
from node.council.model import Candidate, DelegateCall
from node.council.refusals import CallNotOver, CallOver, NotEnoughCandidates
from node.kernel.errors import BadInput, IdReused, NotFound
from node.kernel.events import Event
from node.kernel.ids import new_code
from node.kernel.ports import Clock
from node.residents.model import Resident

CALL_DAYS_MIN, CALL_DAYS_MAX = 3, 60
SEED_LENGTH = 12


class Erased(Protocol):
    """What we need of an event such as ResidentErased."""

    resident_id: UUID


def open_call(
    session: Session, clock: Clock, *, call_id: UUID, title: str, seats: int, days: int
) -> DelegateCall:
    """Call for delegates. The seed that will settle ties is drawn and shown now, before anybody
    stands, so that nobody can wait for a lucky one."""
    title = title.strip()
    known = session.get(DelegateCall, call_id)
    if known is not None:
        if (known.title, known.seats) != (title, seats):
            raise IdReused(id=str(call_id))
        return known
    rules.check_length("title", title, rules.TITLE_LENGTH_MAX)
    if not delegates.SEATS_MIN <= seats <= delegates.SEATS_MAX:
        raise BadInput(field="seats", problem="a council has 3 to 60 seats")
    if not CALL_DAYS_MIN <= days <= CALL_DAYS_MAX:
        raise BadInput(field="days", problem="a call is open for 3 to 60 days")
    call = DelegateCall(
        id=call_id,
        title=title,
        seats=seats,
        seed=new_code(SEED_LENGTH),
        opened_at=clock.now(),
        ends_at=clock.now() + timedelta(days=days),
    )
    session.add(call)
    session.flush()
    return call


def stand(
    session: Session, clock: Clock, *, call_id: UUID, resident_id: UUID, occupation: str
) -> Candidate:
    """Stand as a delegate, or say another occupation while the call is open."""
    call = find(session, call_id)
    if clock.now() >= call.ends_at:
        raise CallOver
    if occupation not in delegates.OCCUPATIONS:
        raise BadInput(field="occupation", problem="please choose one")
    resident = session.get(Resident, resident_id)
    if resident is None:
        raise NotFound(what="resident", id=str(resident_id))
    if not rules.is_eligible(resident.birth_year, this_year=clock.now().year):
        raise BadInput(field="occupation", problem="delegates are 18 or older")
    candidate = session.get(Candidate, (call_id, resident_id))
    if candidate is None:
        candidate = Candidate(call_id=call_id, resident_id=resident_id, stood_at=clock.now())
        session.add(candidate)
    groups = _groups(resident, occupation, this_year=clock.now().year)
    candidate.age_band, candidate.building = groups.age_band, groups.building
    candidate.occupation = occupation
    session.flush()
    return candidate


def withdraw(session: Session, clock: Clock, *, call_id: UUID, resident_id: UUID) -> None:
    """Not stand after all; twice is once."""
    if clock.now() >= find(session, call_id).ends_at:
        raise CallOver
    candidate = session.get(Candidate, (call_id, resident_id))
    if candidate is not None:
        session.delete(candidate)


def draw(session: Session, clock: Clock, *, call_id: UUID) -> DelegateCall:
    """Give out the seats, once, after the call has ended."""
    call = find(session, call_id)
    if call.drawn_at is not None:
        return call
    if clock.now() < call.ends_at:
        raise CallNotOver(until=rules.in_words(call.ends_at))
    standing = candidates(session, call_id)
    if len(standing) < call.seats:
        raise NotEnoughCandidates(candidates=len(standing), seats=call.seats)
    chosen = delegates.choose(map(standing_of, standing), seats=call.seats, seed=call.seed)
    places = {one.resident_id: place for place, one in enumerate(chosen, 1)}
    for candidate in standing:
        candidate.place = places.get(candidate.resident_id)
    call.drawn_at = clock.now()
    return call


def forget(session: Session, _clock: Clock, event: Event) -> None:
    """A reaction: no age, occupation or building stays of who was erased."""
    resident_id = cast(Erased, event).resident_id
    query = select(Candidate).where(Candidate.resident_id == resident_id)
    for candidate in session.scalars(query).all():
        if candidate.place is None:
            session.delete(candidate)
        candidate.age_band = candidate.occupation = candidate.building = UNKNOWN


def find(session: Session, call_id: UUID) -> DelegateCall:
    """The call with this id; refuses an unknown one."""
    call = session.get(DelegateCall, call_id)
    if call is None:
        raise NotFound(what="call", id=str(call_id))
    return call


def all_calls(session: Session, *, limit: int = 20) -> Sequence[DelegateCall]:
    """The calls, newest first."""
    query = select(DelegateCall).order_by(DelegateCall.opened_at.desc(), DelegateCall.id)
    return session.scalars(query.limit(limit)).all()


def candidates(session: Session, call_id: UUID) -> Sequence[Candidate]:
    """Who stands, in the order in which they did."""
    query = select(Candidate).where(Candidate.call_id == call_id)
    return session.scalars(query.order_by(Candidate.stood_at, Candidate.resident_id)).all()


def coverage(session: Session, clock: Clock, call_id: UUID) -> list[Coverage]:
    """Which groups live here, stand and speak. Of occupations only those who stand told us."""
    standing = candidates(session, call_id)
    chosen = [standing_of(one) for one in standing if one.place is not None]
    query = select(Resident).where(Resident.erased_at.is_(None))
    people = [
        _groups(resident, UNKNOWN, this_year=clock.now().year)
        for resident in session.scalars(query)
        if rules.is_eligible(resident.birth_year, this_year=clock.now().year)
    ]
    return delegates.coverage(people, [standing_of(one) for one in standing], chosen)


def standing_of(candidate: Candidate) -> Standing:
    """A candidate as the rule that chooses sees them."""
    return Standing(
        candidate.resident_id, candidate.age_band, candidate.occupation, candidate.building
    )


def _groups(resident: Resident, occupation: str, *, this_year: int) -> Standing:
    band = delegates.age_band(resident.birth_year, this_year=this_year)
    return Standing(resident.id, band, occupation, resident.building or UNKNOWN)
