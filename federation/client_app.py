"""The community's side of a Flower run: weights in, a masked or plain update out.

The app reads what the node itself named: the training export, the node's identity for training and
a folder for its secrets. It notes in another file what it sends away. No path can be named by the
coordinator; whatever else the coordinator says is checked before it is used. Only the two steps
that train import torch: the others are over in a second.
"""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp

from federation import privacy, updates
from federation import weights as weights_of
from federation.data import load_export
from federation.errors import ModelInvalid, RunConfigInvalid
from federation.plan import norm_factor_in, privacy_in, recipe_in
from federation.secagg import fixed_point
from federation.secagg.adverts import MEMBERS_MIN, Identity, SignedAdvert
from federation.secagg.member import Member
from federation.secagg.refusals import PlainUpdateRefused
from federation.secagg.vault import knows_sums, locked
from federation.weights import Update, Weights

UPDATE, KEYS = "model_update", "training_keys"  # kinds of what leaves the house
NOISE_MULTIPLIER = "update-noise-multiplier"
T = TypeVar("T")

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Fit the global weights and send the result as it is: only where nothing safer can be done."""
    _refuse_plain_where_sums_are_possible(context)
    if privacy_in(context.run_config, NOISE_MULTIPLIER):  # noise for a sum protects no single one
        raise RunConfigInvalid(name=NOISE_MULTIPLIER, value="without a secure sum")
    update = _trained(message, context)
    arrays = ArrayRecord({name: Array(array) for name, array in update.weights.items()})
    metrics = MetricRecord({"num-examples": update.examples, "train-loss": update.loss})
    _note_what_leaves(context, UPDATE, weights_of.size_bytes(update.weights))
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@app.train("advertise")
def advertise(message: Message, context: Context) -> Message:
    """Offer this node's fresh public keys for all rounds of the run, signed."""
    identity = Identity.load(_own_path(context, "identity"))
    rounds = _whole_number(message, "rounds")
    with locked(_own_path(context, "vault"), run=str(context.run_id)) as vault:
        member = Member.begin(identity, run=str(context.run_id), rounds=rounds)
        vault.begin(member)
    advert = member.advert
    _note_what_leaves(context, KEYS, len(advert.payload) + len(advert.signature))
    record = ConfigRecord({"payload": advert.payload, "signature": advert.signature})
    return Message(RecordDict({"config": record}), reply_to=message)


@app.train("share")
def share(message: Message, context: Context) -> Message:
    """Check everybody's keys, then deal shares of this node's secrets, sealed for each member."""
    identity = Identity.load(_own_path(context, "identity"))
    payloads, signatures = _list(message, "payloads", bytes), _list(message, "signatures", bytes)
    if len(payloads) != len(signatures):
        raise RunConfigInvalid(name="signatures", value=str(len(signatures)))
    offered = [SignedAdvert(*pair) for pair in zip(payloads, signatures, strict=True)]
    quorum = _whole_number(message, "quorum")
    with locked(_own_path(context, "vault"), run=str(context.run_id)) as vault:
        member = vault.member()
        boxes = member.share(offered, quorum=quorum, members=identity.members)
        vault.keep(member)
    _note_what_leaves(context, KEYS, sum(len(box) for box in boxes.values()))
    record = ConfigRecord({"receivers": list(boxes), "boxes": list(boxes.values())})
    return Message(RecordDict({"config": record}), reply_to=message)


@app.train("mask")
def mask(message: Message, context: Context) -> Message:
    """Fit the global weights and send the change under masks that only the sum is rid of."""
    round_number, participants = _round_number(message), _list(message, "participants", str)
    senders, boxes = _list(message, "senders", str), _list(message, "boxes", bytes)
    if len(senders) != len(boxes):
        raise RunConfigInvalid(name="boxes", value=str(len(boxes)))
    with locked(_own_path(context, "vault"), run=str(context.run_id)) as vault:
        member = vault.member()
        member.accept(dict(zip(senders, boxes, strict=True)))
        member.check_round(round_number, participants)  # before the work, and again after it
        start = _weights_in(message)
        norm_max = updates.norm_bound(
            recipe_in(context.run_config),
            round_number=round_number,
            factor=norm_factor_in(context.run_config),
        )
        contribution = _contribution(start, _trained(message, context), norm_max=norm_max)
        if multiplier := privacy_in(context.run_config, NOISE_MULTIPLIER):
            assert member.roster is not None, "checked with the round"
            contribution = _noised(
                contribution,
                norm_max=norm_max,
                multiplier=multiplier,
                members=member.roster.quorum,
            )
        masked = member.mask(
            round_number,
            participants,
            fixed_point.encoded(contribution),
            about=updates.fingerprint(start, context.run_config),
        )
        vault.keep(member)
    _note_what_leaves(context, UPDATE, masked.nbytes)
    arrays = ArrayRecord({"masked": Array(masked)})
    return Message(RecordDict({"arrays": arrays}), reply_to=message)


