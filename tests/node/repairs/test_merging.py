"""Two requests that mean the same: one is closed, one goes on, and nobody who waits is lost."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from node.kernel.errors import DomainError
from node.kernel.events import Event
from node.notices.model import Notice
from node.reactions import REACTIONS
from node.repairs import api, following, merging, monthly, pages, photos, progress, rules, service
from node.repairs.events import RepairClosed, RepairFollowed, RepairMerged, RepairReopened
from node.repairs.model import ServiceRequest
from node.repairs.rules import Status
from node.residents import pages as residents_pages
from node.residents.rules import Role
from tests.node.repairs.conftest import EVENTS
from tests.node.repairs.desk import DONE, Desk, of_kind, picture
from tests.node.web.client import ClientHouse, house_at

LIFT: dict[str, Any] = {"category": "lift", "location": "7号楼", "building": "7", "is_shared": True}


@pytest.fixture
def house(tmp_path: Path, happened: list[Event]) -> Iterator[ClientHouse]:
    """With what really follows from a repair, and a memory of what happened."""

    def remember(_session: Any, _clock: Any, event: Event) -> None:
        happened.append(event)

    routes = [*api.routes, *pages.routes, *residents_pages.routes]
    reactions = {kind: [remember, *REACTIONS.get(kind, ())] for kind in EVENTS}
    with house_at(tmp_path, routes, [pages.card], reactions) as house:
        yield house


@pytest.fixture
def residents(house: ClientHouse) -> dict[str, UUID]:
    return {name: house.resident(name) for name in ("Li", "Wu", "Sun")}


@pytest.fixture
def twice(house: ClientHouse, desk: Desk, residents: dict[str, UUID]) -> tuple[int, int]:
    """The same lift, reported by Wu after Li did; Sun said "me too" to Wu's."""
    original = desk.report(residents["Li"], "电梯停了", **LIFT).id
    duplicate = desk.report(residents["Wu"], "7号楼电梯停了", **LIFT).id
    house.database.do(
        lambda session: following.follow(
            session,
            desk.clock,
            request_id=duplicate,
            resident_id=residents["Sun"],
            recorded_by="test",
        )
    )
    return duplicate, original


def merge(house: ClientHouse, duplicate: int, original: int) -> None:
    house.database.do(
        lambda session: merging.merge(
            session, house.clock, request_id=duplicate, kept_id=original, merged_by="desk"
        )
    )


def refusal(house: ClientHouse, duplicate: int, original: int) -> str:
    with pytest.raises(DomainError) as refused:
        merge(house, duplicate, original)
    return refused.value.code


def found(house: ClientHouse, number: int) -> ServiceRequest:
    with house.database.read() as session:
        return service.find(session, number)


def inbox(house: ClientHouse, resident_id: UUID) -> list[str]:
    with house.database.read() as session:
        query = select(Notice.kind).where(Notice.resident_id == resident_id)
        return sorted(session.scalars(query))


def test_whoever_waited_is_told_how_the_other_one_goes(
    house: ClientHouse,
    desk: Desk,
    residents: dict[str, UUID],
    twice: tuple[int, int],
    happened: list[Event],
) -> None:
    duplicate, original = twice
    for _ in range(2):
        merge(house, duplicate, original)
    closed = found(house, duplicate)
    assert (closed.status, closed.merged_into, closed.escalate_at) == ("completed", original, None)
    with house.database.read() as session:
        assert set(service.followers(session, original)) == {residents["Wu"], residents["Sun"]}
        assert [one.id for one in merging.merged_into(session, original)] == [duplicate]
    [merged] = of_kind(happened, RepairMerged)
    assert (merged.request_id, merged.kept_id) == (duplicate, original)
    followed = of_kind(happened, RepairFollowed)
    assert [(one.request_id, one.follower_id) for one in followed][1:] == [
        (original, residents["Wu"])
    ], "the first is Sun's own"
    desk.move(original, *DONE)
    work = ["repair_completed", "repair_dispatched", "repair_processing"]
    assert inbox(house, residents["Sun"]) == sorted([*work, "repair_merged"])
    assert inbox(house, residents["Wu"]) == sorted([*work, "repair_followed", "repair_merged"])
    assert inbox(house, residents["Li"]) == sorted([*work, "repair_followed"])


