"""The inbox: told once, to whom it concerns, new until seen, gone with its reader."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, NotFound
from node.kernel.events import Event, Reactions, record
from node.kernel.ids import new_id
from node.notices import rules, service, telling, words
from node.notices.model import Notice, NoticeDelivery, NoticeWay
from node.notices.refusals import NoConsent
from node.notices.rules import Channel, DeliveryState, pause_after
from node.residents import privacy
from node.residents.events import ConsentWithdrawn, ProxyAgreed, ResidentErased
from node.residents.model import Resident
from node.residents.rules import Purpose
from tests.node.web.client import ClientHouse, house_at


@dataclass(frozen=True)
class Moved(Event):
    request_id: int
    key: UUID
    reporter_id: UUID | None
    follower_ids: tuple[UUID, ...]
    before: str
    after: str


@dataclass(frozen=True)
class Overdue(Event):
    request_id: int
    key: UUID
    reporter_id: UUID | None
    follower_ids: tuple[UUID, ...]
    member_ids: tuple[UUID, ...]
    level: int = 2
    turn: int = 1


@dataclass(frozen=True)
class Vote(Event):
    motion_id: UUID
    electorate: str
    ends_at: datetime


@dataclass(frozen=True)
class BusyDay(Event):
    day: date
    people: int


REACTIONS: Reactions = {
    Moved: [telling.repair_moved],
    Overdue: [telling.repair_overdue],
    Vote: [telling.vote_open],
    BusyDay: [telling.helpers_needed],
    ProxyAgreed: [telling.proxy_agreed],
    ConsentWithdrawn: [telling.consent_withdrawn],
    ResidentErased: [telling.forget],
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, reactions=REACTIONS) as house:
        yield house


def happen(house: ClientHouse, event: Event) -> None:
    house.database.do(lambda session: record(session, event))


def heard(house: ClientHouse, resident_id: UUID) -> list[str]:
    with words.spoken("en"), house.database.read() as session:
        told = service.inbox(session, resident_id=resident_id)
        return [words.sentence(one.notice.kind, one.details) for one in told]


def agree_and_choose(house: ClientHouse, resident_id: UUID, address: str) -> None:
    def command(session: Session) -> None:
        privacy.give_consent(
            session,
            house.clock,
            consent_id=new_id(),
            resident_id=resident_id,
            purpose=Purpose.OUTSIDE_MESSAGES,
            recorded_by=resident_id,
        )
        service.choose(
            session,
            house.clock,
            resident_id=resident_id,
            channel=Channel.EMAIL,
            address=address,
            language="en",
        )

    house.database.do(command)


def deliveries(house: ClientHouse) -> list[tuple[str, str]]:
    with house.database.read() as session:
        found = session.scalars(select(NoticeDelivery).order_by(NoticeDelivery.address)).all()
        return [(one.address, one.state) for one in found]


def test_reporter_and_followers_hear_of_a_step(house: ClientHouse) -> None:
    me, neighbour, other = (house.resident(name) for name in ("Li", "Wu", "Sun"))
    happen(house, Moved(7, new_id(), me, (neighbour,), "pending", "dispatched"))
    assert heard(house, me) == ["Repair #7: somebody has been sent."]
    assert heard(house, neighbour) == heard(house, me)
    assert heard(house, other) == []


def test_an_overdue_repair_calls_those_it_was_handed_up_to(house: ClientHouse) -> None:
    me, boss = house.resident("Li"), house.resident("Sun")
    event = Overdue(7, new_id(), me, (), (boss,))
    happen(house, event)
    happen(house, event)  # said twice, told once
    assert heard(house, boss) == ["Repair #7 is overdue and needs you now."]
    assert heard(house, me) == ["Repair #7 is late. It was handed up to step 2."]


def test_an_announcement_is_one_row_for_whom_it_concerns(house: ClientHouse) -> None:
    tenant, owner = house.resident("Li"), house.resident("Wu")

    def buy(session: Session) -> None:
        found = session.get_one(Resident, owner)
        found.household, found.is_owner = "7-2-301", True

    house.database.do(buy)
    ends_at = datetime(2026, 2, 1, 4, tzinfo=UTC)
    happen(house, Vote(new_id(), "owners", ends_at))
    happen(house, Vote(new_id(), "residents", ends_at))
    house.clock.advance(timedelta(days=1))
    newcomer = house.resident("Sun")
    assert heard(house, tenant) == ["A vote is open until February 1, 2026."]
    assert set(heard(house, owner)) == {
        "A vote is open until February 1, 2026.",
        "An owners' vote is open until February 1, 2026.",
    }
    assert heard(house, newcomer) == []
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Notice)) == 2


def test_what_was_seen_is_no_longer_new(house: ClientHouse) -> None:
    me, other = house.resident("Li"), house.resident("Wu")
    happen(house, BusyDay(date(2026, 2, 1), 3))
    with house.database.read() as session:
        [told] = service.inbox(session, resident_id=me)
        assert service.unread(session, resident_id=me) == 1
    for _ in range(2):
        house.database.do(
            lambda session: service.mark_read(
                session, house.clock, resident_id=me, notice_ids=[told.notice.id, new_id()]
            )
        )
    with house.database.read() as session:
        assert service.unread(session, resident_id=me) == 0
        assert service.unread(session, resident_id=other) == 1


def test_nobody_reads_what_is_not_theirs(house: ClientHouse) -> None:
    me, other = house.resident("Li"), house.resident("Wu")
    happen(house, Moved(7, new_id(), me, (), "pending", "dispatched"))
    with house.database.read() as session:
        notice_id = service.inbox(session, resident_id=me)[0].notice.id
        assert service.notice_for(session, resident_id=me, notice_id=notice_id)
        with pytest.raises(NotFound):
            service.notice_for(session, resident_id=other, notice_id=notice_id)


def test_outside_only_with_consent_and_no_longer_without(house: ClientHouse) -> None:
    me = house.resident("Li")
    with pytest.raises(NoConsent):
        house.database.do(
            lambda session: service.choose(
                session,
                house.clock,
                resident_id=me,
                channel=Channel.EMAIL,
                address="li@example.org",
                language="zh",
            )
        )
    agree_and_choose(house, me, "li@example.org")
    happen(house, Moved(7, new_id(), me, (), "pending", "dispatched"))
    assert deliveries(house) == [("li@example.org", DeliveryState.WAITING)]
    house.database.do(
        lambda session: privacy.withdraw_consent(
            session, house.clock, resident_id=me, purpose=Purpose.OUTSIDE_MESSAGES
        )
    )
    assert deliveries(house) == [("", DeliveryState.CALLED_OFF)]
    happen(house, Moved(8, new_id(), me, (), "pending", "dispatched"))
    assert len(deliveries(house)) == 1


def test_an_announcement_is_spread_once_to_those_who_chose_a_way(house: ClientHouse) -> None:
    for name in ("li", "wu"):
        agree_and_choose(house, house.resident(name), f"{name}@example.org")
    house.resident("Sun")
    happen(house, BusyDay(date(2026, 2, 1), 3))
    for count in (1, 0):
        assert house.database.do(lambda session: service.spread(session, house.clock)) == count
    assert [address for address, _ in deliveries(house)] == ["li@example.org", "wu@example.org"]


def test_being_forgotten_empties_the_inbox(house: ClientHouse) -> None:
    me, helper = house.resident("Li"), house.resident("Wu")
    agree_and_choose(house, me, "li@example.org")
    happen(house, ProxyAgreed(new_id(), me, helper))
    house.database.do(lambda session: privacy.erase(session, house.clock, resident_id=me))
    assert deliveries(house) == []
    assert heard(house, helper) == ["You may act for a neighbour from now on."]
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(NoticeWay)) == 0
        mine = select(func.count()).select_from(Notice).where(Notice.resident_id == me)
        assert session.scalar(mine) == 0


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        (Channel.EMAIL, "li"),
        (Channel.EMAIL, "li@example.org, wu@example.org"),
        (Channel.EMAIL, "li@example.org\nBcc: wu@example.org"),
        (Channel.SMS, "12"),
        (Channel.WECHAT, "a b"),
    ],
)
def test_what_is_no_address(house: ClientHouse, channel: Channel, address: str) -> None:
    with pytest.raises(BadInput):
        rules.clean_address(channel, address)


def test_pauses_double_up_to_their_limit() -> None:
    pauses = [pause_after(tries).total_seconds() for tries in (1, 2, 3, 8, 1_000)]
    assert pauses == [30, 60, 120, 3840, 21_600]


def test_every_kind_has_its_sentence_and_an_unknown_one_too() -> None:
    with words.spoken("zh"):
        assert all(words.sentences().values())
        assert words.sentence("from_a_later_version", {"x": 1}) == "您有新消息。"
