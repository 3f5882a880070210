"""Real Flower on loopback: one node's operator has not approved the app, the others train."""

import asyncio
import json
from pathlib import Path

import pytest

from coordinator.superlink import TrainingFailed, TrainingPlan
from federation import weights as weights_of
from federation.data import load_export
from federation.loop import federate
from federation.recipe import Recipe
from tests.federation.conftest import District, WriteExport

pytestmark = pytest.mark.processes

NODES, REFUSES, STEPS = 3, 0, 20


def test_one_node_refuses_and_the_others_train(tmp_path: Path, write_export: WriteExport) -> None:
    exports = [write_export(f"{index}.csv", days=120, seed=index) for index in range(NODES)]

    async def story() -> None:
        district = District(tmp_path)
        try:
            await district.start(exports, unapproved=[REFUSES])
            await asyncio.sleep(10)  # all three are to be asked: those who come late are not
            plan = TrainingPlan(rounds=2, min_nodes=NODES - 1, local_steps=STEPS)
            result = await district.superlink.run_training(plan)
            assert result.card["results_per_round"] == [NODES - 1] * 2
            recipe = Recipe(rounds=2, local_steps=STEPS, learning_rate=plan.learning_rate)
            expected = federate([load_export(each) for each in exports[1:]], recipe=recipe)
            found = weights_of.load(result.model)
            for name, array in expected.weights.items():
                assert abs(found[name] - array).max() < 1e-5
            await _refused_by_all(district)
        finally:
            await district.stop()

    asyncio.run(story())
    refusing, training = tmp_path / f"node {REFUSES}", tmp_path / "node 1"
    kinds = {json.loads(line)["kind"] for line in _lines(refusing / "left.jsonl")}
    assert kinds == {"training_refusal"}
    assert {json.loads(line)["kind"] for line in _lines(training / "left.jsonl")} == {
        "model_update"
    }
    assert len(list((refusing / "bundles").glob("*.fab"))) == 1  # it can be read now
    assert "guard.bundle_not_approved" in (refusing / "flower" / "guard.log").read_text()
    assert not (refusing / "flower" / "flwr" / "apps").exists()  # nothing was ever unpacked


async def _refused_by_all(district: District) -> None:
    """A run that fewer answer than agreed fails, and says why."""
    plan = TrainingPlan(rounds=1, min_nodes=NODES, local_steps=STEPS)
    with pytest.raises(TrainingFailed, match="has not approved"):
        await district.superlink.run_training(plan)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
