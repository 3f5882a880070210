"""What a program knows already is not sent again, and it changes only what it has seen."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Response, get, put

from node.web import etag
from node.web.session import AnyRequest
from tests.node.web.client import ClientHouse, house_at

STATE: dict[str, Any] = {"count": 1}


@get("/api/state")
async def show() -> dict[str, Any]:
    return STATE


@get("/api/picture")
async def picture() -> Response[bytes]:
    return Response(b"GIF", media_type="image/gif")


@put("/api/state")
async def change(request: AnyRequest) -> dict[str, Any]:
    etag.check_match(request, STATE)
    return STATE


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [show, picture, change]) as house:
        yield house


def test_the_same_answer_is_not_sent_twice(house: ClientHouse) -> None:
    first = house.client.get("/api/state")
    assert first.json() == STATE
    assert first.headers["cache-control"] == etag.REVALIDATE
    known = {"If-None-Match": f'"other", W/{first.headers["etag"]}'}
    again = house.client.get("/api/state", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert "content-length" not in again.headers
    assert "content-security-policy" in again.headers
    other = house.client.get("/api/state", headers={"If-None-Match": '"other"'})
    assert other.json() == STATE


def test_refusals_and_files_have_no_tag(house: ClientHouse) -> None:
    assert "etag" not in house.client.get("/api/none").headers
    picture = house.client.get("/api/picture")
    assert (picture.content, "etag" in picture.headers) == (b"GIF", False)
    assert picture.headers["cache-control"] == "no-store"


def test_a_change_names_the_state_it_changes(house: ClientHouse) -> None:
    seen = house.client.get("/api/state").headers["etag"]
    for wanted, status in ((seen, 200), ("*", 200), ('"old"', 412)):
        answer = house.client.put("/api/state", headers={"If-Match": wanted})
        assert answer.status_code == status
    assert answer.json()["code"] == "web.changed_meanwhile"
    assert house.client.put("/api/state").status_code == 200
