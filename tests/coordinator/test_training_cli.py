"""What an officer says about trainings: when, of what, and which model stands."""

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator import training
from coordinator.app import open_database
from coordinator.settings import Place
from federation.bundle import own_sha256
from node.kernel.clock import SystemClock
from tests.coordinator.test_cli import say


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An office that was made and is not served."""
    folder = tmp_path_factory.mktemp("district") / "office"
    done("init", folder, "--name", "District", "--json")
    return folder


def done(*words: str | Path) -> Any:
    """What a command that must work says to programs."""
    status, output, _ = say(*words)
    assert status == 0, output
    return json.loads(output)


def test_a_week_is_agreed_shown_and_ended(office: Path) -> None:
    def schedule(*words: str) -> object:
        return done("schedule", office, *words, "--json")["schedule"]

    assert schedule() is None
    agreed = schedule("--every-days", "7", "--first", "2099-01-04T03:00+08:00", "--rounds", "5")
    assert agreed == schedule()
    assert agreed == {
        "next_at": "2099-01-03T19:00:00+00:00",
        "every_days": 7,
        "rounds": 5,
        "min_nodes": 0,
        "local_steps": 100,
    }
    assert schedule("--off") is None


@pytest.mark.parametrize(
    "words",
    [
        ["--every-days", "7", "--off"],
        ["--every-days", "7", "--first", "tomorrow"],
        ["--every-days", "7", "--first", "2099-01-04T03:00"],
        ["--every-days", "7", "--first", "2020-01-04T03:00+08:00"],
        ["--every-days", "400"],
    ],
)
def test_a_schedule_that_cannot_be(office: Path, words: list[str]) -> None:
    assert say("schedule", office, *words)[0] == 2
    assert done("schedule", office, "--json")["schedule"] is None


def test_privacy_is_chosen_with_its_price_beside(office: Path, tmp_path: Path) -> None:
    def privacy(*words: str) -> Any:
        return done("privacy", office, *words, "--json")

    before = privacy()
    assert (before["epsilon"], before["protection"]) == (1.0, "auto")
    shipped = {row["epsilon"]: row["total_mae"] for row in before["accuracy_by_epsilon"]}
    assert set(shipped) == {None, 2.0, 1.0, 0.5}
    assert shipped[None] < shipped[1.0] < shipped[0.5]
    summary = tmp_path / "summary.json"
    private = {"total_mae": 3.2, "by_epsilon": {"1": {"total_mae": 3.2}, "4": {"total_mae": 3.1}}}
    arms = {"federated": {"total_mae": 3.0}, "federated_private": private}
    summary.write_text(json.dumps({"panel": "ours.csv", "arms": arms}))
    after = privacy("--epsilon", "4", "--protection", "secure", "--measured", str(summary))
    assert after == privacy()
    assert after == {
        "epsilon": 4.0,
        "protection": "secure",
        "measured_on": "ours.csv",
        "accuracy_by_epsilon": [
            {"epsilon": None, "total_mae": 3.0},
            {"epsilon": 4.0, "total_mae": 3.1},
            {"epsilon": 1.0, "total_mae": 3.2},
        ],
    }
    assert "3.100  <- chosen" in say("privacy", office)[1]


@pytest.mark.parametrize(
    ("words", "content", "code"),
    [
        (["--epsilon", "0"], "", "kernel.bad_input"),
        (["--epsilon", "nan"], "", "kernel.bad_input"),
        (["--protection", "none"], "", "kernel.bad_input"),
        (["--measured", "FILE"], "[]", "training.comparison_unusable"),
        (["--measured", "FILE"], '{"panel": "x", "arms": {}}', "training.comparison_unusable"),
        (["--epsilon", "2", "--measured", "FILE"], "{", "training.comparison_unusable"),
        (["--measured", "absent.json"], "", "training.comparison_unusable"),
    ],
)
def test_a_privacy_that_cannot_be(
    office: Path, tmp_path: Path, words: list[str], content: str, code: str
) -> None:
    known = done("privacy", office, "--json")
    file = tmp_path / "summary.json"
    file.write_text(content)
    words = [str(file) if word == "FILE" else word for word in words]
    status, _, errors = say("privacy", office, *words)
    assert status == 2
    assert code == errors
    assert done("privacy", office, "--json") == known


def test_the_bundle_can_be_read_and_its_hash_handed_on(office: Path) -> None:
    made = done("bundle", office, "--json")
    assert made["sha256"] == own_sha256()
    assert (Path(made["sources"]) / "federation" / "client_app.py").exists()


def test_a_model_is_withdrawn_and_restored(office: Path) -> None:
    assert done("models", "list", office, "--json")["models"] == []
    place, clock = Place(office), SystemClock()
    database = open_database(place, clock)
    model = training.store_model(place.models, b"weights")
    run = database.do(
        lambda session: training.request_training(
            session, clock, rounds=3, min_nodes=2, local_steps=5, seed=1
        )
    )
    database.do(
        lambda session: training.keep_model(
            session, clock, run_id=run.id, flower_run="1", sha256=model, card={"rounds": 3}
        )
    )
    database.close()
    short = model[:8]
    (listed,) = done("models", "list", office, "--json")["models"]
    assert (listed["sha256"], listed["is_latest"], listed["card"]["rounds"]) == (model, True, 3)
    nameless = say("models", "withdraw", office, short)
    assert nameless[0] == 2  # a reason is needed
    said = done("models", "withdraw", office, short, "--reason", "worse", "--json")
    assert said == {"withdrawn": model, "latest": None}
    unknown = say("models", "restore", office, "0" * 8)
    assert (unknown[0], unknown[2]) == (2, "office.model_unknown")
    done("models", "restore", office, short, "--json")
    (listed,) = done("models", "list", office, "--json")["models"]
    assert listed["withdrawn"] is None
