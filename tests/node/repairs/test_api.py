"""A request from report to rating, through the API; and every way in which it is refused."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from node.kernel.events import Event, Reactions
from node.repairs import api, service
from node.repairs.events import RepairClosed, RepairRated, RepairReported
from node.repairs.model import RequestTotal, ServiceRequest
from node.repairs.rules import Status
from node.residents.rules import Role
from tests.node.web.client import ClientHouse, house_at, key

SERVICE_REQUEST = ServiceRequest.__table__
LAMP = {"title": "Lamp", "description": "It is dark", "location": "7-2"}


@pytest.fixture
def happened() -> list[Event]:
    return []


@pytest.fixture
def house(tmp_path: Path, happened: list[Event]) -> Iterator[ClientHouse]:
    def remember(_session: Any, _clock: Any, event: Event) -> None:
        happened.append(event)

    kinds: tuple[type[Event], ...] = (RepairReported, RepairClosed, RepairRated)
    reactions: Reactions = {kind: [remember] for kind in kinds}
    with house_at(tmp_path, api.routes, reactions=reactions) as house:
        yield house


@pytest.fixture
def reporter(house: ClientHouse) -> UUID:
    return house.resident("Li")


@pytest.fixture
def mine(house: ClientHouse, reporter: UUID) -> dict[str, str]:
    return house.signed_in(reporter)


@pytest.fixture
def staff(house: ClientHouse) -> dict[str, str]:
    return house.bearer(Role.PROPERTY)


def report(house: ClientHouse, headers: dict[str, str], **change: str) -> dict[str, Any]:
    answer = house.client.post("/api/repairs", json=LAMP | change, headers=headers | key())
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def move(house: ClientHouse, staff: dict[str, str], number: int, *steps: str) -> Any:
    for status in steps:
        body = {"status": status, "notes": f"now {status}"}
        answer = house.client.put(f"/api/repairs/{number}", json=body, headers=staff)
    return answer


DONE = ("dispatched", "processing", "completed")


def test_the_whole_way(
    house: ClientHouse, mine: dict[str, str], staff: dict[str, str], happened: list[Event]
) -> None:
    first = report(house, mine)
    assert (first["status"], first["id"]) == ("pending", 1)
    assert first["createdAt"] == first["updatedAt"]
    done = move(house, staff, 1, *DONE)
    assert (done.status_code, done.json()["status"]) == (200, "completed")
    rated = house.client.post(
        "/api/repairs/1/rate", json={"rating": 5, "comment": "quick"}, headers=mine
    )
    assert (rated.status_code, rated.json()["repair"]["rating"]) == (200, 5)
    assert [type(event) for event in happened] == [RepairReported, RepairClosed, RepairRated]
    assert happened[1].was_in_time  # type: ignore[attr-defined]  # checked on the line above
    with house.database.read() as session:
        assert [one.after for one in service.steps_of(session, 1)] == list(DONE)


def test_reporting_twice_writes_one_row(house: ClientHouse, mine: dict[str, str]) -> None:
    headers = mine | key()
    answers = [house.client.post("/api/repairs", json=LAMP, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(ServiceRequest)) == 1
    other = house.client.post("/api/repairs", json=LAMP | {"title": "Door"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "kernel.id_reused")


def test_reporting_needs_its_fields(house: ClientHouse, mine: dict[str, str]) -> None:
    answer = house.client.post("/api/repairs", json={"title": "Lamp"}, headers=mine | key())
    assert answer.status_code == 400
    assert answer.json()["code"] == "repairs.fields_missing"
    assert answer.json()["error"].startswith("必填字段缺失")
    for body in (LAMP | {"title": "x" * 121}, LAMP | {"category": "a,b"}, LAMP | {"title": 7}):
        bad = house.client.post("/api/repairs", json=body, headers=mine | key())
        assert (bad.status_code, bad.json()["code"]) == (400, "kernel.bad_input")
    assert house.client.post("/api/repairs", json=LAMP, headers=mine).status_code == 400


def test_a_clerk_reports_for_a_resident(house: ClientHouse, reporter: UUID) -> None:
    clerk = house.bearer(Role.CLERK)
    unnamed = house.client.post("/api/repairs", json=LAMP, headers=clerk | key())
    assert unnamed.json()["details"]["field"] == "X-Acting-For"
    first = report(house, clerk | {"X-Acting-For": str(reporter)})
    assert first["reporterId"] == str(reporter)
    with house.database.read() as session:
        assert service.find(session, 1).recorded_by not in ("", str(reporter))


@pytest.mark.parametrize(
    ("before", "to"),
    [((), "processing"), ((), "completed"), (("dispatched",), "completed"), (DONE, "pending")],
)
def test_jumps_are_refused(
    house: ClientHouse,
    mine: dict[str, str],
    staff: dict[str, str],
    before: tuple[str, ...],
    to: str,
) -> None:
    report(house, mine)
    if before:
        move(house, staff, 1, *before)
    answer = move(house, staff, 1, to)
    assert (answer.status_code, answer.json()["code"]) == (409, "repairs.wrong_state")


def test_a_repeated_step_is_one_step(
    house: ClientHouse, mine: dict[str, str], staff: dict[str, str]
) -> None:
    report(house, mine)
    assert move(house, staff, 1, "dispatched", "dispatched").status_code == 200
    with house.database.read() as session:
        assert len(service.steps_of(session, 1)) == 1


def test_only_staff_move_and_only_the_reporter_rates(
    house: ClientHouse, mine: dict[str, str], staff: dict[str, str]
) -> None:
    report(house, mine)
    assert move(house, mine, 1, "dispatched").status_code == 403
    early = house.client.post("/api/repairs/1/rate", json={"rating": 5}, headers=mine)
    assert (early.status_code, early.json()["code"]) == (400, "repairs.not_completed")
    move(house, staff, 1, *DONE)
    path = "/api/repairs/1/rate"
    stranger = house.signed_in(house.resident("Wu"))
    assert house.client.post(path, json={"rating": 5}, headers=stranger).status_code == 403
    assert house.client.post(path, json={"rating": 5}, headers=staff).status_code == 403
    assert house.client.post(path, json={"rating": 6}, headers=mine).status_code == 400
    assert house.client.post(path, json={"rating": 4}, headers=mine).status_code == 200
    assert house.client.post(path, json={"rating": 4}, headers=mine).status_code == 200
    again = house.client.post(path, json={"rating": 1}, headers=mine)
    assert again.json()["code"] == "repairs.already_rated"


def test_an_unknown_number_is_not_found(
    house: ClientHouse, mine: dict[str, str], staff: dict[str, str]
) -> None:
    assert move(house, staff, 7, "dispatched").status_code == 404
    rated = house.client.post("/api/repairs/7/rate", json={"rating": 5}, headers=mine)
    assert (rated.status_code, rated.json()["code"]) == (404, "repairs.not_found")
    assert house.client.get("/api/repairs/7", headers=staff).status_code == 404


def test_reopening_within_two_weeks(
    house: ClientHouse,
    reporter: UUID,
    mine: dict[str, str],
    staff: dict[str, str],
    happened: list[Event],
) -> None:
    report(house, mine)
    path, body = "/api/repairs/1/reopen", {"notes": "dark again"}
    assert house.client.post(path, json=body, headers=mine).status_code == 409
    move(house, staff, 1, *DONE)
    house.clock.advance(timedelta(days=13))
    assert house.client.post(path, json=body, headers=mine).json()["status"] == "pending"
    move(house, staff, 1, *DONE)
    closings = [event.closing for event in happened if isinstance(event, RepairClosed)]
    assert closings == [1, 2]
    house.clock.advance(timedelta(days=15))
    again = house.signed_in(reporter)
    late = house.client.post(path, json=body, headers=again)
    assert late.json()["code"] == "repairs.too_late_to_reopen"


def test_pages_of_requests(house: ClientHouse, mine: dict[str, str], staff: dict[str, str]) -> None:
    for number in range(12):
        report(house, mine, title=f"Lamp {number}")
    report(house, house.signed_in(house.resident("Wu")), title="Door")
    move(house, staff, 3, "dispatched")
    second = house.client.get("/api/repairs?page=2&limit=5", headers=staff).json()
    assert (second["total"], second["page"], second["limit"]) == (13, 2, 5)
    assert [one["id"] for one in second["data"]] == [6, 7, 8, 9, 10]
    pending = house.client.get("/api/repairs?status=pending&limit=100", headers=staff).json()
    assert (pending["total"], len(pending["data"])) == (12, 12)
    assert house.client.get("/api/repairs", headers=mine).json()["total"] == 12
    for bad in ("page=0", "limit=0", "limit=101", "page=x", "status=lost"):
        assert house.client.get(f"/api/repairs?{bad}", headers=staff).status_code == 400
    assert house.client.get("/api/repairs").status_code == 401


def test_a_page_of_200_000_requests_is_fast(house: ClientHouse, reporter: UUID) -> None:
    first = report(house, house.signed_in(reporter))
    columns = [
        column.name for column in SERVICE_REQUEST.columns if column.name not in ("id", "key")
    ]
    copies = f"""
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 199999)
        INSERT INTO service_request (key, {", ".join(columns)})
        SELECT printf('%032x', n), {", ".join(columns)} FROM numbers, service_request WHERE id = 1
    """  # noqa: S608 (our own column names)

    def fill(session: Session) -> None:
        session.execute(text(copies))
        session.get_one(RequestTotal, first["status"]).total = 200_000

    house.database.do(fill)
    with house.database.read() as session:
        started = time.perf_counter()
        found = service.requests(session, page=15_000, limit=10, status=Status.PENDING)
        seconds = time.perf_counter() - started
    assert (found.total, len(found.requests)) == (200_000, 10)
    assert seconds < 0.5, f"{seconds:.3f} s for a page in the middle"


@pytest.mark.parametrize("title", ["a\x00b", "\ud800"])
def test_what_is_no_text_is_refused(house: ClientHouse, mine: dict[str, str], title: str) -> None:
    body = json.dumps(LAMP | {"title": title}).encode()
    headers = mine | key() | {"Content-Type": "application/json"}
    assert house.client.post("/api/repairs", content=body, headers=headers).status_code == 400


def test_numbers_without_end_are_answered(house: ClientHouse, staff: dict[str, str]) -> None:
    huge = "9" * 25
    assert house.client.get(f"/api/repairs/{huge}", headers=staff).status_code == 404
    assert house.client.get(f"/api/repairs/{'9' * 5000}", headers=staff).status_code in (400, 404)
    assert house.client.get(f"/api/repairs?page={huge}", headers=staff).status_code == 400
    assert house.client.get(f"/api/repairs?limit={'9' * 5000}", headers=staff).status_code == 400
    broken = house.client.post("/api/repairs", content=b"{", headers=staff | key())
    assert broken.status_code == 400


def test_what_follows_a_request_costs_the_same_everywhere(
    house: ClientHouse, mine: dict[str, str], staff: dict[str, str]
) -> None:
    for number in range(7):
        report(house, mine, title=f"Lamp {number}")
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        found = house.client.get(f"/api/repairs?limit=3&after={after}", headers=staff).json()
        seen += [one["id"] for one in found["data"]]
        after = found["next"]
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert house.client.get("/api/repairs?after=-1", headers=staff).status_code == 400


def test_a_page_that_is_known_is_not_sent_again(
    house: ClientHouse, mine: dict[str, str], staff: dict[str, str]
) -> None:
    report(house, mine)
    first = house.client.get("/api/repairs", headers=staff)
    known = staff | {"If-None-Match": first.headers["etag"]}
    assert house.client.get("/api/repairs", headers=known).status_code == 304
    report(house, mine, title="Door")
    again = house.client.get("/api/repairs", headers=known)
    assert (again.status_code, again.json()["total"]) == (200, 2)
