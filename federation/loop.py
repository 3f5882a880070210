"""Federated averaging in one process: the training code of the Flower apps without Flower.

Studies and tests use it; it gives the weights that a Flower run of the same recipe gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from federation import weights as weights_of
from federation.data import History
from federation.recipe import Recipe
from federation.train import Pupil
from federation.weights import Weights


@dataclass(frozen=True)
class Federated:
    """The global model and its mean training loss, round by round."""

    weights: Weights
    train_loss: tuple[float, ...]


def federate(histories: Sequence[History], *, recipe: Recipe) -> Federated:
    """Train one model over all histories; nothing but weights passes from one to another."""
    weights = weights_of.initial_weights(recipe.seed)
    pupils = [Pupil.of(history) for history in histories]
    losses: list[float] = []
    for round_number in range(1, recipe.rounds + 1):
        updates = [
            pupil.take_round(weights, recipe=recipe, round_number=round_number) for pupil in pupils
        ]
        weights = weights_of.average([(update.weights, update.examples) for update in updates])
        examples = sum(update.examples for update in updates)
        losses.append(sum(update.loss * update.examples for update in updates) / examples)
    return Federated(weights, tuple(losses))
