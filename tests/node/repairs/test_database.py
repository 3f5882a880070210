"""The same repairs on SQLite and on PostgreSQL: what is written, paged, handed up and reported."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from sqlalchemy.orm import Session

from node import migrations
from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.ids import new_id
from node.repairs import (
    deadlines,
    following,
    forgetting,
    monthly,
    photos,
    plan,
    progress,
    reading,
    service,
)
from node.repairs.plan import Plan, Route, Step, Team
from node.repairs.rules import Status
from node.residents import service as residents
from node.residents.events import ResidentErased
from node.residents.holders import holder
from node.residents.rules import Role
from tests.node.repairs.desk import picture


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def database(database_url: str, clock: VirtualClock) -> Iterator[Database]:
    migrations.migrate(database_url)
    database = Database(database_url, clock=clock)
    yield database
    database.close()


@pytest.fixture
def me(database: Database, clock: VirtualClock) -> UUID:
    me = new_id()

    def command(session: Session) -> None:
        residents.join(session, clock, resident_id=me, name="Li", phone="13900000001", building="7")
        steps = (Step(1, 0, "crew"), Step(2, 24), Step(3, 72))
        made = Plan(teams=(Team("crew", "Crew", (me,)),), routes=(Route("crew", "lift"),))
        planned = msgspec.structs.replace(made, steps=steps)
        plan.change(session, clock, seen=0, plan=planned, changed_by="desk")

    database.do(command)
    return me


def report(database: Database, clock: VirtualClock, me: UUID, key: UUID, title: str) -> int:
    return database.do(
        lambda session: service.report(
            session,
            clock,
            key=key,
            reporter_id=me,
            recorded_by=str(me),
            title=title,
            description="still",
            location="7",
            category="lift",
            is_shared=True,
        )
    ).id


def test_the_whole_way(database: Database, clock: VirtualClock, me: UUID) -> None:
    keys = [new_id() for _ in range(12)]
    numbers = [report(database, clock, me, key, f"Lift {key}") for key in keys]
    assert numbers == list(range(1, 13))
    assert report(database, clock, me, keys[3], f"Lift {keys[3]}") == 4, "said twice"
    first = reading.page(database, number=2, limit=5, status=Status.PENDING)
    assert ([one.id for one in first.data], first.total) == ([6, 7, 8, 9, 10], 12)
    after = reading.page(database, number=1, limit=5, reporter_id=me, after=10)
    assert ([one.id for one in after.data], after.next, after.total) == ([11, 12], None, 12)
    shown = msgspec.json.decode(msgspec.json.encode(after.data[0]))
    assert shown["reporterId"] == str(me)
    assert (
        shown["createdAt"] == "2026-01-01T00:00:00Z"
        or "2026-01-01T00:00:00.0" in (shown["createdAt"])
    )
    assert (shown["team"], shown["building"], shown["isShared"]) == ("crew", "7", True)
    clock.advance(timedelta(hours=5))
    assert database.do(lambda session: deadlines.escalate_overdue(session, clock)) == 12
    assert database.do(lambda session: deadlines.escalate_overdue(session, clock)) == 0
    made = photos.make(picture())

    def finish(session: Session) -> None:
        for to in (Status.DISPATCHED, Status.PROCESSING, Status.COMPLETED):
            service.update(session, clock, request_id=1, changed_by="crew", status=to)
        photos.add(session, clock, photo_id=keys[0], request_id=1, made=made, added_by="me")
        service.rate(session, clock, request_id=1, rating=4)

    database.do(finish)
    with database.read() as session:
        assert photos.find(session, request_id=1, photo_id=keys[0]).content == made.content
        month = monthly.report(session, clock, year=2026, month=1)
        assert (month.total.reported, month.total.median_hours, month.total.overdue) == (12, 5, 12)
        assert progress.overdue(session, clock, ["crew"]) == 11
        standing = progress.standing(session, clock)
        assert (standing.recent, standing.recent_completed, standing.recent_in_time) == (12, 1, 0)
        assert [one.id for one in progress.latest(session, after=None).rows][:2] == [12, 11]
        work = progress.work(session, teams=["crew"], after=None)
        assert [one.id for one in work.rows] == list(range(2, 13))
        alike = following.similar(
            session, clock, category="lift", building="7", words=f"Lift {keys[5]} 7"
        )
        assert alike[0].id == 6
    database.do(
        lambda session: forgetting.forget_reporter(session, clock, ResidentErased(resident_id=me))
    )
    with database.read() as session:
        assert service.find(session, 1).description == forgetting.GONE
        assert photos.photos_of(session, 1) == []


def test_who_holds_a_secret(database: Database, clock: VirtualClock, me: UUID) -> None:
    token = new_id()

    def command(session: Session) -> str:
        residents.grant(session, clock, resident_id=me, role=Role.PROPERTY)
        residents.grant(session, clock, resident_id=me, role=Role.CLERK)
        return residents.issue_token(session, clock, token_id=token, role=Role.OPERATOR)

    secret = database.do(command)
    found = holder(database, clock, secret)
    assert found is not None
    assert (found.token_id, found.roles, found.resident_id) == (
        token,
        frozenset({Role.OPERATOR}),
        None,
    )
    assert holder(database, clock, "nobody's") is None
    database.do(lambda session: residents.revoke_token(session, clock, token_id=token))
    assert holder(database, clock, secret) is None, "at once, although it was kept"
    mine = database.do(
        lambda session: residents.sign_in(
            session, clock, token_id=new_id(), phone="13900000001", resident_id=me
        )
    )
    assert mine is not None
    signed_in = holder(database, clock, mine)
    assert signed_in is not None
    assert signed_in.roles == {Role.RESIDENT, Role.PROPERTY, Role.CLERK}
    clock.advance(timedelta(days=15))
    assert holder(database, clock, mine) is None
