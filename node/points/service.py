"""Award, reserve, collect, release, reverse, adopt rules: always inside the caller's transaction.

Points are issued by the house account `issue`, and go to `shop` when something is collected.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple, Protocol, cast
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from node.kernel.errors import IdReused, NotFound, WrongState
from node.kernel.events import Event
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.points import rules
from node.points.model import CatalogueItem, PointsAward, PointsRuleVersion, Redemption
from node.points.refusals import (
    DailyCapReached,
    EvidenceUsed,
    OutOfStock,
    OwnAward,
    UnknownActivity,
    WrongPickupCode,
)
from node.points.rules import ActivityRule, EvidenceKind, RedemptionState, RuleSet

ISSUE = ledger.house_account("issue", Unit.POINTS)
SHOP = ledger.house_account("shop", Unit.POINTS)
ISSUED_MAX = 1_000_000_000  # points a community can have given out at one time
JOURNAL_ROWS = 50  # of the public journal, on one page
_AWARD = "award"
_REDEMPTION = "redemption"
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


def reserve(
    session: Session,
    clock: Clock,
    *,
    redemption_id: UUID,
    resident_id: UUID,
    item_code: str,
    code: str,
    reserved_by: UUID | None = None,
) -> Redemption:
    """Put an item aside for a resident and hold its points; `code` will collect it."""
    known = session.get(Redemption, redemption_id)
    if known is not None:
        if (known.resident_id, known.item_code) != (resident_id, item_code):
            raise IdReused(id=str(redemption_id))
        return known
    release_overdue(session, clock, item_code=item_code)
    item = session.get(CatalogueItem, item_code, with_for_update=True)
    if item is None:
        raise NotFound(what="item", id=item_code)
    if item.stock < 1:
        raise OutOfStock(item=item.title)
    ledger.place_hold(
        session,
        clock,
        hold_id=redemption_id,
        payer_id=ledger.resident_account(resident_id, Unit.POINTS),
        payee_id=SHOP,
        amount=item.points,
        expires_at=None,  # the shelf gets the item back in the same act: `release_overdue`
        reason=_REDEMPTION,
    )
    _restock(session, item_code, -1)
    row = Redemption(
        id=redemption_id,
        resident_id=resident_id,
        item_code=item_code,
        points=item.points,
        code=code,
        state=RedemptionState.RESERVED,
        reserved_at=clock.now(),
        reserved_by=reserved_by,
        pickup_ends_at=rules.pickup_ends(clock.now()),
    )
    session.add(row)
    return row


def collect(
    session: Session,
    clock: Clock,
    *,
    redemption_id: UUID,
    code: str,
    collected_by: UUID | None = None,
) -> Redemption:
    """Hand an item over to whoever brings the code; the held points are paid to the shop."""
    row = redemption(session, redemption_id)
    if code.strip().upper() != row.code:
        raise WrongPickupCode
    if row.state != RedemptionState.COLLECTED:
        _close(session, clock, row, RedemptionState.COLLECTED, closed_by=collected_by)
        ledger.capture_hold(session, clock, hold_id=redemption_id)
    return row


def release(
    session: Session, clock: Clock, *, redemption_id: UUID, released_by: UUID | None = None
) -> Redemption:
    """Put a reserved item back and give the held points back. Releasing twice is once."""
    row = redemption(session, redemption_id)
    if row.state != RedemptionState.RELEASED:
        _close(session, clock, row, RedemptionState.RELEASED, closed_by=released_by)
        ledger.void_hold(session, clock, hold_id=redemption_id)
        _restock(session, row.item_code, 1)
    return row


def release_own(
    session: Session,
    clock: Clock,
    *,
    redemption_id: UUID,
    resident_id: UUID,
    released_by: UUID | None = None,
) -> Redemption:
    """`release` for whoever may speak for `resident_id`; other people's stay unknown to them."""
    if redemption(session, redemption_id).resident_id != resident_id:
        raise NotFound(what="redemption", id=str(redemption_id))
    return release(session, clock, redemption_id=redemption_id, released_by=released_by)


def release_overdue(session: Session, clock: Clock, *, item_code: str | None = None) -> int:
    """Put back what nobody collected in time, of one item or of all; returns how many."""
    overdue = select(Redemption.id).where(
        Redemption.state == RedemptionState.RESERVED, Redemption.pickup_ends_at <= clock.now()
    )
    if item_code is not None:
        overdue = overdue.where(Redemption.item_code == item_code)
    late = session.scalars(overdue).all()
    for redemption_id in late:
        release(session, clock, redemption_id=redemption_id)
    return len(late)


def redemption(session: Session, redemption_id: UUID) -> Redemption:
    """The reservation with this id; refuses an unknown one."""
    row = session.get(Redemption, redemption_id)
    if row is None:
        raise NotFound(what="redemption", id=str(redemption_id))
    return row


def reserved_under(session: Session, code: str) -> Redemption:
    """The reservation that waits under this code; refuses an unknown one."""
    waiting = select(Redemption).where(Redemption.state == RedemptionState.RESERVED)
    row = session.scalars(waiting.where(Redemption.code == code.strip().upper())).first()
    if row is None:
        raise WrongPickupCode
    return row


def catalogue(session: Session) -> Sequence[CatalogueItem]:
    """What can be had, cheapest first."""
    by_price = select(CatalogueItem).order_by(CatalogueItem.points, CatalogueItem.code)
    return session.scalars(by_price).all()


def awards_of(
    session: Session, resident_id: UUID, *, limit: int = JOURNAL_ROWS
) -> Sequence[PointsAward]:
    """A resident's awards, newest first."""
    query = select(PointsAward).where(PointsAward.resident_id == resident_id)
    newest_first = query.order_by(PointsAward.awarded_at.desc(), PointsAward.id.desc())
    return session.scalars(newest_first.limit(limit)).all()


def redemptions_of(
    session: Session, resident_id: UUID, *, limit: int = JOURNAL_ROWS
) -> Sequence[Redemption]:
    """A resident's reservations, newest first."""
    query = select(Redemption).where(Redemption.resident_id == resident_id)
    newest_first = query.order_by(Redemption.reserved_at.desc(), Redemption.id.desc())
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


def _close(
    session: Session,
    clock: Clock,
    row: Redemption,
    state: RedemptionState,
    *,
    closed_by: UUID | None,
) -> None:
    if state not in rules.REDEMPTION_NEXT[RedemptionState(row.state)]:
        needed = RedemptionState.RESERVED.value
        raise WrongState(what="redemption", state=row.state, needed=needed)
    row.state, row.closed_at, row.closed_by = state, clock.now(), closed_by


def _restock(session: Session, item_code: str, count: int) -> None:
    table = update(CatalogueItem).where(CatalogueItem.code == item_code)
    session.execute(table.values(stock=CatalogueItem.stock + count))
