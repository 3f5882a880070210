"""The forecaster itself: a small network that says how next week differs from the recent level.

Its output is a negative-binomial distribution per day, so that one head gives the mean, the
quantiles and the spread, and rare counts are treated as counts.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from federation.data import FEATURES, HORIZON_DAYS
from federation.weights import HIDDEN

LOG_MULTIPLIER_MAX = 4.0  # a day 55 times the usual: beyond that exp() only explodes
LOG_DISPERSION_MAX = 4.0
MEAN_MIN = 1e-6  # requests a day; keeps the logarithm finite


@dataclass(frozen=True)
class Counts:
    """A negative binomial per window and day: variance = mean + dispersion · mean²."""

    mean: Tensor  # (B, HORIZON_DAYS)
    dispersion: Tensor  # (B, 1)


class Forecaster(nn.Module):
    """From windows to next week, in units of each window's own level; B windows at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HORIZON_DAYS + 1),
        )

    def forward(self, features: Tensor, level: Tensor) -> Counts:
        output = self.layers(features)  # (B, HORIZON_DAYS + 1)
        change, spread = output.tensor_split([HORIZON_DAYS], dim=1)
        multiplier = change.clamp(-LOG_MULTIPLIER_MAX, LOG_MULTIPLIER_MAX).exp()
        return Counts(
            mean=level[:, None] * multiplier,
            dispersion=spread.clamp(-LOG_DISPERSION_MAX, LOG_DISPERSION_MAX).exp(),
        )


def negative_log_likelihood(forecast: Counts, targets: Tensor) -> Tensor:
    """Mean over days, without the term that depends on the target alone."""
    size = 1 / forecast.dispersion  # (B, 1)
    mean = forecast.mean.clamp_min(MEAN_MIN)  # (B, HORIZON_DAYS)
    log_likelihood = (
        (targets + size).lgamma()
        - size.lgamma()
        + size * (size / (size + mean)).log()
        + targets * (mean / (size + mean)).log()
    )
    return -log_likelihood.mean()
