"""Real Flower on loopback: TLS, node authentication, secure sums, and killed processes."""

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
from federation.data import History, load_export
from federation.loop import federate
from federation.recipe import Recipe
from federation.train import train_round
from federation.weights import Weights
from tests.federation.conftest import District, WriteExport

pytestmark = pytest.mark.processes

NODES = 3  # too few for a secure sum
CIRCLE = 5  # enough: a quorum is four
STEPS = 20
RECOVERY_SECONDS = 240.0  # Flower holds a dead node for alive up to 90 s


@pytest.fixture
def exports(write_export: WriteExport) -> list[Path]:
    return [write_export(f"{index}.csv", days=120, seed=index) for index in range(CIRCLE)]


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


def test_a_secure_sum_survives_a_node_that_is_killed_in_the_middle(
    tmp_path: Path, exports: list[Path]
) -> None:
    """Lost in round 2, after its secrets were dealt: the sums of rounds 2 and 3 are the others'."""

    async def story(district: District) -> None:
        plan = TrainingPlan(rounds=3, min_nodes=4, local_steps=STEPS)
        run = asyncio.create_task(district.superlink.run_training(plan))
        await lines_in(tmp_path / "node 2" / "left.jsonl", 4, run)  # its round 1 is over
        victim = district.supernodes[2]
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        result = await run
        took_part = result.card["results_per_round"]
        assert took_part[0] == CIRCLE
        assert took_part[1] == CIRCLE - 1
        protection = result.card["protection"]
        assert (protection["members"], protection["quorum"]) == (CIRCLE, 4)
        recipe = Recipe(rounds=3, local_steps=STEPS, learning_rate=plan.learning_rate)
        histories = [load_export(each) for each in exports]
        others = histories[:2] + histories[3:]
        present = [histories if count == CIRCLE else others for count in took_part]
        assert_close(weights_of.load(result.model), stepwise(present, recipe=recipe), atol=1e-5)
        print(f"\nresults per round {took_part}")  # noqa: T201 (a figure)
        seconds, kilobytes = result.card["seconds"], result.card["bytes"] / 1000
        print(f"\n{CIRCLE} nodes, 3 rounds, one killed: {seconds} s, {kilobytes:.0f} kB received")  # noqa: T201 (a figure)

    in_a_district(tmp_path, exports, story)


def stepwise(rounds: list[list[History]], *, recipe: Recipe) -> Weights:
    """The plain loop, with its own communities in each round."""
    weights = weights_of.initial_weights(recipe.seed)
    for number, present in enumerate(rounds, start=1):
        updates = [
            train_round(weights, each, recipe=recipe, round_number=number) for each in present
        ]
        weights = weights_of.average([(one.weights, one.examples) for one in updates])
    return weights


def assert_close(found: Weights, expected: Weights, *, atol: float) -> None:
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=atol)


async def lines_in(path: Path, count: int, run: asyncio.Task[TrainingResult]) -> None:
    """Wait until a node has noted that many things that left it."""
    while not path.exists() or len(path.read_text().splitlines()) < count:
        assert not run.done(), await run
        await asyncio.sleep(0.1)


def test_a_killed_superlink_fails_the_run_clearly_and_the_next_succeeds(
    tmp_path: Path, exports: list[Path]
) -> None:
    async def story(district: District) -> None:
        key = tmp_path / "node 0" / "flower.key.pub"
        await district.superlink.register_supernode(key)  # told twice
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
        assert result.card["sha256"] == weights_of.sha256(result.model)
        assert result.card["protection"]["secure_aggregation"] is False
        recipe = Recipe(rounds=2, local_steps=STEPS, learning_rate=plan.learning_rate)
        expected = federate([load_export(each) for each in exports[:NODES]], recipe=recipe)
        assert_close(weights_of.load(result.model), expected.weights, atol=1e-5)
        for index in range(NODES):
            noted = (tmp_path / f"node {index}" / "left.jsonl").read_text().splitlines()
            runs = [json.loads(line)["run_id"] for line in noted]
            assert runs.count(result.run_id) == 2

    in_a_district(tmp_path, exports[:NODES], story)
