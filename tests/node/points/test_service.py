"""Awards within caps, items nobody gets twice, and rules that only a motion changes."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.errors import BadInput, IdReused, WrongState
from node.kernel.events import Event
from node.kernel.ids import derived_id
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.ledger.refusals import InsufficientBalance
from node.points import refusals, service, shelf
from node.points.model import CatalogueItem, PointsAward, Redemption
from node.points.rules import PICKUP_DAYS, EvidenceKind, RedemptionState
from node.points.service import Evidence
from tests.node.points.conftest import CLERK, ELDER, NEIGHBOUR, join

VOUCHER = "market_voucher_10"


def award(
    database: Database,
    clock: VirtualClock,
    name: str,
    *,
    resident_id: UUID = ELDER,
    activity: str = "volunteering",
    minutes: int | None = 60,
    evidence: str | None = None,
    awarded_by: UUID | None = CLERK,
) -> PointsAward:
    proof = Evidence(EvidenceKind.COSIGNATURE, derived_id("evidence", evidence or name))
    return database.do(
        lambda session: service.award(
            session,
            clock,
            award_id=derived_id("award", name),
            resident_id=resident_id,
            activity=activity,
            evidence=proof,
            minutes=minutes,
            awarded_by=awarded_by,
        )
    )


def reserve(
    database: Database, clock: VirtualClock, name: str, *, resident_id: UUID = ELDER
) -> Redemption:
    return database.do(
        lambda session: shelf.reserve(
            session,
            clock,
            redemption_id=derived_id("redemption", name),
            resident_id=resident_id,
            item_code=VOUCHER,
            code="ABCD2345",
        )
    )


def points_of(database: Database, resident_id: UUID = ELDER) -> tuple[int, int]:
    account_id = ledger.resident_account(resident_id, Unit.POINTS)
    with database.read() as session:
        return ledger.balance(session, account_id), ledger.available(session, account_id)


def stock(database: Database) -> int:
    with database.read() as session:
        return session.get_one(CatalogueItem, VOUCHER).stock


def set_stock(database: Database, count: int) -> None:
    def command(session: Any) -> None:
        session.get_one(CatalogueItem, VOUCHER).stock = count

    database.do(command)


def test_an_act_earns_once_however_often_it_is_said(
    database: Database, clock: VirtualClock
) -> None:
    first, again = award(database, clock, "a"), award(database, clock, "a")
    assert (first.points, first.rule_version, first.awarded_by) == (30, 1, CLERK)
    assert again.id == first.id
    assert points_of(database) == (30, 30)
    with pytest.raises(IdReused):
        award(database, clock, "a", minutes=90)
    with pytest.raises(refusals.EvidenceUsed):
        award(database, clock, "b", evidence="a")
    assert points_of(database) == (30, 30)


def test_nobody_thanks_themselves(database: Database, clock: VirtualClock) -> None:
    with pytest.raises(refusals.OwnAward):
        award(database, clock, "a", awarded_by=ELDER)


def test_what_the_rules_do_not_name_earns_nothing(database: Database, clock: VirtualClock) -> None:
    with pytest.raises(refusals.UnknownActivity):
        award(database, clock, "a", activity="voting_yes", minutes=None)


def test_a_cap_holds_for_a_day_and_not_longer(database: Database, clock: VirtualClock) -> None:
    award(database, clock, "a", minutes=180)
    with pytest.raises(refusals.DailyCapReached, match="30 more"):
        award(database, clock, "b", minutes=90)
    award(database, clock, "c", minutes=60)
    clock.advance(timedelta(days=1))
    award(database, clock, "d", minutes=60)
    assert points_of(database)[0] == 150


def test_racing_awards_do_not_pass_the_cap(database: Database, clock: VirtualClock) -> None:
    def command(number: int) -> Any:
        return lambda session: service.award(
            session,
            clock,
            award_id=derived_id("race", number),
            resident_id=ELDER,
            activity="waste_sorting",
            evidence=Evidence(EvidenceKind.ONSITE_CODE, derived_id("code", number)),
        )

    answers = [database.write(command(number)) for number in range(20)]
    wait(answers, timeout=20)
    refused = [answer.exception() for answer in answers if answer.exception()]
    assert len(refused) == 18
    assert {type(refusal) for refusal in refused} == {refusals.DailyCapReached}
    assert points_of(database)[0] == 20


def test_reserve_then_collect_with_the_code(database: Database, clock: VirtualClock) -> None:
    award(database, clock, "a", minutes=240)
    row = reserve(database, clock, "r")
    assert (points_of(database), stock(database)) == ((120, 20), 99)
    with pytest.raises(refusals.WrongPickupCode):
        database.do(
            lambda session: shelf.collect(session, clock, redemption_id=row.id, code="WRONG222")
        )
    for _ in range(2):
        database.do(
            lambda session: shelf.collect(session, clock, redemption_id=row.id, code="abcd 2345 ")
        )
    with database.read() as session:
        assert ledger.balance(session, service.SHOP) == 100
    assert (points_of(database), stock(database)) == ((20, 20), 99)
    with pytest.raises(WrongState):
        database.do(lambda session: shelf.release(session, clock, redemption_id=row.id))


def test_release_gives_back_points_and_item(database: Database, clock: VirtualClock) -> None:
    award(database, clock, "a", minutes=240)
    row = reserve(database, clock, "r")
    for _ in range(2):
        database.do(lambda session: shelf.release(session, clock, redemption_id=row.id))
    assert (points_of(database), stock(database)) == ((120, 120), 100)
    with pytest.raises(WrongState):
        database.do(
            lambda session: shelf.collect(session, clock, redemption_id=row.id, code=row.code)
        )


def test_what_nobody_collects_goes_back_on_the_shelf(
    database: Database, clock: VirtualClock
) -> None:
    award(database, clock, "a", minutes=240)
    award(database, clock, "b", minutes=240, resident_id=NEIGHBOUR)
    set_stock(database, 1)
    late = reserve(database, clock, "late")
    with pytest.raises(refusals.OutOfStock):
        reserve(database, clock, "next", resident_id=NEIGHBOUR)
    clock.advance(timedelta(days=PICKUP_DAYS))
    reserve(database, clock, "next", resident_id=NEIGHBOUR)
    with database.read() as session:
        assert shelf.redemption(session, late.id).state == RedemptionState.RELEASED
    assert (points_of(database), stock(database)) == ((120, 120), 0)


def test_points_that_are_promised_cannot_be_promised_again(
    database: Database, clock: VirtualClock
) -> None:
    award(database, clock, "a", minutes=240)
    reserve(database, clock, "r")
    with pytest.raises(InsufficientBalance):
        reserve(database, clock, "s")
    assert stock(database) == 99


def test_one_of_many_gets_the_last_item(database: Database, clock: VirtualClock) -> None:
    racers = [derived_id("racer", number) for number in range(25)]
    for number, racer in enumerate(racers):
        join(database, clock, resident_id=racer, number=100 + number)
        award(database, clock, f"racer{number}", resident_id=racer, minutes=240)
    set_stock(database, 1)

    def command(racer: UUID) -> Any:
        return lambda session: shelf.reserve(
            session,
            clock,
            redemption_id=derived_id("race", racer),
            resident_id=racer,
            item_code=VOUCHER,
            code="ABCD2345",
        )

    with ThreadPoolExecutor(max_workers=8) as threads:
        answers = list(threads.map(lambda racer: database.write(command(racer)), racers))
    wait(answers, timeout=20)
    outcome = Counter(type(answer.exception()) for answer in answers)
    assert outcome == {type(None): 1, refusals.OutOfStock: 24}
    assert stock(database) == 0
    assert sorted(points_of(database, racer)[1] for racer in racers) == [20] + [120] * 24


@dataclass(frozen=True)
class Moved(Event):
    motion_id: UUID
    rule_change: dict[str, Any] | None


@dataclass(frozen=True)
class Confirmed(Event):
    exchange_id: UUID
    provider_id: UUID
    minutes: int


@dataclass(frozen=True)
class Rated(Event):
    key: UUID
    reporter_id: UUID


def test_a_motion_brings_a_new_version_once(database: Database, clock: VirtualClock) -> None:
    change = {"activities": {"waste_sorting": {"points": 15}}}
    moved = Moved(derived_id("motion"), change)
    for _ in range(2):
        database.do(lambda session: service.adopt_rules_if_any(session, clock, moved))
    database.do(
        lambda session: service.adopt_rules_if_any(
            session, clock, Moved(derived_id("other motion"), None)
        )
    )
    row = award(database, clock, "a", activity="waste_sorting", minutes=None)
    assert (row.points, row.rule_version) == (15, 2)


def test_a_motion_with_an_impossible_change_is_refused(
    database: Database, clock: VirtualClock
) -> None:
    moved = Moved(derived_id("motion"), {"activities": {"waste_sorting": {"points": -1}}})
    with pytest.raises(BadInput):
        database.do(lambda session: service.check_rule_change(session, clock, moved))


def test_an_hour_given_earns_up_to_the_cap_and_is_never_undone_by_it(
    database: Database, clock: VirtualClock
) -> None:
    for number, minutes in enumerate((180, 90, 60)):
        given = Confirmed(derived_id("exchange", number), NEIGHBOUR, minutes)
        for _ in range(2):
            database.do(partial(service.award_for_exchange, clock=clock, event=given))
    assert points_of(database, NEIGHBOUR)[0] == 120


def test_rating_a_repair_earns_once_the_council_says_so(
    database: Database, clock: VirtualClock
) -> None:
    def rate(number: int) -> None:
        rated = Rated(derived_id("repair", number), ELDER)
        database.do(lambda session: service.award_for_repair(session, clock, rated))

    rate(1)
    assert points_of(database)[0] == 0
    line = {"points": 5, "per": "time", "daily_points_max": 5}
    change = {"activities": {"repair_feedback": line}}
    database.do(
        lambda session: service.adopt(session, clock, motion_id=derived_id("m"), change=change)
    )
    rate(2)
    assert points_of(database)[0] == 5
