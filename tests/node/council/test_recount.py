"""An archive counts again to what was announced; whatever is changed in it shows."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.council import api, archive, pages, rules
from node.residents.model import Resident
from node.residents.rules import Role
from recount.archive import examine
from recount.command import DOES_NOT_FIT, FITS, UNREADABLE, main
from tests.node.commands import linli
from tests.node.web.client import ClientHouse, house_at, key

Content = dict[str, Any]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*api.routes, *pages.routes]) as house:
        yield house


def hold_a_vote(house: ClientHouse, *, electorate: str = "residents") -> tuple[str, list[UUID]]:
    """Four voters, three of whom come: two for it, one against; returns the vote and who voted."""
    voters = [house.resident(f"V{number}") for number in range(4)]
    if electorate == "owners":
        own_flats(house, voters)
    secretary = house.bearer(Role.SECRETARY)
    body = {"title": "Charging", "text": "Ten.", "electorate": electorate}
    answer = house.client.post("/api/council/motions", json=body, headers=secretary | key())
    path = f"/api/council/motions/{answer.json()['id']}"
    for step in ("screening", "publicity", "assembly"):
        if step == "assembly":
            house.clock.advance(rules.PUBLICITY_TIME_MIN)
        house.client.post(f"{path}/step", json={"to": step}, headers=secretary)
    for voter, choice in zip(voters[:3], ("yes", "yes", "no"), strict=True):
        headers = house.signed_in(voter) | key()
        house.client.post(f"{path}/ballots", json={"choice": choice}, headers=headers)
    house.clock.advance(rules.VOTING_TIME)
    closed = house.client.post(f"{path}/close", headers=secretary)
    return closed.json()["id"], voters


def own_flats(house: ClientHouse, voters: list[UUID]) -> None:
    def command(session: Any) -> None:
        for number, voter in enumerate(voters):
            owner = session.get_one(Resident, voter)
            owner.is_owner, owner.floor_area_dm2 = True, 9_000 + number

    house.database.do(command)


def exported(house: ClientHouse, vote_id: str, voter: UUID) -> bytes:
    answer = house.client.get(
        f"/api/council/votes/{vote_id}/archive", headers=house.signed_in(voter)
    )
    assert answer.status_code == 200
    return answer.content


@pytest.mark.parametrize("electorate", ["residents", "owners"])
def test_an_archive_counts_again_by_head_and_by_area(house: ClientHouse, electorate: str) -> None:
    vote_id, voters = hold_a_vote(house, electorate=electorate)
    raw = exported(house, vote_id, voters[0])
    assert raw == exported(house, vote_id, voters[1]), "the same bytes every time"
    found = examine(raw, expected_key=archive.public_key(house.settings.directory))
    assert found.fits, [check for check in found.checks if not check.holds]
    assert (found.tally["yes"][0], found.tally["no"][0], found.roll[0]) == (2, 1, 4)
    assert (found.has_quorum, found.is_carried) == (True, True)
    assert found.tally["yes"][1] == (18_001 if electorate == "owners" else 0)
    text = raw.decode()
    assert not any(str(voter) in text for voter in voters), "marks stand for voters"


def test_the_roll_that_is_read_is_the_roll_that_was_hashed(house: ClientHouse) -> None:
    vote_id, voters = hold_a_vote(house)
    headers = house.signed_in(voters[0])
    text = house.client.get(f"/api/council/votes/{vote_id}/roll", headers=headers).content
    mark = house.client.get(f"/api/council/votes/{vote_id}/mark", headers=headers).json()["mark"]
    said = json.loads(exported(house, vote_id, voters[0]))["archive"]
    assert hashlib.sha256(text).hexdigest() == json.loads(said)["vote"]["roll_sha256"]
    assert f"{mark} 0\n" in text.decode()


def test_nothing_is_exported_while_the_vote_runs(house: ClientHouse) -> None:
    clerk, voter = house.bearer(Role.CLERK), house.resident()
    body = {"title": "Charging", "text": "Ten."}
    answer = house.client.post("/api/council/motions", json=body, headers=clerk | key())
    path = f"/api/council/motions/{answer.json()['id']}"
    vote = house.client.post(f"{path}/straw", headers=clerk | key()).json()["id"]
    headers = house.signed_in(voter)
    assert (
        house.client.get(f"/api/council/votes/{vote}/archive", headers=headers).status_code == 409
    )
    assert house.client.get(f"/api/council/votes/{vote}/archive").status_code == 401


def resigned(raw: bytes, change: Callable[[Content], None]) -> bytes:
    """What somebody could publish who has a key, though not the council's, and a wish."""
    envelope = json.loads(raw)
    content = json.loads(envelope["archive"])
    change(content)
    return sealed_by(Ed25519PrivateKey.generate(), envelope, content)


