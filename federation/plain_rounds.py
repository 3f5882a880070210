"""Rounds in which the office sees each update: below four communities, or where operators agreed.

What can be done about a lying community is done here: its update is checked number by number, and
a robust average (federation/robust.py) leaves out what is far from the rest.
"""

import math
from dataclasses import dataclass

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from federation import robust
from federation import weights as weights_of
from federation.asking import Asking
from federation.errors import ModelInvalid, RoundTooSmall
from federation.plan import Gathered, Plan
from federation.secagg.adverts import least_quorum
from federation.weights import Update, Weights

EXAMPLES_MAX = 1_000_000


@dataclass
class PlainRounds:
    """Ask, check, average; one trip a round."""

    asking: Asking
    plan: Plan
    strategy: str  # "mean", or one of robust.STRATEGIES

    def gather(self, round_number: int, weights: Weights) -> Gathered:
        """One round with every node that is there; too few sound results end the run."""
        needed = self.plan.min_nodes
        nodes = self.asking.wait_for_nodes(
            needed, limit_seconds=self.plan.wait_timeout_seconds, round_number=round_number
        )
        config = ConfigRecord({"server-round": round_number})
        answers = self.asking.ask(
            {node: RecordDict({"arrays": as_record(weights), "config": config}) for node in nodes},
            kind="train",
            enough=max(needed, least_quorum(len(nodes))),
            limit_seconds=self.plan.round_timeout_seconds,
        )
        found = []
        for content in answers.sound.values():
            update = _update_or_problem(content)
            if isinstance(update, Update):
                found.append(update)
            else:
                answers.problems.append(update)
        if len(found) < needed:
            raise RoundTooSmall(
                round=round_number, results=len(found), needed=needed, reason=answers.reason
            )
        examples = sum(update.examples for update in found)
        return Gathered(
            weights=self._average(found),
            loss=sum(update.loss * update.examples for update in found) / examples,
            asked=len(nodes),
            took_part=len(found),
        )

    def _average(self, found: list[Update]) -> Weights:
        if self.strategy == "mean":
            return weights_of.average([(update.weights, update.examples) for update in found])
        return robust.STRATEGIES[self.strategy]([update.weights for update in found])


def as_record(weights: Weights) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in weights.items()})


def _update_or_problem(content: RecordDict) -> Update | str:
    """What a reply brings, or in one line why it cannot be averaged."""
    if set(content.array_records) != {"arrays"} or set(content.metric_records) != {"metrics"}:
        return "A reply has other records than weights and metrics."
    metrics = content.metric_records["metrics"]
    examples, loss = metrics.get("num-examples"), metrics.get("train-loss")
    if not isinstance(examples, int) or not 1 <= examples <= EXAMPLES_MAX:
        return "A reply counts an impossible number of examples."
    if not isinstance(loss, float) or not math.isfinite(loss):
        return "A reply has no training loss."
    arrays = content.array_records["arrays"]
    try:
        weights = weights_of.checked({name: array.numpy() for name, array in arrays.items()})
    except ModelInvalid as error:
        return str(error)
    return Update(weights, examples, loss)
