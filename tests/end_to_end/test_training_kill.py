"""A supernode or the superlink is killed in the middle of a training: the next one succeeds.

Method: two communities, a short history, a run of three rounds; at a moment drawn from the seed
one of Flower's services gets SIGKILL. The run may end well or be refused, never hang; another one
after it must have everybody's results in every round.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
from itertools import islice
from pathlib import Path

import pytest

from simulation import residents
from simulation.panel import write_panel
from simulation.processes import until
from simulation.refusals import StepFailed
from tests.end_to_end.district import STEP, Founded, found
from tests.end_to_end.seen import command, descendants

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

SEED = 20261124
NAMES = ("aster", "birch")
DAYS = 220
ROUNDS = 2
TEST_TIMEOUT_SECONDS = 540.0
TRAINING_TIMEOUT_SECONDS = 240.0
KILL_WITHIN_SECONDS = 10.0
PROGRAMS = ("flower-superlink", "flower-supernode")


def test_training_survives_a_kill(tmp_path: Path) -> None:
    dice = random.Random(SEED)  # noqa: S311 (repeatable, not secret)
    program, moment = dice.choice(PROGRAMS), dice.uniform(0, KILL_WITHIN_SECONDS)
    print(f"seed {SEED}: kill -9 of {program} after {moment:.1f} s")  # noqa: T201
    panel = tmp_path / "panel.csv"
    write_panel(panel, residents.generate(SEED, communities=NAMES, days=DAYS))
    asyncio.run(_play(tmp_path / "run", panel, program=program, moment=moment))


async def _play(home: Path, panel: Path, *, program: str, moment: float) -> None:
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        founded = await found(home, NAMES, has_training=True)
        try:
            district = founded.district
            for house in district.houses:
                chosen = ("--community", house.name, "--json")
                await house.node("import", str(panel), *chosen, step=STEP)
            await district.until_all(
                lambda one: bool(one["in_training"]), what="not in training", step=STEP
            )
            first = asyncio.create_task(_train(founded))
            await _kill_once_it_runs(founded, program, moment=moment)
            with contextlib.suppress(StepFailed):
                await first
            assert await _train(founded) == [len(NAMES)] * ROUNDS
        finally:
            await founded.closing.aclose()


async def _train(founded: Founded) -> list[int]:
    trained = await founded.district.train(
        rounds=ROUNDS, step=STEP, timeout_seconds=TRAINING_TIMEOUT_SECONDS
    )
    return [int(results) for results in trained["card"]["results_per_round"]]


async def _kill_once_it_runs(founded: Founded, program: str, *, moment: float) -> None:
    """Wait for the run's ServerApp, then for the drawn moment, then SIGKILL."""
    district = founded.district
    node, office = district.houses[0].child, district.office

    async def is_running() -> bool | None:
        assert office.pid is not None
        return any("flwr-serverapp" in command(pid) for pid in descendants(office.pid)) or None

    await until(
        is_running,
        what="no ServerApp was started",
        step=STEP,
        log=office.log,
        timeout_seconds=TRAINING_TIMEOUT_SECONDS,
    )
    await asyncio.sleep(moment)
    parent = office if program == "flower-superlink" else node
    assert parent.pid is not None
    below = (pid for pid in descendants(parent.pid) if program in command(pid))
    [victim] = islice(below, 1)
    os.kill(victim, signal.SIGKILL)
