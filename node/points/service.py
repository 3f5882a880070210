"""Adopt rules, award within the caps, the journal: always inside the caller's transaction.

Points are issued by the house account `issue`; shelf.py says how they are redeemed, clawback.py how
they are taken back.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple, Protocol, cast
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.kernel.errors import IdReused, NotFound
from node.kernel.events import Event, record
from node.kernel.ids import derived_id, new_code
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.points import rules
from node.points.events import PointsAwarded, RulesAdopted
from node.points.model import CatalogueItem, PointsAward, PointsRuleVersion, PointsSecret
from node.points.refusals import (
    DailyCapReached,
    EvidenceNotAccepted,
    EvidenceUsed,
    OwnAward,
    UnknownActivity,
)
from node.points.rules import ActivityRule, EvidenceKind, RuleSet
from node.web.paging import Page, page_of

ISSUE = ledger.house_account("issue", Unit.POINTS)
SHOP = ledger.house_account("shop", Unit.POINTS)
SECRET_LENGTH = 32  # of 30 characters each: 157 bits
ISSUED_MAX = 1_000_000_000  # points a community can have given out at one time
_AWARD = "award"
_ONE = 1  # the only row of the secret
_IN_TIME = [PointsAward.awarded_at, PointsAward.id]


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
    session.add(PointsSecret(id=_ONE, secret=new_code(SECRET_LENGTH)))
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
    record(session, RulesAdopted(version=row.version, motion_id=motion_id))
    return row.version


def versions(session: Session, *, limit: int, after: str | None = None) -> Page[PointsRuleVersion]:
    """Every version of the rules there has been, newest first."""
    query, key = select(PointsRuleVersion), [PointsRuleVersion.version]
    return page_of(session, query, key, limit=limit, after=after, is_newest_first=True)


def version(session: Session, number: int) -> RuleSet:
    """The rules of one version; refuses one that never was."""
    row = session.get(PointsRuleVersion, number)
    if row is None:
        raise NotFound(what="rule version", id=str(number))
    return rules.from_json(row.content)


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
    day: date | None = None,
) -> PointsAward:
    """Thank a resident for one act, under the rules in force and within the caps of its day.

    Without `day` it was today.
    """
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
    if evidence.kind not in rule.evidence:
        raise EvidenceNotAccepted(activity=activity, kind=evidence.kind.value)
    if _evidence_used(session, resident_id, activity, evidence.reference):
        raise EvidenceUsed
    points = rules.earned(rule, minutes=minutes)
    day = day or rules.local_day(clock.now())
    left = _headroom(session, current.rules, rule, resident_id, day)
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
        day=day,
        awarded_by=awarded_by,
    )
    return _write_award(session, clock, row)


def awards_of(
    session: Session, resident_id: UUID, *, limit: int, after: str | None = None
) -> Page[PointsAward]:
    """A resident's awards, newest first."""
    query = select(PointsAward).where(PointsAward.resident_id == resident_id)
    return page_of(session, query, _IN_TIME, limit=limit, after=after, is_newest_first=True)


def journal(session: Session, *, limit: int, after: str | None = None) -> Page[PointsAward]:
    """The latest awards of everybody, for the public page; it shows pseudonyms, never names."""
    query = select(PointsAward)
    return page_of(session, query, _IN_TIME, limit=limit, after=after, is_newest_first=True)


def find_award(session: Session, award_id: UUID | None) -> PointsAward | None:
    """The award with this id, if there is one."""
    return session.get(PointsAward, award_id) if award_id else None


def secret(session: Session) -> str:
    """What this house's pseudonyms are keyed with."""
    return session.get_one(PointsSecret, _ONE).secret


def own_points(session: Session, resident_id: UUID) -> tuple[int, int]:
    """What a resident has, and what of it is not promised; both below zero after a clawback."""
    account_id = ledger.resident_account(resident_id, Unit.POINTS)
    return ledger.balance(session, account_id), ledger.available(session, account_id)


def award_what_fits(
    session: Session,
    clock: Clock,
    resident_id: UUID,
    activity: str,
    evidence: Evidence,
    *,
    minutes: int | None = None,
    recorded_by: UUID | None = None,
) -> PointsAward | None:
    """Award up to the day's cap: what caused this already took place, and a cap may not undo it.

    None where the rules give nothing for it, the cap is reached, or it was counted before.
    """
    current = in_force(session)
    rule = current.rules.activities.get(activity)
    if rule is None or evidence.kind not in rule.evidence:
        return None
    if _evidence_used(session, resident_id, activity, evidence.reference):
        return None
    minutes = minutes if rule.per is rules.Per.HOUR else None
    if rule.per is rules.Per.HOUR and minutes is None:
        return None
    day = rules.local_day(clock.now())
    left = _headroom(session, current.rules, rule, resident_id, day)
    points = min(left, rules.earned(rule, minutes=minutes))
    if points == 0:
        return None
    row = PointsAward(
        id=derived_id("award", activity, resident_id, evidence.reference),
        resident_id=resident_id,
        activity=activity,
        rule_version=current.version,
        evidence_kind=evidence.kind.value,
        evidence_id=evidence.reference,
        minutes=minutes,
        points=points,
        day=day,
        awarded_by=recorded_by,
    )
    return _write_award(session, clock, row)


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
    thank_for_exchange(session, clock, exchange, exchange.exchange_id)


def award_for_repair(session: Session, clock: Clock, event: Event) -> None:
    """Telling how a repair went earns points once the council's rules name `repair_feedback`."""
    repair = cast(RatedRepair, event)
    evidence = Evidence(EvidenceKind.REPAIR, repair.key)
    award_what_fits(session, clock, repair.reporter_id, "repair_feedback", evidence)


def thank_for_exchange(
    session: Session, clock: Clock, exchange: ConfirmedExchange, reference: UUID
) -> None:
    """Thank the helper of an exchange; `reference` makes it once."""
    evidence = Evidence(EvidenceKind.EXCHANGE, reference)
    award_what_fits(
        session, clock, exchange.provider_id, "volunteering", evidence, minutes=exchange.minutes
    )


def _write_award(session: Session, clock: Clock, row: PointsAward) -> PointsAward:
    row.awarded_at = clock.now()
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
    record(session, PointsAwarded(row.id, row.resident_id, row.activity, row.points))
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