def sealed_by(signer: Ed25519PrivateKey, envelope: dict[str, str], content: Content) -> bytes:
    text = json.dumps(content)
    envelope |= {
        "archive": text,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "public_key": signer.public_key().public_bytes_raw().hex(),
        "signature": signer.sign(archive.VOTE + text.encode()).hex(),
    }
    return json.dumps(envelope).encode()


def turn_a_ballot(content: Content) -> None:
    ballot = next(one for one in content["ballots"] if one["choice"] == "no")
    ballot["choice"] = "yes"


def vote_twice(content: Content) -> None:
    content["ballots"].append(content["ballots"][0])
    content["result"]["yes"]["heads"] = sum(
        ballot["choice"] == "yes" for ballot in content["ballots"]
    )


def add_a_stranger(content: Content) -> None:
    content["ballots"].append({"mark": "0" * 32, "choice": "no", "channel": "web", "receipt": ""})


def add_to_the_roll(content: Content) -> None:
    content["roll"].append(["f" * 32, 0])


def lower_the_bar(content: Content) -> None:
    content["vote"]["rule"]["quorum"] = {"over": 9, "of": 10, "is_reached_at": False}


def announce_otherwise(content: Content) -> None:
    content["result"]["is_carried"] = False


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (turn_a_ballot, "tally"),
        (vote_twice, "nobody_twice"),
        (add_a_stranger, "all_on_roll"),
        (add_to_the_roll, "roll"),
        (lower_the_bar, "quorum"),
        (announce_otherwise, "carried"),
    ],
)
def test_every_lie_shows_even_under_a_fresh_signature(
    house: ClientHouse, change: Callable[[Content], None], broken: str
) -> None:
    vote_id, voters = hold_a_vote(house)
    raw = exported(house, vote_id, voters[0])
    mine = archive.public_key(house.settings.directory)
    found = examine(resigned(raw, change), expected_key=mine)
    checks = {check.name: check.holds for check in found.checks}
    assert (checks["hash"], checks["signature"]) == (True, True)
    assert (checks["key"], checks[broken]) == (False, False)


def test_a_changed_letter_breaks_hash_and_signature(house: ClientHouse) -> None:
    vote_id, voters = hold_a_vote(house)
    raw = exported(house, vote_id, voters[0]).replace(b"Charging", b"Changing")
    checks = {check.name: check.holds for check in examine(raw).checks}
    assert (checks["hash"], checks["signature"]) == (False, False)


def test_the_command_says_it_in_words_and_by_its_status(
    house: ClientHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vote_id, voters = hold_a_vote(house)
    file = tmp_path / "vote.json"
    file.write_bytes(exported(house, vote_id, voters[0]))
    assert main([str(file)]) == FITS
    said = capsys.readouterr().out
    assert "Everything fits." in said
    assert "Organic Law" in said
    assert "yes         2" in said
    outcome = linli("node", "recount", str(file), "--json")
    assert outcome.status == FITS
    assert json.loads(outcome.output)["tally"]["yes"] == [2, 0]
    file.write_bytes(file.read_bytes().replace(b"Ten.", b"Six."))
    assert main([str(file)]) == DOES_NOT_FIT
    assert "does NOT fit" in capsys.readouterr().out


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"format": "linli/vote/v1"}',
        b'{"format": "linli/vote/v1", "archive": "[]", "sha256": "", "public_key": "", '
        b'"signature": ""}',
        b'{"format": "linli/vote/v1", "archive": "{}", "sha256": "", "public_key": "zz", '
        b'"signature": ""}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_archive_is_refused_with_a_sentence(
    tmp_path: Path, raw: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "vote.json"
    file.write_bytes(raw)
    assert main([str(file)]) == UNREADABLE
    assert "no archive of a vote" in capsys.readouterr().err
    assert main([str(tmp_path / "missing.json")]) == UNREADABLE


def seal_nothing(content: Content) -> None:
    content["vote"]["is_secret"] = True
    content["belenios"] = base64.b64encode(b"nothing").decode()
    content["election"] = {"sha256": "", "bytes": 3}


@pytest.mark.belenios
def test_a_sealed_part_that_is_no_tar_does_not_fit(house: ClientHouse) -> None:
    vote_id, voters = hold_a_vote(house)
    found = examine(resigned(exported(house, vote_id, voters[0]), seal_nothing))
    assert not {check.name: check.holds for check in found.checks}["belenios"]


def test_without_the_tool_a_sealed_archive_is_neither_right_nor_wrong(
    house: ClientHouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    vote_id, voters = hold_a_vote(house)
    file = tmp_path / "vote.json"
    file.write_bytes(resigned(exported(house, vote_id, voters[0]), seal_nothing))
    monkeypatch.setenv("PATH", "/nonexistent")
    assert main([str(file)]) == UNREADABLE
    assert "apt install belenios-tool" in capsys.readouterr().err
