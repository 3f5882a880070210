"""Fitting the forecaster and asking it: plain torch, has never heard of Flower."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from federation import weights as weights_of
from federation.data import Floats, History, Windows, build_windows, training_origins
from federation.errors import RunConfigInvalid
from federation.model import Counts, Forecaster, negative_log_likelihood
from federation.weights import Update, Weights

torch.set_num_threads(1)  # two threads on two busy cores are ten times slower

BATCH_WINDOWS = 128
MEAN_DECAY, SQUARE_DECAY, STEP_FLOOR = 0.9, 0.999, 1e-8  # Adam's usual constants
LAST_ROUND_SHARE = 0.2  # of the learning rate: the average of the last round should be calm


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
class Recipe:
    """How a run trains: few rounds of many steps; a round costs seconds, a step a millisecond."""

    rounds: int = 3
    local_steps: int = 300
    learning_rate: float = 3e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rounds", 1, 1000),
            ("local_steps", 1, 5000),
            ("learning_rate", 1e-6, 0.1),
            ("seed", 0, 2**31 - 1),
        ):
            value, kind = getattr(self, name), float if name == "learning_rate" else int
            if type(value) is not kind or not low <= value <= high:
                raise RunConfigInvalid(name=name.replace("_", "-"), value=str(value))

    def learning_rate_in(self, round_number: int) -> float:
        """Falls in a straight line from the first round to the last."""
        if self.rounds == 1:
            return self.learning_rate
        done = (round_number - 1) / (self.rounds - 1)
        return self.learning_rate * (1 - (1 - LAST_ROUND_SHARE) * done)


def train_round(weights: Weights, history: History, *, recipe: Recipe, round_number: int) -> Update:
    """One community's share of one round: the same lines under Flower and in the plain loop."""
    if not 1 <= round_number <= recipe.rounds:
        raise RunConfigInvalid(name="server-round", value=str(round_number))
    windows = build_windows(history, training_origins(history), with_targets=True)
    fitted, loss = fit(
        weights,
        windows,
        steps=recipe.local_steps,
        learning_rate=recipe.learning_rate_in(round_number),
        seed=recipe.seed * 1009 + round_number,
    )
    return Update(fitted, len(windows), loss)


def fit_locally(history: History, *, recipe: Recipe) -> Weights:
    """A community on its own: the same number of steps as it would take in a federation."""
    weights = weights_of.initial_weights(recipe.seed)
    for round_number in range(1, recipe.rounds + 1):
        update = train_round(weights, history, recipe=recipe, round_number=round_number)
        weights = update.weights
    return weights


def fit(
    weights: Weights, windows: Windows, *, steps: int, learning_rate: float, seed: int
) -> tuple[Weights, float]:
    """Adam over random batches, from `weights` on; returns the new weights and the mean loss."""
    model = _as_model(weights)
    features, level, targets = _tensors(windows)
    optimizer = Adam(model.parameters(), learning_rate=learning_rate)
    generator = torch.Generator().manual_seed(seed)
    loss_sum = 0.0
    for _ in range(steps):
        batch = torch.randint(len(windows), (BATCH_WINDOWS,), generator=generator)
        loss = negative_log_likelihood(model(features[batch], level[batch]), targets[batch])
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        optimizer.step()
        loss_sum += loss.item()
    fitted = {name: value.detach().numpy().copy() for name, value in model.state_dict().items()}
    return weights_of.checked(fitted), loss_sum / steps


def forecast(weights: Weights, windows: Windows) -> tuple[Floats, Floats]:
    """Means (windows, HORIZON_DAYS) and dispersions (windows, 1) of the coming week."""
    features, level, _ = _tensors(windows)
    with torch.inference_mode():
        counts: Counts = _as_model(weights)(features, level)
    return counts.mean.numpy(), counts.dispersion.numpy()


def _as_model(weights: Weights) -> Forecaster:
    model = Forecaster()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return model


def _tensors(windows: Windows) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.from_numpy(windows.features),
        torch.from_numpy(windows.level),
        torch.from_numpy(windows.targets),
    )
