"""`linli-node` as an operator and a program use it: words, JSON, exit status."""

import json
import subprocess
from pathlib import Path

import pytest

from node.kernel.process import installed_program
from node.residents.rules import Role
from tests.node.commands import done, linli, make_node

COMMANDS = ("init", "join", "serve", "migrate", "import", "resident", "token", "audit", "left")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_node(tmp_path_factory.mktemp("house") / "plum")


def test_help_names_every_command_and_the_first_steps() -> None:
    said = linli("node", "--help").output
    assert all(f" {command} " in said for command in COMMANDS)
    assert "First time: init, join, serve" in said


def test_every_command_explains_itself() -> None:
    for command in COMMANDS:
        outcome = linli("node", command, "--help")
        assert outcome.status == 0
        assert outcome.said == ""


def test_without_a_command_it_helps() -> None:
    outcome = linli("node")
    assert "Usage" in outcome.output + outcome.said


@pytest.mark.parametrize("line", ["nonsense", "init", "init x", "token x --role king", "audit"])
def test_a_command_line_that_makes_no_sense(tmp_path: Path, line: str) -> None:
    outcome = linli("node", *line.split(), cwd=tmp_path)
    assert outcome.status == 2
    assert "Traceback" not in outcome.said
    assert list(tmp_path.iterdir()) == []


def test_people_get_a_sentence_and_programs_an_object(tmp_path: Path) -> None:
    said = linli("node", "init", tmp_path / "plum", "--name", "梅园")
    assert said.status == 0
    assert "梅园" in said.output
    assert "linli-node serve" in said.output
    made = done(linli("node", "init", tmp_path / "jade", "--name", "翠园", "--json"))
    assert made == {"directory": str(tmp_path / "jade"), "name": "翠园"}


def test_a_token_is_shown_once_and_kept_as_a_hash(directory: Path) -> None:
    for role in Role:
        made = done(linli("node", "token", directory, "--role", role.value, "--json"))
        assert made["role"] == role.value
        assert len(made["token"]) >= 32
        for path in directory.iterdir():
            assert made["token"].encode() not in path.read_bytes()
    plain = linli("node", "token", directory, "--role", "clerk").output
    assert len(plain.split()) == 1, "nothing but the token, for TOKEN=$(linli-node token …)"


def test_a_resident_is_registered_with_roles_and_a_pin(directory: Path) -> None:
    arguments = ("add", directory, "--name", "周", "--phone", "13900000009", "--role", "clerk")
    made = done(linli("node", "resident", *arguments, "--pin", "--json", stdin="804217\n"))
    assert set(made) == {"id"}
    again = linli("node", "resident", *arguments, "--json")
    assert (again.status, again.code) == (2, "residents.phone_taken")


def test_a_weak_pin_is_refused(directory: Path) -> None:
    arguments = ("add", directory, "--name", "周", "--phone", "13900000010", "--pin")
    outcome = linli("node", "resident", *arguments, stdin="1\n")
    assert outcome.status == 2
    assert outcome.code == "kernel.bad_input"


def test_a_panel_is_taken_over_once(directory: Path, tmp_path: Path) -> None:
    panel = tmp_path / "panel.csv"
    rows = [f"2018-01-{day:02},plum,plumbing,{day}" for day in range(1, 29)]
    panel.write_text("\n".join(["date,community,category,count", *rows]) + "\n")
    for _ in range(2):
        counts = done(linli("node", "import", directory, panel, "--community", "plum", "--json"))
        assert counts == {"counts": 28, "days": 28}


def test_an_empty_node_audits_and_has_sent_nothing(directory: Path) -> None:
    found = done(linli("node", "audit", directory, "--json"))
    assert (found["ok"], found["entries"], found["problem"]) == (True, 0, "")
    assert found["chain"] == "not configured"
    assert done(linli("node", "left", directory, "--json")) == {"left": []}
    assert "Nothing has left" in linli("node", "left", directory).output


def test_migrating_a_current_database_changes_nothing(directory: Path) -> None:
    migrated = done(linli("node", "migrate", directory, "--json"))
    assert migrated["before"] == migrated["after"]


def test_a_reader_that_hangs_up_is_no_trouble(directory: Path) -> None:
    """`linli-node audit DIR | head -0` must not end in a traceback."""
    with subprocess.Popen(
        [installed_program("linli-node"), "audit", str(directory), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read().decode()


def test_json_is_one_line_that_any_program_reads(directory: Path) -> None:
    output = linli("node", "audit", directory, "--json").output
    assert len(output.splitlines()) == 1
    assert isinstance(json.loads(output), dict)
