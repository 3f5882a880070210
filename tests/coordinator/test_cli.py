"""What an officer types: results on stdout, refusals as one sentence with its code and status 2."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from coordinator import directory, enrolment, wire
from coordinator.app import open_database
from coordinator.cli import app
from coordinator.settings import Place
from node.enrolment.invitation import parse_invitation
from node.enrolment.join import new_request
from node.enrolment.keys import make_or_load_keys
from node.kernel.clock import SystemClock
from node.kernel.errors import DomainError
from node.kernel.terminal import REFUSED
from tests.coordinator.serving import PEER

Spoken = tuple[int, str, str]


def say(*words: str | Path) -> Spoken:
    """Type a command in this process: exit status, stdout, and the refusal's code."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, DomainError):
        return REFUSED, result.stdout, result.exception.code
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, ""


@pytest.fixture
def office(tmp_path: Path) -> Path:
    folder = tmp_path / "office"
    assert say("init", folder, "--name", "示范区", "--json")[0] == 0
    return folder


def was_served(office: Path) -> None:
    """As if the office had once listened."""

    def learn(session: Session) -> None:
        directory.learn(session, **{directory.ENROL_ADDRESS: "127.0.0.1:7400"})

    database = open_database(Place(office), SystemClock())
    database.do(learn)
    database.close()


def applied(office: Path, text: str, keys_folder: Path) -> None:
    """As if the node had sent its request."""
    invitation = parse_invitation(text)
    application = wire.application(new_request(make_or_load_keys(keys_folder), invitation, PEER))
    database = open_database(Place(office), SystemClock())
    database.do(lambda session: enrolment.apply(session, SystemClock(), application=application))
    database.close()


def test_init_makes_closed_keys_and_says_who_pays(tmp_path: Path) -> None:
    status, out, _ = say(
        "init", tmp_path / "o", "--name", "District", "--rpc", "http://x", "--json"
    )
    made = json.loads(out)
    assert status == 0
    assert made["relay_address"].startswith("0x")
    assert len(made["relay_address"]) == 42
    for name in ("ca.key", "relay.key"):
        assert (tmp_path / "o/keys" / name).stat().st_mode & 0o777 == 0o600


def test_init_goes_on_after_a_kill(tmp_path: Path) -> None:
    say("init", tmp_path / "o", "--name", "District")
    key = (tmp_path / "o/keys/ca.key").read_bytes()
    (tmp_path / "o/ca.pem").unlink()
    (tmp_path / "o/office.json").unlink()
    assert say("init", tmp_path / "o", "--name", "District")[0] == 0
    assert (tmp_path / "o/keys/ca.key").read_bytes() == key


def test_what_is_refused_is_a_sentence_a_code_and_status_two(tmp_path: Path, office: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "office.json").write_text("{")
    refusals = {
        "office.exists": ("init", office, "--name", "Again"),
        "office.unreadable": ("init", file / "in", "--name", "District"),
        "kernel.bad_input": ("init", tmp_path / "n", "--name", " "),
        "office.missing": ("serve", tmp_path / "nowhere"),
        "office.no_address": ("invite", office, "--community", "A", "--name", "A"),
        "settlement.no_chain": ("deploy", office),
        "office.not_serving": ("settle", office),
        "office.community_unknown": ("approve", office, "--community", "X"),
    }
    for code, words in refusals.items():
        assert say(*words) == (2, "", code)
    assert say("upgrade", office, "--from", "0x0") == (2, "", "settlement.no_chain")
    assert say("status", broken)[2] == "office.unreadable"
    assert say("train", office)[2] == "office.not_serving"


def test_a_refusal_at_the_terminal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "coordinator.cli", "status", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip().endswith("(office.missing)")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_chain_that_does_not_answer_is_said_so(tmp_path: Path) -> None:
    say("init", tmp_path / "o", "--name", "District", "--rpc", "http://127.0.0.1:9")
    assert say("deploy", tmp_path / "o") == (2, "", "settlement.chain_trouble")


def test_invite_approve_revoke_and_status(tmp_path: Path, office: Path) -> None:
    was_served(office)
    status, out, _ = say("invite", office, "--community", "A", "--name", "甲", "--json")
    assert status == 0
    text = json.loads(out)["invitation"]
    applied(office, text, tmp_path / "node")
    assert json.loads(say("status", office, "--json")[1])["waiting"] == ["A"]
    assert json.loads(say("approve", office, "--all", "--json")[1]) == {"approved": {"A": 1}}
    (community,) = json.loads(say("status", office, "--json")[1])["communities"]
    assert (community["state"], community["number"]) == ("active", 1)
    assert say("revoke", office, "--community", "A")[0] == 0
    assert "revoked" in say("status", office)[1]


def test_an_idle_office_imports_neither_flower_nor_torch_nor_web3() -> None:
    check = (
        "import sys, coordinator.app, coordinator.cli, coordinator.waiting, coordinator.deploying;"
        "sys.exit(len({'flwr', 'torch', 'web3', 'eth_account'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], timeout=60, check=False)
    assert done.returncode == 0


def test_help_names_every_command() -> None:
    out = say("--help")[1]
    for command in (
        "init", "serve", "invite", "approve", "revoke", "deploy", "train", "settle", "status",
    ):  # fmt: skip
        assert command in out
