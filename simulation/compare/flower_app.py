"""The federated arm under Flower's own simulation, on Ray: for studies larger than one machine.

The same training code as everywhere; Ray spreads the communities over its workers. Slower than the
fast engine on one machine by far (docs/benchmarks.md), and it needs the extra `study`.
"""

import importlib.util
import os
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from federation import weights as weights_of
from federation.data import History
from federation.engine import OnRound
from federation.loop import Federated
from federation.recipe import Recipe
from federation.train import Pupil
from federation.weights import Weights
from simulation.refusals import ArmImpossible

ROUND_TIMEOUT_SECONDS = 3600.0
NODES_TIMEOUT_SECONDS, NODES_POLL_SECONDS = 300.0, 0.2
WORKER_CPUS = 1


def federate(histories: Sequence[History], recipe: Recipe, on_round: OnRound | None) -> Federated:
    """As `loop.federate`, each community a Flower client in one of Ray's workers."""
    if importlib.util.find_spec("ray") is None:
        reason = "Flower's simulation needs Ray: pip install 'linli[study]'"
        raise ArmImpossible(arm="federated", reason=reason)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from flwr.simulation import run_simulation

    outcome: list[Federated] = []
    with tempfile.TemporaryDirectory(prefix="linli-study-") as folder:
        for number, history in enumerate(histories):
            _store(Path(folder), number, history)
        server, client = ServerApp(), ClientApp()

        @server.main()
        def main(grid: Grid, context: Context) -> None:
            outcome.append(_rounds(grid, recipe, on_round, clients=len(histories)))

        @client.train()
        def train(message: Message, context: Context) -> Message:
            number = int(str(context.node_config["partition-id"]))
            return _train(message, _pupil(folder, number), recipe)

        run_simulation(
            server_app=server,
            client_app=client,
            num_supernodes=len(histories),
            backend_config={"client_resources": {"num_cpus": WORKER_CPUS, "num_gpus": 0.0}},
        )
    if not outcome:
        raise ArmImpossible(arm="federated", reason="Flower's simulation ended without a model")
    return outcome[0]


def _store(folder: Path, number: int, history: History) -> None:
    np.savez(
        folder / f"{number}.npz",
        first_day=history.first_day.toordinal(),
        series=np.array(history.series),
        counts=history.counts,
        noise_variance=history.noise_variance,
    )


@lru_cache(maxsize=256)  # a worker serves many communities; it builds each one's windows once
def _pupil(folder: str, number: int) -> Pupil:
    with np.load(Path(folder) / f"{number}.npz") as stored:
        return Pupil.of(
            History(
                date.fromordinal(int(stored["first_day"])),
                tuple(str(name) for name in stored["series"]),
                stored["counts"],
                float(stored["noise_variance"]),
            )
        )


def _train(message: Message, pupil: Pupil, recipe: Recipe) -> Message:
    number = message.content.config_records["config"]["round"]
    assert isinstance(number, int)
    weights = _as_weights(message.content.array_records["arrays"])
    update = pupil.take_round(weights, recipe=recipe, round_number=number)
    content = RecordDict(
        {
            "arrays": _as_record(update.weights),
            "metrics": MetricRecord({"num-examples": update.examples, "train-loss": update.loss}),
        }
    )
    return Message(content, reply_to=message)


def _rounds(grid: Grid, recipe: Recipe, on_round: OnRound | None, *, clients: int) -> Federated:
    weights, losses = weights_of.initial_weights(recipe.seed), []
    nodes = _nodes(grid, clients)
    for number in range(1, recipe.rounds + 1):
        content = RecordDict(
            {"arrays": _as_record(weights), "config": ConfigRecord({"round": number})}
        )
        questions = [Message(content, dst_node_id=node, message_type="train") for node in nodes]
        answers = list(grid.send_and_receive(questions, timeout=ROUND_TIMEOUT_SECONDS))
        sound = [answer.content for answer in answers if not answer.has_error()]
        if len(sound) < clients:
            odd = next((one.error.reason for one in answers if one.has_error()), "no answer")
            reason = f"round {number} brought {len(sound)} of {clients} results ({odd})"
            raise ArmImpossible(arm="federated", reason=reason)
        counted = [(_as_weights(one.array_records["arrays"]), _examples(one)) for one in sound]
        weights = weights_of.average(counted)
        losses.append(_mean_loss(sound))
        if on_round:
            on_round(number, weights, losses[-1])
    return Federated(weights, tuple(losses))


def _nodes(grid: Grid, clients: int) -> list[int]:
    """The nodes, once all are there: on a busy machine they come seconds after the server."""
    deadline = time.monotonic() + NODES_TIMEOUT_SECONDS
    while len(nodes := sorted(grid.get_node_ids())) < clients:
        if time.monotonic() > deadline:
            reason = f"only {len(nodes)} of {clients} of Flower's nodes came"
            raise ArmImpossible(arm="federated", reason=reason)
        time.sleep(NODES_POLL_SECONDS)
    return nodes


def _examples(content: RecordDict) -> int:
    examples = content.metric_records["metrics"]["num-examples"]
    assert isinstance(examples, int)
    return examples


def _mean_loss(contents: Sequence[RecordDict]) -> float:
    examples = [_examples(one) for one in contents]
    losses = [float(str(one.metric_records["metrics"]["train-loss"])) for one in contents]
    return float(np.average(losses, weights=examples))


def _as_record(weights: Weights) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in weights.items()})


def _as_weights(record: ArrayRecord) -> Weights:
    return weights_of.checked({name: array.numpy() for name, array in record.items()})
