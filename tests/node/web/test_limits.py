"""Too often is 429 with the time to wait, by address and by account; programs are not counted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import get, post

from node.residents import api as residents_api
from node.residents import pages as residents_pages
from node.residents.rules import Role
from node.web import limits
from node.web.limits import Limit, Limiter, TooManyRequests
from node.web.session import AnyRequest, require
from tests.node.web.client import ClientHouse, house_at


@post("/api/write")
async def write(request: AnyRequest) -> None:
    require(request)


@get("/api/read")
async def read() -> None: ...


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    routes = [*residents_api.routes, *residents_pages.routes, write, read]
    with house_at(tmp_path, routes) as house:
        house.client.app.state.limiter.seconds = lambda: house.clock.now().timestamp()
        yield house


def statuses(house: ClientHouse, count: int, headers: dict[str, str]) -> list[int]:
    return [house.client.post("/api/write", headers=headers).status_code for _ in range(count)]


def test_an_account_may_write_so_often(house: ClientHouse) -> None:
    mine = house.signed_in(house.resident("Lin"))
    times = limits.ACCOUNT_WRITES.times
    assert statuses(house, times + 1, mine) == [201] * times + [429]
    refused = house.client.post("/api/write", headers=mine)
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert refused.json()["code"] == "web.too_many_requests"
    assert house.client.get("/api/read", headers=mine).status_code == 200
    other = house.signed_in(house.resident("Wang"))
    assert statuses(house, 1, other) == [201]


def test_a_second_sign_in_is_the_same_account(house: ClientHouse) -> None:
    lin = house.resident("Lin")
    assert statuses(house, limits.ACCOUNT_WRITES.times, house.signed_in(lin))[-1] == 201
    assert statuses(house, 1, house.signed_in(lin)) == [429]


def test_a_program_of_the_operator_is_not_counted(house: ClientHouse) -> None:
    program = house.bearer(Role.CLERK)
    assert set(statuses(house, limits.ACCOUNT_WRITES.times + 5, program)) == {201}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer guessed"}])
def test_who_has_not_signed_in_is_counted_by_address(
    house: ClientHouse, headers: dict[str, str]
) -> None:
    times = limits.ANONYMOUS_ADDRESS.times
    assert statuses(house, times + 1, headers) == [401] * times + [429]


def test_signing_in_is_counted_by_address_on_both_doors(house: ClientHouse) -> None:
    body = {"phone": "13900009999", "pin": "000000"}
    times = limits.SIGN_IN_ADDRESS.times
    for number in range(times):
        body["phone"] = f"1390000{number:04}"
        assert house.client.post("/api/sessions", json=body).status_code in (401, 429)
    answer = house.client.post("/api/sessions", json=body)
    assert (answer.status_code, answer.json()["code"]) == (429, "web.too_many_requests")
    house.client.get("/sign-in")
    page = house.post_form("/sign-in", page="/sign-in", phone=body["phone"], pin="0")
    assert page.status_code == 429
    assert "retry-after" in page.headers


def test_tokens_flow_back_evenly() -> None:
    now = 0.0
    limiter, limit = Limiter(lambda: now), Limit("test", 3, 30.0)
    for _ in range(3):
        limiter.admit(limit, "a")
    with pytest.raises(TooManyRequests) as refused:
        limiter.admit(limit, "a")
    assert refused.value.details["seconds"] == 10
    limiter.admit(limit, "b")
    now = 10.0
    limiter.admit(limit, "a")
    with pytest.raises(TooManyRequests):
        limiter.admit(limit, "a")
    now = 1_000.0
    for _ in range(3):
        limiter.admit(limit, "a")


def test_memory_is_bounded() -> None:
    now = 0.0
    limiter, limit = Limiter(lambda: now), Limit("test", 1, 1.0)
    for number in range(limits.KEYS_MAX + 10):
        limiter.admit(limit, str(number))
        now += 0.001
    assert len(limiter._free_at) <= limits.KEYS_MAX
