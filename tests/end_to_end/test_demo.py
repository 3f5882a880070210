"""The demonstration as a newcomer runs it: every field of its answer, and nothing left behind."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.seen import running_with

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

LINLI_SIM = str(Path(sys.executable).parent / "linli-sim")
DEMO_SECONDS_MAX = 480
START_SECONDS_MAX = 90
STOP_SECONDS_MAX = 45
ROUNDS = 3
KINDS_OF_EVERYBODY = {"Heartbeat", "SubmitPosition", "SubmitSignature", "model_update"}


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    out = tmp_path_factory.mktemp("demo") / "out"
    argv = [LINLI_SIM, "demo", "--out", str(out), "--rounds", str(ROUNDS), "--json"]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=DEMO_SECONDS_MAX, check=False
    )
    return out, done


@pytest.fixture(scope="module")
def summary(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> dict[str, Any]:
    out, done = finished
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert answer == json.loads((out / "summary.json").read_text())
    return answer


def test_the_history_is_said_to_be_generated(summary: dict[str, Any]) -> None:
    assert summary["panel"] == "generated from seed 1, not real people"
    assert summary["nodes"] == 4
    assert 0 < summary["seconds"] < DEMO_SECONDS_MAX


def test_flower_trained_with_everybody_and_each_adopted_an_arm(summary: dict[str, Any]) -> None:
    training = summary["training"]
    assert (training["engine"], training["rounds"]) == ("flower", ROUNDS)
    assert training["results_per_round"] == [4] * ROUNDS
    assert set(training["mae"]) == {"mean8", "local", "federated"}
    assert all(0 < error < 10 for error in training["mae"].values())
    assert len(training["adopted"]) == 4
    assert set(training["adopted"].values()) <= set(training["mae"])


def test_ninety_minutes_survived_the_kill(summary: dict[str, Any]) -> None:
    wanted = {"minutes": 90, "state": "captured", "killed": "B", "recovered": True}
    assert summary["redemption"] == wanted


def test_one_transaction_settled_all_and_sums_to_zero(summary: dict[str, Any]) -> None:
    settlement = summary["settlement"]
    assert re.fullmatch("0x[0-9a-f]{64}", settlement["transaction"])
    assert (settlement["communities"], settlement["sum"]) == (4, 0)
    assert settlement["minutes"] > 0


def test_every_book_holds_and_every_house_lists_what_left(summary: dict[str, Any]) -> None:
    communities = set(summary["training"]["adopted"])
    assert set(summary["audit"]) == set(summary["left"]) == communities
    for audit in summary["audit"].values():
        assert audit["ok"] is True
        assert audit["entries"] > 0
        assert re.fullmatch("[0-9a-f]{64}", audit["head"])
    for kinds in summary["left"].values():
        assert set(kinds) >= KINDS_OF_EVERYBODY
        assert all(sent["messages"] > 0 and sent["bytes"] > 0 for sent in kinds.values())
        assert kinds["model_update"]["messages"] == ROUNDS


def test_the_page_is_whole_and_nothing_runs_on(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, done = finished
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 9
    assert "not real people" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert running_with(str(out)) == []
    assert len(re.findall(r"^\d/8 ", done.stderr, flags=re.MULTILINE)) == 8


def _hear_ctrl_c() -> None:
    """What a shell runs in the background ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_in_the_middle_leaves_nothing_running(tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = [LINLI_SIM, "demo", "--out", str(out)]
    demo = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, preexec_fn=_hear_ctrl_c)
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not running_with(f"serve {out}"):
            assert time.monotonic() < deadline
            assert demo.poll() is None
            time.sleep(0.1)
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate(timeout=STOP_SECONDS_MAX)
    finally:
        demo.kill()
    assert demo.returncode == 130
    assert "nothing is left running" in said
    assert running_with(str(out)) == []
