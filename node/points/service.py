"""Award, reverse, adopt rules, answer to events: always inside the caller's transaction.

Points are issued by the house account `issue`; shelf.py says how they are redeemed.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple, Protocol, cast
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.kernel.errors import IdReused, NotFound
from node.kernel.events import Event
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.points import rules
from node.points.model import CatalogueItem, PointsAward, PointsRuleVersion
from node.points.refusals import DailyCapReached, EvidenceUsed, OwnAward, UnknownActivity
from node.points.rules import ActivityRule, EvidenceKind, RuleSet

ISSUE = ledger.house_account("issue", Unit.POINTS)
SHOP = ledger.house_account("shop", Unit.POINTS)
ISSUED_MAX = 1_000_000_000  # points a community can have given out at one time
JOURNAL_ROWS = 50  # of the public journal, on one page
_AWARD = "award"
_REVERSAL = "award_reversal"


class Evidence(NamedTuple):
    """What shows that the act took place."""

    kind: EvidenceKind
    reference: UUID


class InForce(NamedTuple):
    """A version of the rules, read."""

    version: int
    rules: RuleSet


def prepare(session: Session, clock: Clock) -> None:
    """Open the house accounts, put the first rules in force and fill the catalogue, once."""
    for account_id, name, floor in ((ISSUE, "issue", -ISSUED_MAX), (SHOP, "shop", 0)):
        ledger.open_account(
            session, account_id=account_id, unit=Unit.POINTS, kind="house", owner=name, floor=floor
        )
    if session.get(PointsRuleVersion, rules.FIRST_VERSION) is not None:
        return
    content = rules.as_json(rules.FIRST_RULES)
    session.add(
        PointsRuleVersion(
            version=rules.FIRST_VERSION, in_force_from=clock.now(), motion_id=None, content=content
        )
    )
    for item in rules.FIRST_CATALOGUE:
        session.add(
            CatalogueItem(code=item.code, title=item.title, points=item.points, stock=item.stock)
        )


def in_force(session: Session) -> InForce:
    """The rules that count now."""
    newest = select(PointsRuleVersion).order_by(PointsRuleVersion.version.desc()).limit(1)
    row = session.scalars(newest).one()
    return InForce(row.version, rules.from_json(row.content))


def adopt(session: Session, clock: Clock, *, motion_id: UUID, change: Mapping[str, Any]) -> int:
    """Put a motion's change of the rules in force from now on; returns the new version."""
    earlier = select(PointsRuleVersion.version).where(PointsRuleVersion.motion_id == motion_id)
    if (known := session.scalar(earlier)) is not None:
        return known
    before = in_force(session)
    content = rules.as_json(rules.changed(before.rules, change))
    row = PointsRuleVersion(
        version=before.version + 1,
        in_force_from=clock.now(),
        motion_id=motion_id,
        content=content,
    )
    session.add(row)
    return row.version


def award(
    session: Session,
    clock: Clock,
    *,
    award_id: UUID,
    resident_id: UUID,
    activity: str,
    evidence: Evidence,
    minutes: int | None = None,
    awarded_by: UUID | None = None,
) -> PointsAward:
    """Thank a resident for one act, under the rules in force and within the day's caps."""
    known = session.get(PointsAward, award_id)
    if known is not None:
        asked = (resident_id, activity, *evidence, minutes)
        kept = (known.resident_id, known.activity, known.evidence_kind, known.evidence_id)
        if (*kept, known.minutes) != asked:
            raise IdReused(id=str(award_id))
        return known
    if awarded_by == resident_id:
        raise OwnAward
    current = in_force(session)
    rule = current.rules.activities.get(activity)
    if rule is None:
        raise UnknownActivity(activity=activity)
    if _evidence_used(session, resident_id, activity, evidence.reference):
        raise EvidenceUsed
    points = rules.earned(rule, minutes=minutes)
    left = _headroom(session, current.rules, rule, resident_id, rules.local_day(clock.now()))
    if points > left:
        raise DailyCapReached(left=left, needed=points)
    row = PointsAward(
        id=award_id,
        resident_id=resident_id,
        activity=activity,
        rule_version=current.version,
        evidence_kind=evidence.kind.value,
        evidence_id=evidence.reference,
        minutes=minutes,
        points=points,
        awarded_by=awarded_by,
    )
    return _write_award(session, clock, row)


def reverse_award(
    session: Session, clock: Clock, *, award_id: UUID, reversed_by: UUID | None
) -> PointsAward:
    """Take back the points of an act that did not take place. Reversing twice is once."""
    row = session.get(PointsAward, award_id)
    if row is None:
        raise NotFound(what="award", id=str(award_id))
    if row.reversed_at is None:
        entry_id = derived_id(_REVERSAL, award_id)
        ledger.reverse(session, clock, entry_id=entry_id, reverses=award_id, reason=_REVERSAL)
        row.reversed_at, row.reversed_by = clock.now(), reversed_by
    return row


