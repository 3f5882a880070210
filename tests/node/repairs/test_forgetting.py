"""Who is erased leaves numbers behind, and no words; who reports from outside is counted."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.forecast.model import DailyCount
from node.kernel.events import Event
from node.reactions import REACTIONS
from node.repairs import forgetting, photos, service
from node.repairs.events import RepairReportedFromOutside
from node.repairs.model import Follower, Photo, ServiceRequest
from node.residents.events import ResidentErased
from tests.node.repairs.desk import DONE, Desk, of_kind, picture
from tests.node.web.client import ClientHouse


@dataclass
class Erased(Event):
    resident_id: UUID


def test_words_photos_and_places_go(house: ClientHouse, desk: Desk) -> None:
    li, wu = house.resident("Li"), house.resident("Wu")
    home = desk.report(li, "SECRET", location="SECRET", building="7", contact="SECRET").id
    shared = desk.report(li, "Lift", location="Building 7", description="SECRET", is_shared=True)
    theirs = desk.report(wu, "Mine", location="9-1").id
    desk.move(home, *DONE)
    made = photos.make(picture())

    def forget(session: Session) -> None:
        for number, key in ((home, UUID(int=1)), (theirs, UUID(int=2))):
            photos.add(
                session,
                desk.clock,
                photo_id=key,
                request_id=number,
                made=made,
                added_by="test",
            )
        forgetting.forget_reporter(session, desk.clock, Erased(li))

    house.database.do(forget)
    with house.database.read() as session:
        kept = session.scalars(select(ServiceRequest).order_by(ServiceRequest.id)).all()
        assert "SECRET" not in repr([vars(one) for one in kept])
        assert (kept[0].status, kept[0].category, kept[0].location) == (
            "completed",
            "housing_repair",
            "7",
        )
        assert service.find(session, shared.id).title == "Lift"
        assert service.find(session, theirs).title == "Mine"
        assert session.scalars(select(Photo.request_id)).all() == [theirs]
        assert session.scalar(select(func.count()).select_from(Follower)) == 0


def test_it_follows_from_the_erasure() -> None:
    assert forgetting.forget_reporter in REACTIONS[ResidentErased]


def test_reports_from_outside_are_told_apart_and_counted(
    house: ClientHouse, desk: Desk, happened: list[Event]
) -> None:
    desk.report(None, category="lift")
    [event] = of_kind(happened, RepairReportedFromOutside)

    def count(session: Session) -> int:
        for reaction in REACTIONS[RepairReportedFromOutside]:
            reaction(session, desk.clock, event)
        return session.scalars(select(DailyCount.count)).one()

    assert house.database.do(count) == 1
