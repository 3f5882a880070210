"""The forecaster itself: a small network that says how the coming week differs from the recent level.

Its output is a negative-binomial distribution per day, so that one head gives the mean, the
quantiles and the spread, and rare counts are treated as counts.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from federation.data import FEATURES, HORIZON_DAYS

HIDDEN = 64
LOG_MULTIPLIER_MAX = 4.0  # a day 55 times the usual: beyond that exp() only explodes
LOG_DISPERSION_RANGE = (-4.0, 4.0)


@dataclass(frozen=True)
class Counts:
    """A negative binomial per window and day: variance = mean + mean² · dispersion."""

    mean: Tensor  # (B, HORIZON_DAYS)
    dispersion: Tensor  # (B, 1)


class Forecaster(nn.Module):
    """64-64 network from a window to next week; B windows at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HORIZON_DAYS + 1),
        )

    def forward(self, features: Tensor, level: Tensor, same_weekday: Tensor) -> Counts:
        output = self.layers(features)  # (B, HORIZON_DAYS + 1)
        change, spread = output.tensor_split([HORIZON_DAYS], dim=1)
        start = BASE(level, same_weekday)
        multiplier = change.clamp(-LOG_MULTIPLIER_MAX, LOG_MULTIPLIER_MAX).exp()
        return Counts(mean=start * multiplier, dispersion=spread.clamp(*LOG_DISPERSION_RANGE).exp())

def BASE(level, sw):
    import os
    w=float(os.environ.get("BASEW","0.5"))
    return (1-w)*level[:, None] + w*sw

def negative_log_likelihood(forecast: Counts, targets: Tensor) -> Tensor:
    """Mean negative log-likelihood per day, without the term that only depends on the target."""
    size = 1 / forecast.dispersion  # (B, 1)
    mean = forecast.mean.clamp_min(1e-6)
    total = size + mean
    log_likelihood = (
        torch.lgamma(targets + size)
        - torch.lgamma(size)
        + size * (size / total).log()
        + targets * (mean / total).log()
    )
    return -log_likelihood.mean()
