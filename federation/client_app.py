"""The community's side of a Flower run: weights in, locally fitted weights out.

The app reads one file, the training export named by the node itself, and notes in another what it
sends away. Neither path can be named by the coordinator; whatever else the coordinator says is
checked before it is used.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from federation import weights as weights_of
from federation.data import load_export
from federation.errors import ModelInvalid, RunConfigInvalid
from federation.train import Recipe, train_round
from federation.weights import Weights

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Fit the global weights to this community's export; counts never leave, weights do."""
    update = train_round(
        _weights_in(message),
        load_export(_own_path(context, "export")),
        recipe=_recipe(context),
        round_number=_round_number(message),
    )
    arrays = ArrayRecord({name: Array(array) for name, array in update.weights.items()})
    metrics = MetricRecord({"num-examples": update.examples, "train-loss": update.loss})
    _note_what_leaves(
        _own_path(context, "left"),
        run_id=context.run_id,
        leaving_bytes=weights_of.size_bytes(update.weights),
    )
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


def _recipe(context: Context) -> Recipe:
    """The run's recipe, within the limits that a Recipe sets itself."""
    config = context.run_config
    try:
        return Recipe(
            rounds=config["num-rounds"],  # type: ignore[arg-type] # Recipe checks each type
            local_steps=config["local-steps"],  # type: ignore[arg-type] # see above
            learning_rate=config["learning-rate"],  # type: ignore[arg-type] # see above
            seed=config["seed"],  # type: ignore[arg-type] # see above
        )
    except KeyError as error:
        raise RunConfigInvalid(name=str(error.args[0]), value="(missing)") from error


def _round_number(message: Message) -> int:
    records = message.content.config_records
    value = records["config"].get("server-round") if "config" in records else None
    if type(value) is not int:
        raise RunConfigInvalid(name="server-round", value=str(value))
    return value


def _weights_in(message: Message) -> Weights:
    records = message.content.array_records
    if set(records) != {"arrays"}:
        raise ModelInvalid(reason="the message carries other records than one set of weights")
    return weights_of.checked({name: array.numpy() for name, array in records["arrays"].items()})


def _own_path(context: Context, name: str) -> Path:
    """A path from the node's own configuration, where no run can reach."""
    value = context.node_config.get(name)
    if not isinstance(value, str) or not Path(value).is_absolute():
        raise RunConfigInvalid(name=name, value="(not an absolute path in the node's settings)")
    return Path(value)


def _note_what_leaves(path: Path, *, run_id: int, leaving_bytes: int) -> None:
    """Append one line for the node's list of all that ever left the house, before it leaves."""
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "run_id": str(run_id),
        "kind": "model_update",
        "bytes": leaving_bytes,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