def awards_of(
    session: Session, resident_id: UUID, *, limit: int = JOURNAL_ROWS
) -> Sequence[PointsAward]:
    """A resident's awards, newest first."""
    query = select(PointsAward).where(PointsAward.resident_id == resident_id)
    newest_first = query.order_by(PointsAward.awarded_at.desc(), PointsAward.id.desc())
    return session.scalars(newest_first.limit(limit)).all()


def journal(session: Session, *, limit: int = JOURNAL_ROWS) -> Sequence[PointsAward]:
    """The latest awards of everybody, for the public page; it shows pseudonyms, never names."""
    query = select(PointsAward).order_by(PointsAward.awarded_at.desc(), PointsAward.id.desc())
    return session.scalars(query.limit(limit)).all()


# What follows from what happened elsewhere; node/reactions.py says when.


class ProposedChange(Protocol):
    """A motion that may ask for other points rules."""

    motion_id: UUID
    rule_change: Mapping[str, Any] | None


class ConfirmedExchange(Protocol):
    """Minutes that two residents confirmed."""

    exchange_id: UUID
    provider_id: UUID
    minutes: int


class RatedRepair(Protocol):
    """A repair whose reporter told how it went."""

    key: UUID
    reporter_id: UUID


def check_rule_change(session: Session, clock: Clock, event: Event) -> None:
    """Refuse a motion whose change of the rules could not be adopted, on the day it is moved."""
    motion = cast(ProposedChange, event)
    if motion.rule_change is not None:
        rules.changed(in_force(session).rules, motion.rule_change)


def adopt_rules_if_any(session: Session, clock: Clock, event: Event) -> None:
    """A carried motion's change of the rules is in force from its resolution on."""
    motion = cast(ProposedChange, event)
    if motion.rule_change is not None:
        adopt(session, clock, motion_id=motion.motion_id, change=motion.rule_change)


def award_for_exchange(session: Session, clock: Clock, event: Event) -> None:
    """An hour given to a neighbour is volunteering: thank the one who gave it."""
    exchange = cast(ConfirmedExchange, event)
    evidence = Evidence(EvidenceKind.EXCHANGE, exchange.exchange_id)
    _award_what_fits(
        session, clock, exchange.provider_id, "volunteering", evidence, minutes=exchange.minutes
    )


def award_for_repair(session: Session, clock: Clock, event: Event) -> None:
    """Telling how a repair went earns points once the council's rules name `repair_feedback`."""
    repair = cast(RatedRepair, event)
    evidence = Evidence(EvidenceKind.REPAIR, repair.key)
    _award_what_fits(session, clock, repair.reporter_id, "repair_feedback", evidence)


def _award_what_fits(
    session: Session,
    clock: Clock,
    resident_id: UUID,
    activity: str,
    evidence: Evidence,
    *,
    minutes: int | None = None,
) -> None:
    """Award up to the day's cap: what caused this already took place, and a cap may not undo it."""
    current = in_force(session)
    rule = current.rules.activities.get(activity)
    if rule is None or _evidence_used(session, resident_id, activity, evidence.reference):
        return
    minutes = minutes if rule.per is rules.Per.HOUR else None
    if rule.per is rules.Per.HOUR and minutes is None:
        return
    left = _headroom(session, current.rules, rule, resident_id, rules.local_day(clock.now()))
    points = min(left, rules.earned(rule, minutes=minutes))
    if points == 0:
        return
    row = PointsAward(
        id=derived_id("award", activity, resident_id, evidence.reference),
        resident_id=resident_id,
        activity=activity,
        rule_version=current.version,
        evidence_kind=evidence.kind.value,
        evidence_id=evidence.reference,
        minutes=minutes,
        points=points,
        awarded_by=None,
    )
    _write_award(session, clock, row)


def _write_award(session: Session, clock: Clock, row: PointsAward) -> PointsAward:
    row.awarded_at, row.day = clock.now(), rules.local_day(clock.now())
    ledger.transfer(
        session,
        clock,
        entry_id=row.id,
        payer_id=ISSUE,
        payee_id=ledger.resident_account(row.resident_id, Unit.POINTS),
        amount=row.points,
        reason=_AWARD,
        refers_to=row.evidence_id,
    )
    session.add(row)
    session.flush()
    return row


def _evidence_used(session: Session, resident_id: UUID, activity: str, evidence_id: UUID) -> bool:
    query = select(PointsAward.id).where(
        PointsAward.resident_id == resident_id,
        PointsAward.activity == activity,
        PointsAward.evidence_id == evidence_id,
    )
    return session.scalar(query) is not None


def _headroom(
    session: Session, current: RuleSet, rule: ActivityRule, resident_id: UUID, day: date
) -> int:
    """What the day's caps leave; counted in the transaction that writes, so no race passes it."""
    query = (
        select(PointsAward.activity, func.sum(PointsAward.points))
        .where(PointsAward.resident_id == resident_id, PointsAward.day == day)
        .where(PointsAward.reversed_at.is_(None))
        .group_by(PointsAward.activity)
    )
    by_activity = {activity: int(points) for activity, points in session.execute(query)}
    return rules.headroom(
        current,
        rule,
        earned_by_activity=by_activity.get(rule.activity, 0),
        earned_today=sum(by_activity.values()),
    )
