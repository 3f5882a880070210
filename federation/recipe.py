"""What a run of training is, in numbers: shared by the plain loop, the fast engine and Flower."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.data import History
from federation.errors import RunConfigInvalid

BATCH_WINDOWS = 128
MEAN_DECAY, SQUARE_DECAY = 0.9, 0.999  # Adam's usual constants
STEP_FLOOR = 1e-4  # Adam's epsilon: at 1e-8 a rounding error can turn a whole step around
SPREAD = 0.5  # of counts in training: variance = mean + SPREAD * mean squared (+ added noise)
MISS_MAX = 2.0  # in usual spreads: a day of batch entry teaches no more than an odd day does
LOG_MULTIPLIER_MAX = 4.0  # a day 55 times the usual: beyond that exp() only explodes
LAST_ROUND_SHARE = 0.2  # of the learning rate: the average of the last round should be calm


@dataclass(frozen=True)
class Recipe:
    """How a run trains; a round costs seconds under Flower, a step a millisecond."""

    rounds: int = 40
    local_steps: int = 20
    learning_rate: float = 6e-3
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

    def checked_round(self, round_number: int) -> int:
        """The round's number, or a refusal of one that this run does not have."""
        if not 1 <= round_number <= self.rounds:
            raise RunConfigInvalid(name="server-round", value=str(round_number))
        return round_number


LOCAL_STEPS = 10  # a round, where a node trains alone: one history is overfitted sooner
CENTRAL_STEPS = 150  # a round, where all histories lie in one place
PRIVATE_ROUNDS = 100  # on noised counts: more rounds cost no privacy and average the noise out
HOME = Recipe(rounds=10, local_steps=10, learning_rate=1e-3)  # on exact counts, after those rounds


def lot_of(history: History) -> int:
    """A number of the history's own, so that communities do not all draw the same days.

    If they did, what is odd about a day would not average out over the communities.
    """
    return zlib.crc32(np.ascontiguousarray(history.counts).tobytes())


def draw_batches(recipe: Recipe, *, round_number: int, lot: int, windows: int) -> NDArray[np.int64]:
    """(local_steps, BATCH_WINDOWS) indices of windows, the same wherever the run is computed."""
    random = np.random.default_rng([recipe.seed, round_number, lot])
    return random.integers(windows, size=(recipe.local_steps, BATCH_WINDOWS))