def test_what_waits_for_the_duplicate_hears_of_the_work_itself(
    house: ClientHouse, desk: Desk, twice: tuple[int, int], happened: list[Event]
) -> None:
    """A resolution's task may wait for the ticket that was merged."""
    duplicate, original = twice
    merge(house, duplicate, original)
    assert of_kind(happened, RepairClosed) == [], "merging is no work"
    desk.move(original, *DONE)
    assert [one.request_id for one in of_kind(happened, RepairClosed)] == [original, duplicate]
    house.database.do(
        partial(service.reopen, clock=desk.clock, request_id=original, changed_by="Li")
    )
    assert [one.request_id for one in of_kind(happened, RepairReopened)] == [original, duplicate]


def test_merged_twice_all_go_on_as_the_last(
    house: ClientHouse, desk: Desk, residents: dict[str, UUID], twice: tuple[int, int]
) -> None:
    duplicate, original = twice
    third = desk.report(residents["Sun"], "电梯", **LIFT).id
    merge(house, duplicate, original)
    merge(house, original, third)
    assert found(house, duplicate).merged_into == found(house, original).merged_into == third
    with house.database.read() as session:
        assert set(service.followers(session, third)) == {residents["Li"], residents["Wu"]}


def test_what_cannot_be_one_is_refused(
    house: ClientHouse,
    desk: Desk,
    residents: dict[str, UUID],
    twice: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    duplicate, original = twice
    done = desk.report(residents["Li"], **LIFT).id
    desk.move(done, *DONE)
    mine, mine_too = (desk.report(residents["Li"]).id for _ in range(2))
    others = desk.report(residents["Wu"]).id
    nobodys, nobodys_too = (desk.report(None).id for _ in range(2))
    assert refusal(house, original, original) == "repairs.merge_itself"
    assert refusal(house, done, original) == "repairs.merge_completed"
    assert refusal(house, original, done) == "repairs.merge_completed"
    assert refusal(house, original, 99) == "repairs.not_found"
    for one, other in (
        (others, mine),
        (original, mine),
        (others, original),
        (nobodys, nobodys_too),
    ):
        assert refusal(house, one, other) == "repairs.merge_not_shared", "it shows a home to others"
    monkeypatch.setattr(rules, "FOLLOWERS_MAX", 1)
    assert refusal(house, duplicate, original) == "repairs.too_many_followers"
    monkeypatch.undo()
    merge(house, mine, mine_too)
    merge(house, mine_too, original)  # one's own home trouble turned out to be everybody's
    assert refusal(house, mine, original + 1) == "repairs.merged"
    assert refusal(house, original, mine) == "repairs.merged"
    assert desk.hand_up() == 0


def test_the_database_itself_keeps_a_merged_request_closed(
    house: ClientHouse, twice: tuple[int, int]
) -> None:
    duplicate, original = twice

    def break_it(session: Any) -> None:
        service.find(session, duplicate).merged_into = original
        session.flush()

    with pytest.raises(IntegrityError):
        house.database.do(break_it)


def test_a_merged_request_is_neither_rated_nor_reopened_but_says_where_it_went(
    house: ClientHouse, residents: dict[str, UUID], twice: tuple[int, int]
) -> None:
    duplicate, original = twice
    house.database.do(
        lambda session: photos.add(
            session,
            house.clock,
            photo_id=residents["Wu"],
            request_id=duplicate,
            made=photos.make(picture()),
            added_by="Wu",
        )
    )
    merge(house, duplicate, original)
    headers = house.signed_in(residents["Wu"])
    shown = house.client.get(f"/api/repairs/{duplicate}", headers=headers).json()
    assert (shown["mergedInto"], shown["status"]) == (original, "completed")
    rows = house.client.get("/api/repairs", headers=headers).json()["data"]
    assert [row["mergedInto"] for row in rows] == [original]
    for act, body in (("rate", {"rating": 5}), ("reopen", {})):
        answer = house.client.post(f"/api/repairs/{duplicate}/{act}", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "repairs.merged")
    theirs = house.client.get(f"/api/repairs/{original}", headers=headers).json()
    assert (theirs["description"], theirs["reporterId"]) == ("", None), "a follower's part"
    path = f"/api/repairs/{duplicate}/photos/{residents['Wu']}"
    assert house.client.get(path, headers=headers).status_code == 200
    house.open_browser(residents["Wu"])
    page = house.client.get(f"/repairs/{duplicate}").text
    assert f'<a href="/repairs/{original}">' in page
    assert page.count("merged with another") == 2, "where it stands, and its last step"
    assert "completed" not in page.partition("What happened")[2]
    assert "How was it?" not in page
    assert "Open it again" not in page
    assert "7号楼电梯停了: merged with another" in house.client.get("/").text
    refused = house.post_form(f"/repairs/{duplicate}/rate", page="/repairs", rating=5, comment="")
    assert refused.status_code == 422
    assert f"goes on as #{original}" in refused.text
    house.open_browser(residents["Li"])
    assert f"/repairs/{duplicate}" not in house.client.get(f"/repairs/{original}").text, "staff's"


def test_figures_count_a_trouble_once(
    house: ClientHouse, desk: Desk, twice: tuple[int, int]
) -> None:
    merge(house, *twice)
    desk.move(twice[1], *DONE)
    with house.database.read() as session:
        assert service.totals(session)[Status.COMPLETED] == 2, "as many as the board lists"
        standing = progress.standing(session, desk.clock)
        year, month = rules.month_of(desk.clock.now())
        report = monthly.report(session, desk.clock, year=year, month=month)
    assert (standing.totals[Status.COMPLETED], standing.merged) == (1, 1)
    assert (standing.recent, standing.recent_completed, standing.recent_in_time) == (1, 1, 1)
    assert (report.total.reported, report.total.completed, report.total.merged) == (1, 1, 1)
    assert b",merged" in monthly.as_csv(report)
    public = house.client.get("/repairs/progress?lang=en").text
    assert "merged with another" in public


def test_merging_by_program(
    house: ClientHouse, desk: Desk, residents: dict[str, UUID], twice: tuple[int, int]
) -> None:
    duplicate, original = twice
    path, clerk = f"/api/repairs/{duplicate}/merged-into/{original}", house.bearer(Role.CLERK)
    wu = house.signed_in(residents["Wu"])
    assert house.client.put(path, headers=wu).status_code == 403
    seen = house.client.get(f"/api/repairs/{duplicate}", headers=clerk).headers["ETag"]
    desk.move(duplicate, Status.DISPATCHED)
    late = house.client.put(path, headers=clerk | {"If-Match": seen})
    assert (late.status_code, late.json()["code"]) == (412, "web.changed_meanwhile")
    seen = house.client.get(f"/api/repairs/{duplicate}", headers=clerk).headers["ETag"]
    answers = [house.client.put(path, headers=clerk | {"If-Match": seen})]
    answers += [house.client.put(path, headers=clerk)]
    assert [one.json()["mergedInto"] for one in answers] == [original] * 2
    listed = house.client.get(f"/api/repairs/{original}/merged", headers=clerk).json()["data"]
    assert [one["id"] for one in listed] == [duplicate]
    assert house.client.get(f"/api/repairs/{original}/merged", headers=wu).status_code == 403
    back = house.client.put(f"/api/repairs/{original}/merged-into/{duplicate}", headers=clerk)
    assert back.json()["code"] == "repairs.merged"
    query = {"api_key": clerk["Authorization"].removeprefix("Bearer ")}
    outside = f"/api/open311/v2/requests/{duplicate}.json"
    shown = house.client.get(outside, params=query).json()[0]
    assert (shown["status"], shown["service_code"]) == ("closed", "lift")
    assert shown["status_notes"] == f"已合并，后续请看第 {original} 号"
    stranger = house.client.get(outside).json()[0]
    assert stranger["status_notes"] == "已与其他报修合并"


def test_merging_at_the_desk(house: ClientHouse, twice: tuple[int, int]) -> None:
    duplicate, original = twice
    house.open_browser(house.resident("Zhao", Role.PROPERTY))
    assert f"/repairs/{duplicate}/merge" in house.client.get(f"/repairs/{duplicate}").text
    choice = house.client.get(f"/repairs/{duplicate}/merge").text
    assert f"/repairs/{duplicate}/merge?kept={original}" in choice
    for typed in (str(duplicate), "99", "x", "0", ""):
        wrong = house.client.get(f"/repairs/{duplicate}/merge", params={"kept": typed})
        assert wrong.status_code == 422, typed
        assert 'href="#field-kept"' in wrong.text
    sure = house.client.get(f"/repairs/{duplicate}/merge?kept={original}")
    assert "This cannot be undone." in sure.text
    act = f"/repairs/{duplicate}/merged-into/{original}"
    done = house.post_form(act, page=f"/repairs/{duplicate}")
    assert (done.status_code, done.headers["location"]) == (303, f"/repairs/{original}")
    kept = house.client.get(f"/repairs/{original}").text
    assert "Merged into this one" in kept
    assert f'<a href="/repairs/{duplicate}">' in kept
    back = house.post_form(f"/repairs/{original}/merged-into/{duplicate}", page="/repairs/work")
    assert back.status_code == 422
    assert f"goes on as #{original}" in back.text
    gone = house.post_form(f"/repairs/99/merged-into/{original}", page="/repairs/work")
    assert gone.status_code == 404