@app.train("unmask")
def unmask(message: Message, context: Context) -> Message:
    """Give the shares that free the sum of the survivors, once a round."""
    round_number, survivors = _round_number(message), _list(message, "survivors", str)
    with locked(_own_path(context, "vault"), run=str(context.run_id)) as vault:
        member = vault.member()
        shares = member.unmask(round_number, survivors)
        vault.keep(member)
    _note_what_leaves(context, KEYS, sum(len(one) for one in shares.values()))
    record = ConfigRecord({"owners": list(shares), "shares": list(shares.values())})
    return Message(RecordDict({"config": record}), reply_to=message)


def _refuse_plain_where_sums_are_possible(context: Context) -> None:
    """The node's own rule: with four members there is a sum to hide in, so nothing goes plain.

    Nor does it once a sum was made: an office could shorten its directory to get at the updates.
    """
    if context.node_config.get("plain-updates") is True:
        return
    members = len(Identity.load(_own_path(context, "identity")).members)
    if members >= MEMBERS_MIN or knows_sums(_own_path(context, "vault")):
        raise PlainUpdateRefused()


def _trained(message: Message, context: Context) -> Update:
    from federation.train import train_round  # torch takes seconds: only where it is needed

    history = load_export(_own_path(context, "export"))
    promised = privacy_in(context.run_config, "count-epsilon")
    privacy.check_promise(own_epsilon=history.noise_epsilon, promised=promised)
    return train_round(
        _weights_in(message),
        history,
        recipe=recipe_in(context.run_config),
        round_number=_round_number(message),
    )


def _contribution(start: Weights, update: Update, *, norm_max: float) -> fixed_point.Contribution:
    """The change that training made, no longer than this node lets itself pull."""
    change = updates.flat(update.weights) - updates.flat(start)
    values, is_clipped = fixed_point.clipped_to(change, norm_max=norm_max)
    return fixed_point.Contribution(values, update.examples, update.loss, is_clipped)


def _noised(
    contribution: fixed_point.Contribution, *, norm_max: float, multiplier: float, members: int
) -> fixed_point.Contribution:
    """With this community's share of the noise, and nothing exact beside it.

    Every community counts once, for how many examples it has is its own; so is its loss.
    """
    values = privacy.share_of_noise(
        contribution.values, norm_max=norm_max, multiplier=multiplier, members=members
    )
    return fixed_point.Contribution(values, examples=1, loss=0.0, is_clipped=False)


def _round_number(message: Message) -> int:
    return _whole_number(message, "server-round")


def _whole_number(message: Message, name: str) -> int:
    value = _config(message).get(name)
    if type(value) is not int:
        raise RunConfigInvalid(name=name, value=str(value))
    return value


def _list(message: Message, name: str, kind: type[T]) -> Sequence[T]:
    values = _config(message).get(name)
    if not isinstance(values, list) or any(type(value) is not kind for value in values):
        raise RunConfigInvalid(name=name, value=f"(not a list of {kind.__name__})")
    return values  # type: ignore[return-value] # seen above


def _config(message: Message) -> ConfigRecord:
    records = message.content.config_records
    return records["config"] if "config" in records else ConfigRecord()


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


def _note_what_leaves(context: Context, kind: str, leaving_bytes: int) -> None:
    """Append one line for the node's list of all that ever left the house, before it leaves."""
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "run_id": str(context.run_id),
        "kind": kind,
        "bytes": leaving_bytes,
    }
    with _own_path(context, "left").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
