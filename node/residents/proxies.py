"""A relative acts for an elder: for what, until when, and how the elder agreed."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, IdReused, NotFound
from node.kernel.events import record
from node.kernel.ports import Clock
from node.residents import rules
from node.residents.events import ProxyAgreed
from node.residents.model import Proxy, Resident
from node.residents.refusals import NoProxy, NoSuchPerson
from node.residents.rules import Evidence, Scope
from node.residents.service import resident


class Agreement(NamedTuple):
    """An agreement with the names that belong to it."""

    proxy: Proxy
    elder: str
    helper: str
    recorder: str  # empty: a program's token


def agree_proxy(
    session: Session,
    clock: Clock,
    *,
    proxy_id: UUID,
    elder_id: UUID,
    helper_id: UUID,
    scope: Scope,
    ends_at: datetime,
    recorded_by: UUID,
    evidence: Evidence = Evidence.IN_PERSON,
) -> Proxy:
    """Record that an elder lets a relative act for them, for what, and until when."""
    known = session.get(Proxy, proxy_id)
    if known is not None:
        if (known.elder_id, known.helper_id, known.scope) != (elder_id, helper_id, scope.value):
            raise IdReused(id=str(proxy_id))
        return known
    if elder_id == helper_id:
        raise BadInput(field="helper_id", problem="nobody needs a proxy for themselves")
    if not clock.now() < ends_at <= clock.now() + rules.PROXY_TIME_MAX:
        raise BadInput(field="ends_at", problem="an agreement ends within a year")
    for resident_id in (elder_id, helper_id):
        resident(session, resident_id)
    agreed = Proxy(
        id=proxy_id,
        elder_id=elder_id,
        helper_id=helper_id,
        scope=scope.value,
        agreed_at=clock.now(),
        recorded_by=recorded_by,
        evidence=evidence.value,
        ends_at=ends_at,
    )
    session.add(agreed)
    record(session, ProxyAgreed(proxy_id=proxy_id, elder_id=elder_id, helper_id=helper_id))
    return agreed


def proxy(session: Session, proxy_id: UUID) -> Proxy:
    """The agreement with this id; refuses an unknown one."""
    found = session.get(Proxy, proxy_id)
    if found is None:
        raise NotFound(what="agreement", id=str(proxy_id))
    return found


def withdraw_proxy(session: Session, clock: Clock, *, proxy_id: UUID) -> None:
    """End an agreement now, whichever of the two wants it. Ending it twice is once."""
    ended = proxy(session, proxy_id)
    ended.withdrawn_at = ended.withdrawn_at or clock.now()


def scopes_for(
    session: Session, clock: Clock, *, helper_id: UUID, elder_id: UUID
) -> frozenset[Scope]:
    """What `helper_id` may do for `elder_id` now; nothing is a refusal."""
    rows = session.scalars(
        select(Proxy.scope).where(
            Proxy.helper_id == helper_id,
            Proxy.elder_id == elder_id,
            Proxy.withdrawn_at.is_(None),
            Proxy.ends_at > clock.now(),
        )
    )
    scopes = frozenset(Scope(scope) for scope in rows)
    if not scopes:
        raise NoProxy
    return scopes


def elders_of(session: Session, clock: Clock, *, helper_id: UUID) -> Sequence[Resident]:
    """For whom a resident may act now."""
    query = (
        select(Resident)
        .join(Proxy, Proxy.elder_id == Resident.id)
        .where(
            Proxy.helper_id == helper_id,
            Proxy.withdrawn_at.is_(None),
            Proxy.ends_at > clock.now(),
        )
        .distinct()
    )
    return session.scalars(query).all()


def named(session: Session, *, name: str, phone: str) -> UUID:
    """Who has this name and this number; one refusal for all else, so that nobody can probe."""
    query = select(Resident.id).where(Resident.phone == phone, Resident.name == name)
    found = session.scalar(query)
    if found is None:
        raise NoSuchPerson
    return found


def agreements(session: Session, clock: Clock, *, resident_id: UUID) -> list[Agreement]:
    """The agreements in force in which a resident is the elder or the helper, soonest end first."""
    query = (
        select(Proxy)
        .where(
            or_(Proxy.elder_id == resident_id, Proxy.helper_id == resident_id),
            Proxy.withdrawn_at.is_(None),
            Proxy.ends_at > clock.now(),
        )
        .order_by(Proxy.ends_at, Proxy.id)
    )
    found = session.scalars(query).all()
    people = {one for each in found for one in (each.elder_id, each.helper_id, each.recorded_by)}
    rows = session.execute(select(Resident.id, Resident.name).where(Resident.id.in_(people)))
    names = {row.id: row.name for row in rows}
    return [
        Agreement(
            each, names[each.elder_id], names[each.helper_id], names.get(each.recorded_by, "")
        )
        for each in found
    ]
