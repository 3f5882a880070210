"""Real Flower on loopback: TLS, node authentication, three rounds, and killed processes."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from coordinator.superlink import TrainingFailed, TrainingPlan, TrainingResult
from federation import weights as weights_of
from federation.data import load_export
from federation.loop import federate
from federation.train import Recipe
from tests.federation.conftest import District, WriteExport

pytestmark = pytest.mark.processes

NODES = 3
STEPS = 40
RECOVERY_SECONDS = 240.0  # Flower holds a dead node for alive up to 90 s


@pytest.fixture
def exports(write_export: WriteExport) -> list[Path]:
    return [write_export(f"{index}.csv", days=120, seed=index) for index in range(NODES)]


async def reaching(text: str, log: Path) -> None:
    deadline = time.monotonic() + RECOVERY_SECONDS
    while not log.exists() or text not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, f"{text!r} never showed in {log.name}"
        await asyncio.sleep(0.1)


async def trained_again(district: District, plan: TrainingPlan) -> TrainingResult:
    """Try until it works, as the office does on its next day; bounded."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            return await district.superlink.run_training(plan)
        except TrainingFailed:
            assert time.monotonic() < deadline, "training never recovered"


def in_a_district(
    directory: Path, exports: list[Path], story: Callable[[District], object]
) -> None:
    async def run() -> None:
        district = District(directory)
        try:
            await district.start(exports)
            await story(district)  # type: ignore[misc] # each story is a coroutine function
        finally:
            await district.stop()

    asyncio.run(run())


def test_three_rounds_over_tls_give_the_loops_weights(tmp_path: Path, exports: list[Path]) -> None:
    async def story(district: District) -> None:
        key = tmp_path / "node 0" / "flower.key.pub"
        await district.superlink.register_supernode(key)  # told twice
        plan = TrainingPlan(rounds=3, min_nodes=NODES, local_steps=STEPS)
        result = await district.superlink.run_training(plan)
        assert result.card["results_per_round"] == [NODES] * 3
        assert result.card["sha256"] == weights_of.sha256(result.model)
        found = weights_of.load(result.model)
        recipe = Recipe(rounds=3, local_steps=STEPS)
        expected = federate([load_export(each) for each in exports], recipe=recipe)
        for name in found:
            np.testing.assert_allclose(found[name], expected.weights[name], atol=1e-6)
        for index in range(NODES):
            lines = (tmp_path / f"node {index}" / "left.jsonl").read_text().splitlines()
            assert [json.loads(line)["run_id"] for line in lines] == [result.run_id] * 3

    in_a_district(tmp_path, exports, story)


def test_a_killed_supernode_fails_the_run_clearly_and_the_next_succeeds(
    tmp_path: Path, exports: list[Path]
) -> None:
    async def story(district: District) -> None:
        plan = TrainingPlan(rounds=2, min_nodes=NODES, local_steps=STEPS)
        run = asyncio.create_task(district.superlink.run_training(plan))
        await reaching("Fleet.GetFab", district.place.directory / "superlink.log")
        victim = district.supernodes[0]
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        with pytest.raises(TrainingFailed, match="Round 1 brought 2 results"):
            await run
        result = await trained_again(district, plan)
        assert result.card["results_per_round"] == [NODES] * 2
        assert victim.starts > 1

    in_a_district(tmp_path, exports, story)


def test_a_killed_superlink_fails_the_run_clearly_and_the_next_succeeds(
    tmp_path: Path, exports: list[Path]
) -> None:
    async def story(district: District) -> None:
        plan = TrainingPlan(rounds=2, min_nodes=NODES, local_steps=STEPS)
        run = asyncio.create_task(district.superlink.run_training(plan))
        await reaching("Fleet.GetFab", district.place.directory / "superlink.log")
        superlink = district.superlink.process
        assert superlink is not None
        assert superlink.pid is not None
        os.kill(superlink.pid, signal.SIGKILL)
        with pytest.raises(TrainingFailed, match="restarted"):
            await run
        result = await trained_again(district, plan)
        assert result.card["results_per_round"] == [NODES] * 2

    in_a_district(tmp_path, exports, story)
