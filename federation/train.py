"""Fitting the forecaster and asking it: plain torch, has never heard of Flower."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from federation import weights as weights_of
from federation.data import History, Windows, build_windows, training_origins
from federation.model import Forecaster, follow_quasi_score
from federation.recipe import MEAN_DECAY, SQUARE_DECAY, STEP_FLOOR, draw_batches, lot_of
from federation.recipe import Recipe as Recipe  # callers of the training find it here
from federation.weights import Update, Weights

torch.set_num_threads(1)  # two threads on two busy cores are ten times slower


class Adam:
    """Kingma and Ba 2015, as in torch.optim, without importing torch's compiler.

    That import costs 1.5 s of every process, and Flower starts a process for every message.
    """

    def __init__(self, parameters: Iterable[Tensor], *, learning_rate: float) -> None:
        self._learning_rate = learning_rate
        self._steps = 0
        self._state = [(p, torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]

    def step(self) -> None:
        """Follow the gradients once, and forget them."""
        self._steps += 1
        mean_share = 1 - MEAN_DECAY**self._steps  # the averages start at zero: scale them up
        square_share = 1 - SQUARE_DECAY**self._steps
        with torch.no_grad():
            for parameter, mean, square in self._state:
                gradient = parameter.grad
                assert gradient is not None
                mean.lerp_(gradient, 1 - MEAN_DECAY)
                square.mul_(SQUARE_DECAY).addcmul_(gradient, gradient, value=1 - SQUARE_DECAY)
                spread = (square / square_share).sqrt_().add_(STEP_FLOOR)
                parameter.addcdiv_(mean, spread, value=-self._learning_rate / mean_share)
                parameter.grad = None


@dataclass(frozen=True)
class Pupil:
    """One community, ready to train: its windows, built once, and the lot it draws days by."""

    windows: Windows
    lot: int

    @classmethod
    def of(cls, history: History) -> "Pupil":
        origins = training_origins(history)
        return cls(build_windows(history, origins, with_targets=True), lot_of(history))

    def take_round(self, weights: Weights, *, recipe: Recipe, round_number: int) -> Update:
        """This community's share of one round."""
        batches = draw_batches(
            recipe, round_number=round_number, lot=self.lot, windows=len(self.windows)
        )
        fitted, loss = fit(
            weights,
            self.windows,
            batches=torch.from_numpy(batches),
            learning_rate=recipe.learning_rate_in(recipe.checked_round(round_number)),
        )
        return Update(fitted, len(self.windows), loss)


def train_round(weights: Weights, history: History, *, recipe: Recipe, round_number: int) -> Update:
    """One community's share of one round: the same lines under Flower and in the plain loop."""
    return Pupil.of(history).take_round(weights, recipe=recipe, round_number=round_number)


def fit_locally(history: History, *, recipe: Recipe, start: Weights | None = None) -> Weights:
    """A community on its own, by the same steps as in a federation; from `start`: fine-tuning."""
    weights, pupil = start or weights_of.initial_weights(recipe.seed), Pupil.of(history)
    for round_number in range(1, recipe.rounds + 1):
        weights = pupil.take_round(weights, recipe=recipe, round_number=round_number).weights
    return weights


def fit(
    weights: Weights, windows: Windows, *, batches: Tensor, learning_rate: float
) -> tuple[Weights, float]:
    """Adam over the given batches, from `weights` on; the new weights and the mean loss."""
    model = _as_model(weights)
    features, level, targets, noise = (
        torch.from_numpy(array)
        for array in (windows.features, windows.level, windows.targets, windows.noise)
    )
    optimizer = Adam(model.parameters(), learning_rate=learning_rate)
    loss_sum = 0.0
    for batch in batches:
        mean = model(features[batch], level[batch])
        loss_sum += follow_quasi_score(mean, targets[batch], noise[batch])
        optimizer.step()
    fitted = {name: value.detach().numpy().copy() for name, value in model.state_dict().items()}
    return weights_of.checked(fitted), loss_sum / len(batches)


def _as_model(weights: Weights) -> Forecaster:
    model = Forecaster()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return model
