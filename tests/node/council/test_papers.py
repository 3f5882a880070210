"""Papers are what their bytes say, within their limits, and come back as downloads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.council import api, pages, papers
from node.council.refusals import PaperRefused
from node.kernel.ids import new_id
from node.residents.pages import routes as residents_routes
from node.residents.rules import Role
from node.web.session import SIGN_IN_COOKIE, VISIT_COOKIE, form_token
from tests.node.web.client import ClientHouse, house_at, key

PDF = b"%PDF-1.7\n1 0 obj"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PDF, "application/pdf"),
        (b"\x89PNG\r\n\x1a\nrest", "image/png"),
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"ID3\x04rest", "audio/mpeg"),
        (b"OggS\x00rest", "audio/ogg"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"\x00\x00\x00\x20ftypM4A \x00", "audio/mp4"),
        ("会议记录\n同意。\n".encode(), "text/plain"),
    ],
)
def test_a_file_is_what_its_bytes_say(content: bytes, media_type: str) -> None:
    assert papers.checked_type(content) == media_type
    assert media_type in papers.SUFFIXES


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   \n",
        b"MZ\x90\x00\x03",
        b"PK\x03\x04\x14\x00",
        b"\x7fELF\x02",
        b"words\x00and a zero",
        b"RIFF\x24\x00\x00\x00AVI LIST",
        PDF + b"x" * papers.DOCUMENT_BYTES_MAX,
        b"OggS" + b"x" * papers.RECORDING_BYTES_MAX,
    ],
    ids=lambda content: repr(content[:8]),
)
def test_everything_else_is_refused(content: bytes) -> None:
    with pytest.raises(PaperRefused):
        papers.checked_type(content)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*api.routes, *pages.routes, *residents_routes]) as house:
        yield house


def propose(house: ClientHouse) -> str:
    body = {"title": "Charging", "text": "Ten."}
    headers = house.bearer(Role.CLERK) | key()
    made = house.client.post("/api/council/motions", json=body, headers=headers)
    return str(made.json()["id"])


def send(house: ClientHouse, motion: str, headers: dict[str, str], content: bytes) -> Any:
    path = f"/api/council/motions/{motion}/papers?kind=opinion&title=Lawyer"
    return house.client.post(path, content=content, headers=headers)


def test_a_paper_over_the_api_and_back(house: ClientHouse) -> None:
    motion, clerk = propose(house), house.bearer(Role.CLERK) | key()
    sent = send(house, motion, clerk, PDF)
    assert (sent.status_code, sent.json()["media_type"]) == (201, "application/pdf")
    assert send(house, motion, clerk, PDF).json() == sent.json()
    assert send(house, motion, clerk, PDF + b"2").json()["code"] == "kernel.id_reused"
    refused = send(house, motion, house.bearer(Role.CLERK) | key(), b"\x7fELF")
    assert refused.json()["code"] == "council.paper_refused"
    resident = house.signed_in(house.resident()) | key()
    assert send(house, motion, resident, PDF).status_code == 403
    file = house.client.get(sent.json()["href"])
    assert file.content == PDF
    assert file.headers["content-disposition"].startswith("attachment")
    assert file.headers["x-content-type-options"] == "nosniff"
    assert len(house.client.get(f"/api/council/motions/{motion}/papers").json()) == 1


def test_a_motion_has_twenty_papers_and_no_more(house: ClientHouse) -> None:
    motion = propose(house)
    for _ in range(papers.PAPERS_MAX):
        assert send(house, motion, house.bearer(Role.CLERK) | key(), PDF).status_code == 201
    assert send(house, motion, house.bearer(Role.CLERK) | key(), PDF).status_code == 409


def test_a_recording_from_the_offices_form(house: ClientHouse) -> None:
    motion = propose(house)
    house.open_browser(house.resident("Clerk", Role.CLERK))
    path = f"/council/motions/{motion}"
    house.client.get(f"{path}/office")
    cookies = house.client.cookies
    token = form_token(
        visit=cookies.get(VISIT_COOKIE) or "", sign_in=cookies.get(SIGN_IN_COOKIE) or ""
    )
    recording = b"OggS" + b"x" * 2_000_000
    fields = {"csrf": token, "form_id": str(new_id()), "kind": "recording", "paper_title": "Tape"}
    file = {"file": ("tape.exe", recording, "application/x-msdownload")}
    sent = house.client.post(f"{path}/papers", data=fields, files=file, follow_redirects=False)
    assert sent.status_code == 303
    assert "Tape" in house.client.get(path).text
    empty = house.client.post(f"{path}/papers", data=fields, follow_redirects=False)
    assert (empty.status_code, "Please choose a file." in empty.text) == (409, True)
