"""The forecaster itself: a small network that says how next week differs from the recent level.

Its output is a mean per day. It learns by quasi-score: a miss counts in proportion to how much a
count of that size usually strays. That is linear in what came, so noise of mean zero on the counts
(which protects residents) does not bend the forecast; what it adds to the spread, it is told.
"""

from torch import Tensor, nn

from federation.data import FEATURES, HORIZON_DAYS
from federation.recipe import LOG_MULTIPLIER_MAX, MISS_MAX, SPREAD
from federation.weights import HIDDEN


class Squareplus(nn.Module):
    """A rectifier without a corner (Barron 2021), so that rounding never turns a unit on or off."""

    def forward(self, values: Tensor) -> Tensor:
        return (values + (values * values + 1).sqrt()).mul(0.5)


class Forecaster(nn.Module):
    """From windows to next week, in units of each window's own level; B windows at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, HIDDEN),
            Squareplus(),
            nn.Linear(HIDDEN, HIDDEN),
            Squareplus(),
            nn.Linear(HIDDEN, HORIZON_DAYS),
        )

    def forward(self, features: Tensor, level: Tensor) -> Tensor:
        """Mean requests, (B, HORIZON_DAYS)."""
        change: Tensor = self.layers(features)
        bound = change / (1 + (change / LOG_MULTIPLIER_MAX) ** 2).sqrt()
        return level[:, None] * bound.exp()


def variance_of(mean: Tensor, noise: Tensor) -> Tensor:
    """How far a count of this mean usually strays, squared; `noise` (B,) is what was added."""
    return mean + SPREAD * mean * mean + noise[:, None]


def follow_quasi_score(mean: Tensor, targets: Tensor, noise: Tensor) -> float:
    """Leave in the weights the gradient of the quasi-likelihood (Wedderburn 1974), made robust.

    A miss beyond MISS_MAX spreads counts as one that far (Huber's psi; Cantoni and Ronchetti 2001).
    Returns the mean scaled square of the misses: near 1 when counts stray as `variance_of` says.
    """
    miss = (targets - mean).detach()
    variance = variance_of(mean.detach(), noise)
    reach = MISS_MAX * variance.sqrt()
    miss = miss.clamp(-reach, reach)
    mean.backward(gradient=-miss / variance / miss.numel())  # type: ignore[no-untyped-call] # torch
    return float((miss * miss / variance).mean())
