"""What may leave the house as an answer: known names, known shapes, nothing beside them.

The app's word is not taken for anything. Each answer is read number by number and built anew, so
no padding, name or extra record travels along. What this cannot see is meaning: masks and shares
are random to the eye, and an app that an operator approved can hide something in them, or in a
plain update's last digits. The sizes here bound how much.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from federation import weights as weights_of
from federation.errors import ForecastError
from federation.plan import recipe_in
from federation.secagg import fixed_point
from federation.secagg.adverts import SignedAdvert, verified
from federation.secagg.primitives import SEED_BYTES
from federation.updates import NUMBERS, flat, norm_bound
from federation.weights import Weights

MODEL_UPDATE, TRAINING_KEYS = "model_update", "training_keys"  # kinds, as residents read them
REFUSAL = "training_refusal"
NORM_FACTOR_MAX = 10.0  # of a plain update; honest ones were below 3 (see federation/updates.py)
SEAL_BYTES = 16
SIGNATURE_BYTES = 64
ADVERT_BYTES_MAX = 64 * 1024


class ReplyRefused(ForecastError):
    code = "guard.reply_refused"
    message = "The training program's answer does not leave this node: {reason}."


class QuestionUnknown(ForecastError):
    code = "guard.question_unknown"
    message = "This node does not answer messages of the kind {kind}."


@dataclass(frozen=True)
class Asked:
    """The question that is being answered, as the guard itself received it."""

    kind: str
    run_id: str
    content: RecordDict
    run_config: Mapping[str, Any]
    members: Mapping[str, bytes]  # community -> public key, as this node knows them


@dataclass(frozen=True)
class Answer:
    """What leaves, and under which name residents find it in the list."""

    content: RecordDict
    kind: str

    @property
    def size_bytes(self) -> int:
        from flwr.common.serde import recorddict_to_proto

        return int(recorddict_to_proto(self.content).ByteSize())


def checked_answer(asked: Asked, found: RecordDict) -> Answer:
    """The answer, built anew from its checked parts."""
    check = known_check(asked.kind)
    try:
        return check(asked, found)
    except (ValueError, TypeError, KeyError, EOFError, AttributeError) as error:
        raise ReplyRefused(reason="it is not of the form that was agreed") from error


def known_check(kind: str) -> "Callable[[Asked, RecordDict], Answer]":
    """How answers of this kind are checked; refused if nobody here knows the kind."""
    if (check := _CHECKS.get(kind)) is None:
        raise QuestionUnknown(kind=kind[:40])
    return check


def _plain_update(asked: Asked, found: RecordDict) -> Answer:
    """A model of the same shape, not further from the one that was sent than training goes."""
    _only(found, "arrays", "metrics")
    weights = _weights(found)
    metrics = found.metric_records["metrics"]
    if set(metrics) != {"num-examples", "train-loss"}:
        raise ReplyRefused(reason="its figures have other names")
    examples, loss = metrics["num-examples"], metrics["train-loss"]
    if type(examples) is not int or not 1 <= examples <= fixed_point.EXAMPLES_MAX:
        raise ReplyRefused(reason="its number of examples cannot be")
    if type(loss) is not float or not math.isfinite(loss):
        raise ReplyRefused(reason="its loss is no number")
    recipe = recipe_in(asked.run_config)
    round_number = asked.content.config_records["config"]["server-round"]
    assert isinstance(round_number, int), "the recipe checks it next"
    limit = norm_bound(
        recipe, round_number=recipe.checked_round(round_number), factor=NORM_FACTOR_MAX
    )
    change = float(np.linalg.norm(flat(weights) - flat(_weights(asked.content))))
    if change > limit:
        reason = f"it moves the model by {change:.3g}, where training moves it {limit:.3g} at most"
        raise ReplyRefused(reason=reason)
    arrays = ArrayRecord({name: Array(array) for name, array in weights.items()})
    figures = MetricRecord({"num-examples": examples, "train-loss": loss})
    return Answer(RecordDict({"arrays": arrays, "metrics": figures}), MODEL_UPDATE)


def _masked_update(_: Asked, found: RecordDict) -> Answer:
    _only(found, "arrays")
    record = found.array_records["arrays"]
    words = record["masked"].numpy()
    expected = (NUMBERS + fixed_point.COUNTERS,)
    if set(record) != {"masked"} or words.dtype != np.uint64 or words.shape != expected:
        raise ReplyRefused(reason="it is no masked update of this model")
    arrays = ArrayRecord({"masked": Array(np.array(words, dtype="<u8"))})
    return Answer(RecordDict({"arrays": arrays}), MODEL_UPDATE)


def _advert(asked: Asked, found: RecordDict) -> Answer:
    """Public keys, signed: of this run and in the one way of writing them."""
    payload, signature = _bytes_in(found, "payload"), _bytes_in(found, "signature")
    if len(payload) > ADVERT_BYTES_MAX or len(signature) != SIGNATURE_BYTES:
        raise ReplyRefused(reason="its keys are too long")
    advert = verified(SignedAdvert(payload, signature), members=asked.members)
    content = json.loads(payload)
    known = {"run", "community", "exchange_key", "mask_keys", "commitments"}
    if set(content) != known | {"training_key", "delegation"} or advert.run != asked.run_id:
        raise ReplyRefused(reason="its keys are not for this run")
    if json.dumps(content, sort_keys=True).encode() != payload:
        raise ReplyRefused(reason="its keys are written in another way")
    if advert.rounds != asked.content.config_records["config"]["rounds"]:
        raise ReplyRefused(reason="its keys are for another number of rounds")
    return _config_answer({"payload": payload, "signature": signature})


def _boxes(asked: Asked, found: RecordDict) -> Answer:
    rounds = recipe_in(asked.run_config).rounds
    size = 2 * SEED_BYTES * rounds + SEAL_BYTES
    return _pairs(asked, found, names="receivers", values="boxes", size_bytes=size)


def _shares(asked: Asked, found: RecordDict) -> Answer:
    return _pairs(asked, found, names="owners", values="shares", size_bytes=SEED_BYTES)


_CHECKS: Mapping[str, Callable[[Asked, RecordDict], Answer]] = {
    "train": _plain_update,
    "train.advertise": _advert,
    "train.share": _boxes,
    "train.mask": _masked_update,
    "train.unmask": _shares,
}


def _pairs(asked: Asked, found: RecordDict, *, names: str, values: str, size_bytes: int) -> Answer:
    """One piece of a known size for each member at most, by the names that this node knows."""
    _only(found, "config")
    config = found.config_records["config"]
    keys, items = config[names], config[values]
    if set(config) != {names, values} or not isinstance(keys, list) or not isinstance(items, list):
        raise ReplyRefused(reason="it is no list of shares")
    communities = [one for one in keys if isinstance(one, str) and one in asked.members]
    pieces = [one for one in items if isinstance(one, bytes) and len(one) == size_bytes]
    if not len(communities) == len(set(communities)) == len(keys) == len(items) == len(pieces):
        raise ReplyRefused(reason="its shares are for others, or not of the agreed size")
    return _config_answer({names: communities, values: pieces})


def _config_answer(content: Mapping[str, Any]) -> Answer:
    return Answer(RecordDict({"config": ConfigRecord(dict(content))}), TRAINING_KEYS)


def _bytes_in(found: RecordDict, name: str) -> bytes:
    _only(found, "config")
    config = found.config_records["config"]
    value = config[name]
    if set(config) != {"payload", "signature"} or not isinstance(value, bytes):
        raise ReplyRefused(reason="it brings no keys")
    return value


def _only(found: RecordDict, *names: str) -> None:
    if set(found) != set(names):
        raise ReplyRefused(reason="it brings other records than were asked for")


def _weights(content: RecordDict) -> Weights:
    record = content.array_records["arrays"]
    return weights_of.checked({name: array.numpy() for name, array in record.items()})
