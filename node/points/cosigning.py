"""Co-signature: a resident says what they did, a second person who was there signs for it.

The second person is another resident, not always the same one, and not one for whom the first
signed on that day. Always inside the caller's transaction.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, IdReused, NotAllowed, NotFound, WrongState
from node.kernel.events import record
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.points import rules, service
from node.points.events import CosignatureAsked
from node.points.model import Claim
from node.points.refusals import (
    EvidenceNotAccepted,
    EvidenceUsed,
    SignedForEachOther,
    SignedTooOften,
    UnknownActivity,
)
from node.points.rules import ClaimState, EvidenceKind
from node.points.service import Evidence
from node.web.paging import Page, page_of


def claim(
    session: Session,
    clock: Clock,
    *,
    claim_id: UUID,
    resident_id: UUID,
    cosigner_id: UUID,
    activity: str,
    minutes: int | None,
    day: date,
    recorded_by: UUID | None = None,
) -> Claim:
    """Say what one did and who was there; nothing is earned until that person has signed."""
    known = session.get(Claim, claim_id)
    if known is not None:
        kept = (known.resident_id, known.cosigner_id, known.activity, known.minutes, known.day)
        if kept != (resident_id, cosigner_id, activity, minutes, day):
            raise IdReused(id=str(claim_id))
        return known
    _check_act(session, clock, activity, minutes, day)
    _check_pair(session, clock, resident_id, cosigner_id, activity, day)
    row = Claim(
        id=claim_id,
        resident_id=resident_id,
        cosigner_id=cosigner_id,
        activity=activity,
        minutes=minutes,
        day=day,
        state=ClaimState.ASKED,
        asked_at=clock.now(),
        recorded_by=recorded_by,
    )
    session.add(row)
    session.flush()
    record(session, CosignatureAsked(claim_id, resident_id, cosigner_id))
    return row


def sign(
    session: Session,
    clock: Clock,
    *,
    claim_id: UUID,
    cosigner_id: UUID,
    signed_by: UUID | None = None,
) -> Claim:
    """The second person says that it was so: the points are awarded. Signing twice is once."""
    row = _mine(session, claim_id, cosigner_id)
    if row.state == ClaimState.SIGNED:
        return row
    _check_open(clock, row)
    if signed_by == row.resident_id:
        raise NotAllowed(what="sign (for yourself)")
    _check_signed_for_each_other(session, row.resident_id, cosigner_id, row.day)
    award = service.award(
        session,
        clock,
        award_id=derived_id("award", "claim", claim_id),
        resident_id=row.resident_id,
        activity=row.activity,
        evidence=Evidence(EvidenceKind.COSIGNATURE, claim_id),
        minutes=row.minutes,
        awarded_by=cosigner_id,
        day=row.day,
    )
    row.award_id = award.id
    row.state, row.answered_at, row.answered_by = ClaimState.SIGNED, clock.now(), signed_by
    return row


def refuse(
    session: Session,
    clock: Clock,
    *,
    claim_id: UUID,
    cosigner_id: UUID,
    refused_by: UUID | None = None,
) -> Claim:
    """The second person says that they cannot sign for it. Saying so twice is once."""
    row = _mine(session, claim_id, cosigner_id)
    if row.state != ClaimState.REFUSED:
        _check_open(clock, row)
        row.state, row.answered_at, row.answered_by = ClaimState.REFUSED, clock.now(), refused_by
    return row


def to_sign(session: Session, clock: Clock, cosigner_id: UUID) -> Sequence[Claim]:
    """What this resident is asked to sign for, oldest first."""
    since = clock.now() - timedelta(days=rules.CLAIM_DAYS)
    waiting = select(Claim).where(
        Claim.cosigner_id == cosigner_id,
        Claim.state == ClaimState.ASKED,
        Claim.asked_at > since,
    )
    return session.scalars(waiting.order_by(Claim.asked_at).limit(rules.CLAIMS_SHOWN_MAX)).all()


def claims_of(
    session: Session, resident_id: UUID, *, limit: int, after: str | None = None
) -> Page[Claim]:
    """What a resident claimed, or is asked to sign for, newest first."""
    mine = or_(Claim.resident_id == resident_id, Claim.cosigner_id == resident_id)
    query, key = select(Claim).where(mine), [Claim.asked_at, Claim.id]
    return page_of(session, query, key, limit=limit, after=after, is_newest_first=True)


def _check_act(
    session: Session, clock: Clock, activity: str, minutes: int | None, day: date
) -> None:
    rule = service.in_force(session).rules.activities.get(activity)
    if rule is None:
        raise UnknownActivity(activity=activity)
    if EvidenceKind.COSIGNATURE not in rule.evidence:
        raise EvidenceNotAccepted(activity=activity, kind=EvidenceKind.COSIGNATURE.value)
    rules.earned(rule, minutes=minutes)
    today = rules.local_day(clock.now())
    if not today - timedelta(days=rules.CLAIM_DAYS) < day <= today:
        raise BadInput(field="day", problem="today, or within the last seven days")


def _check_pair(
    session: Session,
    clock: Clock,
    resident_id: UUID,
    cosigner_id: UUID,
    activity: str,
    day: date,
) -> None:
    if resident_id == cosigner_id:
        raise BadInput(field="cosigner_id", problem="name another person who was there")
    if not ledger.exists(session, ledger.resident_account(cosigner_id, Unit.POINTS)):
        raise NotFound(what="resident", id=str(cosigner_id))
    same = select(Claim.id).where(
        Claim.resident_id == resident_id,
        Claim.cosigner_id == cosigner_id,
        Claim.activity == activity,
        Claim.day == day,
    )
    if session.scalar(same) is not None:
        raise EvidenceUsed
    since = clock.now() - timedelta(days=rules.PAIR_DAYS)
    often = select(func.count()).where(
        Claim.resident_id == resident_id,
        Claim.cosigner_id == cosigner_id,
        Claim.state != ClaimState.REFUSED,
        Claim.asked_at > since,
    )
    if (session.scalar(often) or 0) >= rules.PAIR_SIGNATURES_MAX:
        raise SignedTooOften(times=rules.PAIR_SIGNATURES_MAX, days=rules.PAIR_DAYS)
    _check_signed_for_each_other(session, resident_id, cosigner_id, day)


def _check_signed_for_each_other(
    session: Session, resident_id: UUID, cosigner_id: UUID, day: date
) -> None:
    other_way = select(Claim.id).where(
        Claim.resident_id == cosigner_id,
        Claim.cosigner_id == resident_id,
        Claim.day == day,
        Claim.state == ClaimState.SIGNED,
    )
    if session.scalar(other_way) is not None:
        raise SignedForEachOther


def _check_open(clock: Clock, row: Claim) -> None:
    is_late = row.asked_at + timedelta(days=rules.CLAIM_DAYS) <= clock.now()
    if row.state != ClaimState.ASKED or is_late:
        state = ClaimState.EXPIRED.value if row.state == ClaimState.ASKED else row.state
        raise WrongState(what="claim", state=state, needed=ClaimState.ASKED.value)


def _mine(session: Session, claim_id: UUID, cosigner_id: UUID) -> Claim:
    row = session.get(Claim, claim_id)
    if row is None or row.cosigner_id != cosigner_id:
        raise NotFound(what="claim", id=str(claim_id))
    return row
