"""From a negative binomial to quantiles, and from forecasts to errors: numpy alone."""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

QUANTILES = (0.1, 0.5, 0.9)
TABLE_COUNTS_MAX = 2048  # a longer table of probabilities would not be more exact than the curve
MEAN_MIN = 1e-6
ROUGH_COUNTS_MAX = 400  # ... and a shorter one is enough to compare dispersions
DISPERSION_MIN = 1e-3  # as good as a Poisson
DISPERSIONS = (0.001, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5, 2.5, 4.0, 8.0)


def negative_binomial_quantiles(
    mean: Array,
    dispersion: Array,
    levels: Sequence[float] = QUANTILES,
    *,
    table_max: int = TABLE_COUNTS_MAX,
) -> Array:
    """Smallest counts whose probability reaches each level; shape (levels, *mean.shape)."""
    shape = np.broadcast_shapes(mean.shape, dispersion.shape)
    means = np.broadcast_to(np.maximum(mean, MEAN_MIN), shape).reshape(-1)
    sizes = 1 / np.broadcast_to(np.maximum(dispersion, DISPERSION_MIN), shape).reshape(-1)
    reach = means + 12 * np.sqrt(means + means**2 / sizes)
    is_short = reach < table_max
    found = _gamma_quantiles(means, sizes, levels)
    if is_short.any():
        length = int(np.ceil(reach[is_short].max())) + 1
        found[:, is_short] = _table_quantiles(means[is_short], sizes[is_short], length, levels)
    return np.asarray(found.reshape(len(levels), *shape))


def _table_quantiles(means: Array, sizes: Array, length: int, levels: Sequence[float]) -> Array:
    """Sum up the probabilities of 0, 1, 2, ... by their ratio to the one before."""
    counts = np.arange(1, length)[:, None]
    odds = np.log(means / (means + sizes))
    steps = np.log((counts - 1 + sizes) / counts) + odds
    start = sizes * np.log(sizes / (sizes + means))
    log_probability = np.concatenate([start[None], start + np.cumsum(steps, axis=0)])
    reached = np.cumsum(np.exp(log_probability), axis=0)
    return np.stack([(reached < quantile).sum(axis=0) for quantile in levels]).astype(float)


def _gamma_quantiles(means: Array, sizes: Array, levels: Sequence[float]) -> Array:
    """Wilson and Hilferty's curve for a gamma of the same mean and variance: large counts."""
    variances = means + means**2 / sizes
    ninth = variances / means**2 / 9  # one over nine times the gamma's shape
    curve = [1 - ninth + z * np.sqrt(ninth) for z in map(NormalDist().inv_cdf, levels)]
    return np.stack([np.rint(means * np.maximum(point, 0) ** 3) for point in curve])


def dispersion_of(actual: Array, mean: Array) -> Array:
    """Of DISPERSIONS the one whose quantiles would have cost least over the last axis.

    By the squares of the misses (moments) one day of batch entry would widen every band: that cost
    3 to 9 % of the pinball loss of the total on nine panels.
    """
    losses = []
    for dispersion in DISPERSIONS:
        quantiles = negative_binomial_quantiles(
            mean, np.full((1, 1), dispersion), table_max=ROUGH_COUNTS_MAX
        )
        losses.append(_pinball_losses(actual, quantiles).mean(axis=(0, -1)))
    cheapest = np.argmin(np.stack(losses), axis=0)
    return np.asarray(np.array(DISPERSIONS)[cheapest][..., None])


def mean_absolute_error(actual: Array, mean: Array) -> float:
    return float(np.abs(actual - mean).mean())


def pinball(actual: Array, quantiles: Array) -> float:
    """Mean over QUANTILES of the loss that the true quantile makes smallest."""
    return float(_pinball_losses(actual, quantiles).mean())


def _pinball_losses(actual: Array, quantiles: Array) -> Array:
    miss = actual[None] - quantiles
    level = np.array(QUANTILES).reshape(-1, *[1] * actual.ndim)
    return np.asarray(np.maximum(level * miss, (level - 1) * miss))


def bias(actual: Array, mean: Array) -> float:
    """How much more (+) or less (-) than came was forecast, per day."""
    return float((mean - actual).mean())
