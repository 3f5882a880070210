"""Points and granted minutes reach the inbox of the one they concern, by the node's own table."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.kernel.ids import derived_id, new_id
from node.notices import service, words
from node.notices.model import Notice
from node.points import clawback, cosigning, rules, shelf
from node.points import service as points
from node.points.rules import PICKUP_DAYS, ReversalReason
from node.reactions import REACTIONS
from node.residents import privacy
from node.timebank import pool
from node.timebank import service as timebank
from tests.node.notices.test_service import heard
from tests.node.points.test_service import award, reserve
from tests.node.timebank.test_pool import earn
from tests.node.web.client import ClientHouse, house_at


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, reactions=REACTIONS) as house:
        house.database.do(lambda session: points.prepare(session, house.clock))
        yield house


def thank(house: ClientHouse, resident_id: UUID, name: str) -> UUID:
    """120 points."""
    made = award(house.database, house.clock, name, resident_id=resident_id, minutes=240)
    return made.id


def put_aside(house: ClientHouse, resident_id: UUID) -> UUID:
    return reserve(house.database, house.clock, "slip", resident_id=resident_id).id


def take_back(house: ClientHouse, award_id: UUID) -> None:
    house.database.do(
        lambda session: clawback.take_back(
            session,
            house.clock,
            award_id=award_id,
            reason=ReversalReason.MISTAKE,
            reversed_by=None,
        )
    )


def test_what_waits_at_the_desk_is_told_with_its_last_day(house: ClientHouse) -> None:
    me, other = house.resident("Li"), house.resident("Wu")
    thank(house, me, "a")
    redemption_id = put_aside(house, me)
    last = (house.clock.now() + timedelta(days=PICKUP_DAYS)).date()
    assert heard(house, me) == [
        f"Something waits for you at the desk until {last:%B} {last.day}, {last.year}."
        " Bring the code."
    ]
    with house.database.read() as session:
        [told] = service.inbox(session, resident_id=me)
        assert told.notice.link == f"/points/redemptions/{redemption_id}"
        assert told.notice.ends_at == house.clock.now() + timedelta(days=PICKUP_DAYS)
        assert "ABCD2345" not in told.notice.details
    assert heard(house, other) == []


def test_what_was_given_back_frees_its_points(house: ClientHouse) -> None:
    me = house.resident("Li")
    thank(house, me, "a")
    redemption_id = put_aside(house, me)
    for _ in range(2):
        house.database.do(
            lambda session: shelf.release(session, house.clock, redemption_id=redemption_id)
        )
    told = [one for one in heard(house, me) if "100 points" in one]
    assert told == ["What was put aside is back on the shelf; 100 points are free."]


def test_what_nobody_came_for_says_so(house: ClientHouse) -> None:
    me = house.resident("Li")
    thank(house, me, "a")
    put_aside(house, me)
    house.clock.advance(timedelta(days=PICKUP_DAYS))
    assert house.database.do(lambda session: shelf.release_overdue(session, house.clock)) == 1
    newest = heard(house, me)[0]
    assert newest == "Nobody came for what was put aside: 100 points are free again."


def test_only_the_named_witness_is_asked_and_reads_no_name(house: ClientHouse) -> None:
    me, witness = house.resident("Li"), house.resident("Wu")
    house.database.do(
        lambda session: cosigning.claim(
            session,
            house.clock,
            claim_id=new_id(),
            resident_id=me,
            cosigner_id=witness,
            activity="volunteering",
            minutes=60,
            day=rules.local_day(house.clock.now()),
        )
    )
    assert heard(house, me) == []
    assert heard(house, witness) == ["A neighbour says you were there too. Please say if it is so."]


def test_points_taken_back_are_told_and_what_is_missing_too(house: ClientHouse) -> None:
    me = house.resident("Li")
    take_back(house, thank(house, me, "a"))
    assert heard(house, me) == ["120 points were taken back. See why under My points."]
    house.clock.advance(timedelta(days=1))
    second = thank(house, me, "b")
    redemption_id = put_aside(house, me)
    house.database.do(
        lambda session: shelf.collect(
            session, house.clock, redemption_id=redemption_id, code="ABCD2345"
        )
    )
    house.clock.advance(timedelta(minutes=1))
    take_back(house, second)
    assert heard(house, me)[0] == "120 points were taken back: 100 are still to be earned."


def test_everybody_hears_of_new_rules_once(house: ClientHouse) -> None:
    me, other = house.resident("Li"), house.resident("Wu")
    for _ in range(2):
        house.database.do(
            lambda session: points.adopt(
                session,
                house.clock,
                motion_id=derived_id("motion", "rules"),
                change={"daily_points_max": 90},
            )
        )
    assert heard(house, me) == ["Points are counted by new rules now: version 2."]
    assert heard(house, other) == heard(house, me)


def test_granted_minutes_are_told_without_the_reason(house: ClientHouse) -> None:
    me, giver, worker = (house.resident(name) for name in ("Li", "Wu", "Sun"))

    def give(session: Session) -> None:
        pool.donate(session, house.clock, donation_id=new_id(), resident_id=giver, minutes=100)
        pool.grant(
            session,
            house.clock,
            grant_id=new_id(),
            resident_id=me,
            minutes=60,
            need="lives_alone",
            granted_by=worker,
        )

    earn(house.database, house.clock, giver, 120)
    house.database.do(give)
    assert heard(house, me) == ["You were given 60 minutes from the donation pool."]
    assert heard(house, giver) == heard(house, worker) == []
    with house.database.read() as session:
        [told] = service.inbox(session, resident_id=me)
        assert told.details == {"minutes": 60}


def test_who_was_erased_hears_nothing_more(house: ClientHouse) -> None:
    """Being erased lets an unanswered question run out, which both sides hear of."""
    me, other = house.resident("Li"), house.resident("Wu")
    house.database.do(
        lambda session: timebank.request(
            session,
            house.clock,
            exchange_id=new_id(),
            provider_id=other,
            receiver_id=me,
            service="companionship",
            minutes=60,
        )
    )
    house.database.do(lambda session: privacy.erase(session, house.clock, resident_id=me))
    assert "Nothing came of the help that was agreed or asked for." in heard(house, other)
    with house.database.read() as session:
        mine = select(func.count()).select_from(Notice).where(Notice.resident_id == me)
        assert session.scalar(mine) == 0


def test_every_new_kind_is_said_in_chinese_with_its_figures() -> None:
    figures: dict[str, str | int] = {
        "day": "2026-11-24",
        "points": 7,
        "missing": 8,
        "version": 9,
        "minutes": 10,
    }
    kinds = ("coupon_reserved", "coupon_released", "coupon_overdue", "cosignature_asked")
    with words.spoken("zh"):
        for kind in (*kinds, "points_taken_back", "points_missing", "rules_adopted"):
            assert words.sentence(kind, figures) != words.sentence("told", {}), kind
        assert words.sentence("points_missing", figures).startswith("已收回 7 积分")
