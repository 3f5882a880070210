"""The district's side of a Flower run: federated averaging, and a run that fails when it is empty.

Flower itself calls a run without a single result "completed". Here a round with fewer results than
agreed ends the run with a reason, and only a whole run leaves a model behind.
"""

import json
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from federation import weights as weights_of
from federation.errors import (
    ForecastError,
    ModelInvalid,
    NotEnoughNodes,
    RoundTooSmall,
    RunConfigInvalid,
)
from federation.weights import Update, Weights

NODE_POLL_SECONDS = 0.5
EXAMPLES_MAX = 1_000_000
REASON_CHARACTERS_MAX = 300
LIMITS = {
    "num-rounds": (1, 1000),
    "min-nodes": (1, 100_000),
    "seed": (0, 2**31 - 1),
    "round-timeout-seconds": (1, 86_400),
    "wait-timeout-seconds": (1, 86_400),
}

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds, then write model.npz and card.json; or failure.json, and raise."""
    plan = Plan.from_run(context)
    started = time.time()
    try:
        strategy = CountedAveraging(plan)
        result = strategy.start(
            grid=grid,
            initial_arrays=_as_record(weights_of.initial_weights(plan.seed)),
            num_rounds=plan.rounds,
            timeout=plan.round_timeout_seconds,
        )
        weights = _as_weights(result.arrays)
    except ForecastError as error:
        _write_json(plan.directory / "failure.json", {"code": error.code, "message": str(error)})
        raise
    sha256 = weights_of.save(weights, plan.directory / "model.npz")
    ended = time.time()
    card = {
        "run_id": str(context.run_id),
        "rounds": plan.rounds,
        "results_per_round": strategy.results_per_round,
        "nodes": strategy.nodes_asked,
        "train_loss": strategy.train_loss,
        "bytes": strategy.received_bytes,
        "seconds": round(ended - started, 2),
        "sha256": sha256,
        "started_at": _moment(started),
        "finished_at": _moment(ended),
    }
    _write_json(plan.directory / "card.json", card)  # last: a card vouches for a whole run


@dataclass(frozen=True)
class Plan:
    """What the coordinator asked of this run, checked."""

    rounds: int
    min_nodes: int
    seed: int
    round_timeout_seconds: int
    wait_timeout_seconds: int
    directory: Path

    @classmethod
    def from_run(cls, context: Context) -> "Plan":
        values: dict[str, int] = {}
        for name, (low, high) in LIMITS.items():
            value = context.run_config.get(name)
            if type(value) is not int or not low <= value <= high:
                raise RunConfigInvalid(name=name, value=str(value))
            values[name] = value
        out_dir = context.run_config.get("out-dir")
        if not isinstance(out_dir, str) or not Path(out_dir).is_absolute():
            raise RunConfigInvalid(name="out-dir", value=str(out_dir))
        directory = Path(out_dir) / f"run-{context.run_id}"
        directory.mkdir(parents=True, exist_ok=True)
        return cls(
            rounds=values["num-rounds"],
            min_nodes=values["min-nodes"],
            seed=values["seed"],
            round_timeout_seconds=values["round-timeout-seconds"],
            wait_timeout_seconds=values["wait-timeout-seconds"],
            directory=directory,
        )


class CountedAveraging(FedAvg):
    """Flower's FedAvg, with an end to its patience and a count of what it was given."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(
            fraction_evaluate=0.0,  # every node judges the model at home, on its own last weeks
            min_train_nodes=plan.min_nodes,
            min_available_nodes=plan.min_nodes,
        )
        self._plan = plan
        self.results_per_round: list[int] = []
        self.train_loss: list[float] = []
        self.nodes_asked = 0
        self.received_bytes = 0

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask every node that is there, once enough are; Flower alone would wait for ever."""
        deadline = time.monotonic() + self._plan.wait_timeout_seconds
        while (nodes := len(list(grid.get_node_ids()))) < self._plan.min_nodes:
            if time.monotonic() > deadline:
                raise NotEnoughNodes(
                    nodes=nodes,
                    needed=self._plan.min_nodes,
                    seconds=self._plan.wait_timeout_seconds,
                    round=server_round,
                )
            time.sleep(NODE_POLL_SECONDS)
        messages = list(super().configure_train(server_round, arrays, config, grid))
        self.nodes_asked = max(self.nodes_asked, len(messages))
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The weighted mean of all sound results; too few of them end the run."""
        answers = list(replies)
        problems = [_problem_of(answer) for answer in answers]
        sound = [answer for answer, problem in zip(answers, problems, strict=True) if not problem]
        if len(sound) < self._plan.min_nodes:
            reasons = sorted({problem for problem in problems if problem})
            raise RoundTooSmall(
                round=server_round,
                results=len(sound),
                needed=self._plan.min_nodes,
                reason=" | ".join(reasons)[:REASON_CHARACTERS_MAX] or "The others did not answer.",
            )
        updates = [_update_of(answer) for answer in sound]
        examples = sum(update.examples for update in updates)
        loss = sum(update.loss * update.examples for update in updates) / examples
        self.results_per_round.append(len(updates))
        self.train_loss.append(loss)
        self.received_bytes += sum(weights_of.size_bytes(update.weights) for update in updates)
        mean = weights_of.average([(update.weights, update.examples) for update in updates])
        return _as_record(mean), MetricRecord({"train-loss": loss})


def _problem_of(answer: Message) -> str | None:
    """Why a reply cannot be averaged, in one line; None if it can."""
    if answer.has_error():
        return " ".join((answer.error.reason or "No reason given.").split())
    content = answer.content
    if set(content.array_records) != {"arrays"} or set(content.metric_records) != {"metrics"}:
        return "A reply has other records than weights and metrics."
    examples = content.metric_records["metrics"].get("num-examples")
    if type(examples) is not int or not 1 <= examples <= EXAMPLES_MAX:
        return "A reply counts an impossible number of examples."
    loss = content.metric_records["metrics"].get("train-loss")
    if type(loss) is not float or not math.isfinite(loss):
        return "A reply has no training loss."
    try:
        _as_weights(content.array_records["arrays"])
    except ModelInvalid as error:
        return str(error)
    return None


def _update_of(answer: Message) -> Update:
    """A reply in which `_problem_of` found no problem."""
    metrics = answer.content.metric_records["metrics"]
    examples, loss = metrics["num-examples"], metrics["train-loss"]
    assert isinstance(examples, int)
    assert isinstance(loss, float)
    return Update(_as_weights(answer.content.array_records["arrays"]), examples, loss)


def _as_record(weights: Weights) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in weights.items()})


def _as_weights(record: ArrayRecord) -> Weights:
    return weights_of.checked({name: array.numpy() for name, array in record.items()})


def _write_json(path: Path, content: dict[str, object]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
