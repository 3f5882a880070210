"""The Flower apps do what the plain loop does, and take no orders about files."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from coordinator.superlink import BUNDLE_FILES, build_bundle
from federation import client_app, server_app
from federation import weights as weights_of
from federation.data import load_export
from federation.errors import ForecastError, ModelInvalid, RoundTooSmall, RunConfigInvalid
from federation.loop import federate
from federation.train import Recipe, train_round
from federation.weights import Weights
from tests.federation.conftest import WriteExport

RECIPE = Recipe(rounds=2, local_steps=25, seed=3)
RUN_CONFIG = {
    "num-rounds": 2,
    "local-steps": 25,
    "learning-rate": 3e-3,
    "seed": 3,
    "min-nodes": 2,
    "round-timeout-seconds": 60,
    "wait-timeout-seconds": 1,
}


def make_context(node_config: dict[str, str], **changes: Any) -> Context:
    return Context(
        run_id=77,
        node_id=1,
        node_config=cast(Any, node_config),
        state=RecordDict(),
        run_config={**RUN_CONFIG, **changes},
    )


def as_record(weights: Weights) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in weights.items()})


def ask(weights: Weights, *, round_number: Any = 1) -> Message:
    config = ConfigRecord({"server-round": round_number})
    content = RecordDict({"arrays": as_record(weights), "config": config})
    return Message(content, dst_node_id=1, message_type="train")


def answer(context: Context, message: Message) -> Message:
    return client_app.train(message, context)


class LocalGrid:
    """Nodes in this process, behind the three methods of Flower's Grid that a strategy uses."""

    def __init__(self, contexts: list[Context]) -> None:
        self.contexts = contexts

    def get_node_ids(self) -> list[int]:
        return list(range(len(self.contexts)))

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        return [answer(self.contexts[each.metadata.dst_node_id], each) for each in messages]


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is running, as Flower's own processes set it before they call an app."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 77)


@pytest.fixture
def contexts(write_export: WriteExport, tmp_path: Path) -> list[Context]:
    return [
        make_context(
            {
                "export": str(write_export(f"{index}.csv", days=90 + 20 * index, seed=index)),
                "left": str(tmp_path / f"left-{index}.jsonl"),
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
        def send_and_receive(
            self, messages: Iterable[Message], *, timeout: float | None = None
        ) -> list[Message]:
            replies = super().send_and_receive(messages)
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
    hijack = make_context({"left": "/dev/null"}, export="/etc/passwd")
    with pytest.raises(RunConfigInvalid, match="export"):
        answer(hijack, ask(weights))
    relative = make_context({"export": "export.csv", "left": "/dev/null"})
    with pytest.raises(RunConfigInvalid, match="export"):
        answer(relative, ask(weights))


def test_the_bundle_is_the_same_each_time_and_complete(tmp_path: Path) -> None:
    stray = tmp_path / "b" / "federation" / "stray.py"
    stray.parent.mkdir(parents=True)
    stray.write_text("")
    first, second = build_bundle(tmp_path / "a"), build_bundle(tmp_path / "b")
    assert not stray.exists()
    names = sorted(str(path.relative_to(first)) for path in first.rglob("*") if path.is_file())
    assert names == sorted(["pyproject.toml", *(f"federation/{name}" for name in BUNDLE_FILES)])
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    for source in (first / "federation").glob("*.py"):
        text = source.read_text(encoding="utf-8")
        imported = {line.split()[1] for line in text.splitlines() if line.startswith("from fed")}
        needed = {f"{name.removeprefix('federation.')}.py" for name in imported - {"federation"}}
        assert needed <= set(BUNDLE_FILES)
