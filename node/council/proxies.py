"""Written proxies (授权委托书): who votes for whom on one motion, numbered, until it is used.

A proxy given on the web is in writing as well (Civil Code, article 469); one on paper is entered at
the desk, which keeps the paper. Either can be taken back as long as no ballot was put in with it.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.council import motions, rules
from node.council.model import Ballot, RollEntry, Vote, VotingProxy
from node.council.refusals import (
    AlreadyVoted,
    ProxyGiven,
    ProxyMissing,
    ProxyUsed,
    TooManyProxies,
)
from node.council.rules import Step
from node.kernel.errors import BadInput, IdReused, NotFound, WrongState
from node.kernel.ports import Clock
from node.residents.model import Resident

OPEN_STEPS = (Step.COLLECTING, Step.SCREENING, Step.PUBLICITY, Step.ASSEMBLY)


def give(
    session: Session,
    clock: Clock,
    *,
    proxy_id: UUID,
    motion_id: UUID,
    grantor_id: UUID,
    holder_id: UUID,
    is_paper: bool,
    recorded_by: UUID | None = None,
) -> VotingProxy:
    """Let another vote for me on this motion; refuses a holder who carries enough already."""
    known = session.get(VotingProxy, proxy_id)
    if known is not None:
        kept = (known.motion_id, known.grantor_id, known.holder_id)
        if kept != (motion_id, grantor_id, holder_id):
            raise IdReused(id=str(proxy_id))
        return known
    motion = motions.find(session, motion_id)
    if motion.step not in OPEN_STEPS:
        raise WrongState(what="motion", state=motion.step, needed=Step.ASSEMBLY.value)
    _check_pair(session, grantor_id=grantor_id, holder_id=holder_id)
    if _live(session, motion_id, grantor_id=grantor_id):
        raise ProxyGiven
    if _has_voted(session, motion_id, grantor_id):
        raise AlreadyVoted
    if len(_live(session, motion_id, holder_id=holder_id)) >= rules.PROXIES_PER_HOLDER_MAX:
        raise TooManyProxies(limit=rules.PROXIES_PER_HOLDER_MAX)
    last = session.scalar(
        select(func.max(VotingProxy.number)).where(VotingProxy.motion_id == motion_id)
    )
    proxy = VotingProxy(
        id=proxy_id,
        motion_id=motion_id,
        number=(last or 0) + 1,
        grantor_id=grantor_id,
        holder_id=holder_id,
        is_paper=is_paper,
        given_at=clock.now(),
        recorded_by=recorded_by,
    )
    session.add(proxy)
    session.flush()
    return proxy


def revoke(session: Session, clock: Clock, *, proxy_id: UUID) -> VotingProxy:
    """Take a proxy back. Refused once it was used; taking it back twice is once."""
    proxy = find(session, proxy_id)
    if proxy.used_at is not None:
        raise ProxyUsed
    proxy.revoked_at = proxy.revoked_at or clock.now()
    return proxy


def use(
    session: Session, clock: Clock, *, motion_id: UUID, grantor_id: UUID, holder_id: UUID
) -> VotingProxy:
    """The proxy under which a ballot is put in now; from here on it cannot be taken back."""
    for proxy in _live(session, motion_id, grantor_id=grantor_id, holder_id=holder_id):
        if proxy.used_at is None:
            proxy.used_at = clock.now()
            return proxy
    raise ProxyMissing


def find(session: Session, proxy_id: UUID) -> VotingProxy:
    """The proxy with this id; refuses an unknown one."""
    proxy = session.get(VotingProxy, proxy_id)
    if proxy is None:
        raise NotFound(what="proxy", id=str(proxy_id))
    return proxy


def given_by(session: Session, motion_id: UUID, grantor_id: UUID) -> VotingProxy | None:
    """The proxy that this voter gave and that is still good, or was used."""
    return next(iter(_live(session, motion_id, grantor_id=grantor_id)), None)


def carried_by(session: Session, motion_id: UUID, holder_id: UUID) -> Sequence[VotingProxy]:
    """The proxies that this holder can still use."""
    held = _live(session, motion_id, holder_id=holder_id)
    return [proxy for proxy in held if proxy.used_at is None]


def listed(session: Session, motion_id: UUID) -> Sequence[VotingProxy]:
    """Every proxy of a motion by number, for the desk."""
    query = select(VotingProxy).where(VotingProxy.motion_id == motion_id)
    return session.scalars(query.order_by(VotingProxy.number)).all()


def _live(
    session: Session,
    motion_id: UUID,
    *,
    grantor_id: UUID | None = None,
    holder_id: UUID | None = None,
) -> Sequence[VotingProxy]:
    query = select(VotingProxy).where(
        VotingProxy.motion_id == motion_id, VotingProxy.revoked_at.is_(None)
    )
    if grantor_id is not None:
        query = query.where(VotingProxy.grantor_id == grantor_id)
    if holder_id is not None:
        query = query.where(VotingProxy.holder_id == holder_id)
    return session.scalars(query.order_by(VotingProxy.number)).all()


def _check_pair(session: Session, *, grantor_id: UUID, holder_id: UUID) -> None:
    if grantor_id == holder_id:
        raise BadInput(field="holder_id", problem="nobody needs a proxy for themselves")
    for resident_id in (grantor_id, holder_id):
        if session.get(Resident, resident_id) is None:
            raise NotFound(what="resident", id=str(resident_id))


def _has_voted(session: Session, motion_id: UUID, voter_id: UUID) -> bool:
    """Is the ballot of this voter's unit in, in the vote that runs now?"""
    line = RollEntry.__table__.alias()
    query = (
        select(Ballot.id)
        .join(Vote, Vote.id == Ballot.vote_id)
        .join(line, (line.c.vote_id == Vote.id) & (line.c.unit == Ballot.unit))
        .where(Vote.motion_id == motion_id, Vote.closed_at.is_(None), line.c.voter_id == voter_id)
    )
    return session.execute(query).first() is not None
