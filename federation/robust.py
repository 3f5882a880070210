"""Averages that a few bad updates cannot pull away, for runs where the office sees each update.

They need single updates, so they exclude secure aggregation: there the office sees a sum only, and
each node bounds its own update instead (federation/secagg/fixed_point.py). Both count every
community once, not by its examples: a liar would simply claim more of them.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from federation.errors import RunConfigInvalid
from federation.weights import Weights

TRIMMED_SHARE = 0.25  # from each end: that many communities may lie
UPDATES_MIN = 3  # of two, no one can say which is wrong


def trimmed_mean(updates: Sequence[Weights]) -> Weights:
    """For each number the mean without the largest and the smallest quarter (Yin et al. 2018)."""

    def middle(stack: NDArray[np.float64]) -> NDArray[np.float64]:
        trimmed = max(1, int(len(stack) * TRIMMED_SHARE))
        kept: NDArray[np.float64] = np.sort(stack, axis=0)[trimmed : len(stack) - trimmed]
        return np.asarray(kept.mean(axis=0))

    return _each_number(updates, middle)


def median(updates: Sequence[Weights]) -> Weights:
    """For each number the middle one: almost half of the communities may lie (Yin et al. 2018)."""
    return _each_number(updates, lambda stack: np.asarray(np.median(stack, axis=0)))


STRATEGIES: Mapping[str, Callable[[Sequence[Weights]], Weights]] = {
    "trimmed-mean": trimmed_mean,
    "median": median,
}


def _each_number(
    updates: Sequence[Weights], middle: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Weights:
    if len(updates) < UPDATES_MIN:
        raise RunConfigInvalid(name="protection", value=f"robust with {len(updates)} updates")
    return {
        name: middle(np.stack([each[name].astype(np.float64) for each in updates])).astype(
            np.float32
        )
        for name in updates[0]
    }
