"""The Flower apps do what the plain loop does, and take no orders about files."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from federation import client_app, server_app
from federation import weights as weights_of
from federation.bundle import build_bundle, bundle_files
from federation.data import load_export
from federation.errors import ForecastError, ModelInvalid, RoundTooSmall, RunConfigInvalid
from federation.loop import federate
from federation.train import Recipe, train_round
from federation.weights import Weights
from tests.federation.conftest import WriteExport
from tests.federation.identities import write_identities
from tests.federation.local_grid import LocalGrid, make_context

RECIPE = Recipe(rounds=2, local_steps=25, learning_rate=3e-3, seed=3)


def as_record(weights: Weights) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in weights.items()})


def ask(weights: Weights, *, round_number: Any = 1) -> Message:
    config = ConfigRecord({"server-round": round_number})
    content = RecordDict({"arrays": as_record(weights), "config": config})
    return Message(content, dst_node_id=1, message_type="train")


def answer(context: Context, message: Message) -> Message:
    return client_app.train(message, context)


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is running, as Flower's own processes set it before they call an app."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 77)


@pytest.fixture
def contexts(write_export: WriteExport, tmp_path: Path) -> list[Context]:
    identities = write_identities(tmp_path / "identities", ["a", "b", "c"])
    return [
        make_context(
            {
                "export": str(write_export(f"{index}.csv", days=90 + 20 * index, seed=index)),
                "left": str(tmp_path / f"left-{index}.jsonl"),
                "identity": str(identities[index]),
                "vault": str(tmp_path / f"vault-{index}"),
            },
            **{"out-dir": str(tmp_path / "runs")},
        )
        for index in range(3)
    ]


def test_a_client_trains_as_the_loop_does_and_notes_what_leaves(contexts: list[Context]) -> None:
    start = weights_of.initial_weights(seed=3)
    reply = answer(contexts[0], ask(start, round_number=2))
    history = load_export(Path(str(contexts[0].node_config["export"])))
    expected = train_round(start, history, recipe=RECIPE, round_number=2)
    for name, array in reply.content.array_records["arrays"].items():
        np.testing.assert_allclose(array.numpy(), expected.weights[name], atol=1e-6)
    metrics = reply.content.metric_records["metrics"]
    assert metrics == MetricRecord({"num-examples": expected.examples, "train-loss": expected.loss})
    noted = json.loads(Path(str(contexts[0].node_config["left"])).read_text())
    assert noted["kind"] == "model_update"
    assert noted["run_id"] == "77"
    assert noted["bytes"] == weights_of.size_bytes(expected.weights)


def test_a_flower_run_gives_the_weights_of_the_loop(contexts: list[Context]) -> None:
    server_app.main(cast(Grid, LocalGrid(contexts)), contexts[0])
    folder = Path(str(contexts[0].run_config["out-dir"])) / "run-77"
    card = json.loads((folder / "card.json").read_text())
    histories = [load_export(Path(str(each.node_config["export"]))) for each in contexts]
    expected = federate(histories, recipe=RECIPE)
    found = weights_of.load(folder / "model.npz")
    for name in found:
        np.testing.assert_allclose(found[name], expected.weights[name], atol=1e-6)
    assert card["results_per_round"] == [3, 3]
    assert card["nodes"] == 3
    assert card["sha256"] == weights_of.sha256(folder / "model.npz")
    assert card["bytes"] == 2 * 3 * weights_of.size_bytes(found)
    np.testing.assert_allclose(card["train_loss"], expected.train_loss, rtol=1e-6)


def test_a_round_with_too_few_sound_results_ends_the_run(contexts: list[Context]) -> None:
    class Spoilt(LocalGrid):
        def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
            replies = super().pull_messages(message_ids)
            for reply in replies[1:]:
                spoilt = np.full(64, np.nan, dtype=np.float32)
                reply.content.array_records["arrays"]["layers.0.bias"] = Array(spoilt)
            return replies

    with pytest.raises(RoundTooSmall, match="not finite"):
        server_app.main(cast(Grid, Spoilt(contexts)), contexts[0])
    folder = Path(str(contexts[0].run_config["out-dir"])) / "run-77"
    assert [path.name for path in folder.iterdir()] == ["failure.json"]


def test_a_run_does_not_wait_for_ever(contexts: list[Context]) -> None:
    with pytest.raises(ForecastError, match="Only 1 of the 2 nodes"):
        server_app.main(cast(Grid, LocalGrid(contexts[:1])), contexts[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"local-steps": 10**9},
        {"learning-rate": 5.0},
        {"learning-rate": "fast"},
        {"num-rounds": True},
        {"seed": -1},
    ],
)
def test_a_run_config_outside_the_limits_is_refused(
    contexts: list[Context], changes: dict[str, Any]
) -> None:
    context = make_context(cast(dict[str, str], contexts[0].node_config), **changes)
    with pytest.raises(RunConfigInvalid):
        answer(context, ask(weights_of.initial_weights(seed=0)))
    assert not Path(str(contexts[0].node_config["left"])).exists()


def test_odd_messages_are_refused(contexts: list[Context]) -> None:
    weights = weights_of.initial_weights(seed=0)
    for round_number in (0, 3, 1.0, "1"):
        with pytest.raises(RunConfigInvalid):
            answer(contexts[0], ask(weights, round_number=round_number))
    weights["layers.0.bias"] = np.full(64, np.inf, dtype=np.float32)
    with pytest.raises(ModelInvalid):
        answer(contexts[0], ask(weights))


def test_no_run_names_a_file(contexts: list[Context]) -> None:
    weights = weights_of.initial_weights(seed=0)
    here = {"left": "/dev/null", "plain-updates": True}
    hijack = make_context(here, export="/etc/passwd")
    with pytest.raises(RunConfigInvalid, match="export"):
        answer(hijack, ask(weights))
    relative = make_context({**here, "export": "export.csv"})
    with pytest.raises(RunConfigInvalid, match="export"):
        answer(relative, ask(weights))


def test_the_bundle_is_the_same_each_time(tmp_path: Path) -> None:
    stray = tmp_path / "b" / "federation" / "stray.py"
    stray.parent.mkdir(parents=True)
    stray.write_text("")
    first, second = build_bundle(tmp_path / "a"), build_bundle(tmp_path / "b")
    assert not stray.exists()
    names = sorted(str(path.relative_to(first)) for path in first.rglob("*") if path.is_file())
    assert names == sorted(["pyproject.toml", *(f"federation/{name}" for name in bundle_files())])
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_bundle_is_complete(tmp_path: Path) -> None:
    bundle = build_bundle(tmp_path / "app")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True\n"
        "import federation.client_app, federation.server_app\n"
        "assert 'torch' not in sys.modules, 'steps that do not train must start fast'\n"
        "import federation.train\n"
        "assert federation.train.__file__.startswith(sys.argv[1])\n"
    )
    command = [sys.executable, "-I", "-c", program, str(bundle)]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=60)
