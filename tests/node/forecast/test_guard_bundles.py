"""The operator's veto as commands: list, read, approve, refuse; and the guard obeys."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from federation.bundle import build_bundle, packed_bundle
from federation.guard.bundles import Bundles
from tests.node.commands import done, linli, make_node


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_node(tmp_path / "plum")


def guard_of(directory: Path, own: str | None = None) -> Bundles:
    bundles = Bundles(directory / "bundles", own)
    bundles.prepare()
    return bundles


def say(*words: Any) -> dict[str, Any]:
    found: dict[str, Any] = done(linli("node", "bundles", *words, "--json"))
    return found


def changed_bundle(folder: Path) -> bytes:
    """Today's app with one line more, as a next version of the office would be."""
    app = build_bundle(folder)
    with (app / "federation" / "client_app.py").open("a", encoding="utf-8") as file:
        file.write("# one line more\n")
    (app / "federation" / "new_part.py").write_text("", encoding="utf-8")
    return packed_bundle(app)


def test_a_bundle_is_asked_for_read_approved_and_refused(directory: Path, tmp_path: Path) -> None:
    guard = guard_of(directory)
    sha256 = guard.note_asked(changed_bundle(tmp_path / "app"), run_id="5")
    guard.note_asked(changed_bundle(tmp_path / "app"), run_id="6")
    (listed,) = say("list", directory)["bundles"]
    assert (listed["sha256"], listed["decision"], listed["times"]) == (sha256, "undecided", 2)
    assert not guard.is_approved(sha256)
    reading = say("read", directory, sha256[:8], "--out", tmp_path / "reading")
    assert reading["changed"] == ["federation/client_app.py"]
    assert reading["added"] == ["federation/new_part.py"]
    assert "# one line more" in (tmp_path / "reading/federation/client_app.py").read_text()
    assert say("approve", directory, sha256[:8])["sha256"] == sha256
    assert guard.is_approved(sha256)
    assert say("list", directory)["bundles"][0]["decision"] == "approved"
    say("refuse", directory, sha256)
    assert not guard.is_approved(sha256)


def test_the_own_bundle_is_listed_as_such_and_can_be_refused(
    directory: Path, tmp_path: Path
) -> None:
    bundle = packed_bundle(build_bundle(tmp_path / "app"))
    sha256 = hashlib.sha256(bundle).hexdigest()
    guard = guard_of(directory, own=sha256)
    assert say("list", directory)["bundles"][0]["decision"] == "own"
    assert guard.is_approved(sha256)
    guard.note_asked(bundle, run_id="1")
    reading = say("read", directory, sha256, "--out", tmp_path / "reading")
    assert (reading["changed"], reading["added"]) == ([], [])
    say("refuse", directory, sha256)
    assert not guard.is_approved(sha256)


def test_a_hash_can_be_approved_before_it_is_asked_for(directory: Path) -> None:
    sha256 = "ab" * 32
    say("approve", directory, sha256)
    assert guard_of(directory).is_approved(sha256)
    for wrong in ("ab" * 4, "abababa", "xyz", "cd" * 4):
        outcome = linli("node", "bundles", "approve", directory, wrong)
        assert (outcome.status == 0) == (wrong == "ab" * 4)
        assert "Traceback" not in outcome.said


def escaping(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bundle:
        bundle.writestr(name, "here")
    return content.getvalue()


@pytest.mark.parametrize(
    "content", [escaping("../out.py"), escaping("/out.py"), b"no zip", escaping("a/../../b.py")]
)
def test_a_bundle_that_would_write_elsewhere_is_not_laid_out(
    directory: Path, tmp_path: Path, content: bytes
) -> None:
    sha256 = guard_of(directory).note_asked(content, run_id="1")
    outcome = linli("node", "bundles", "read", directory, sha256, "--out", tmp_path / "reading")
    assert outcome.status == 2
    assert "bundles.unreadable" in outcome.said
    assert not (tmp_path / "reading").exists()


def test_an_office_that_asks_for_much_fills_no_disk(directory: Path) -> None:
    guard = guard_of(directory)
    approved = guard.note_asked(b"approved", run_id="1")
    say("approve", directory, approved)
    for number in range(30):
        guard.note_asked(b"bundle %d" % number, run_id="1")
    guard.note_asked(bytes(9 * 1024 * 1024), run_id="1")
    assert len(say("list", directory)["bundles"]) == 21
    kept = {path.stem for path in (directory / "bundles").glob("*.fab")}
    assert len(kept) == 20
    assert approved in kept
