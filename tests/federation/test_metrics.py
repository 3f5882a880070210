"""The band around a forecast is as wide as counts usually stray, whatever one odd day did."""

import numpy as np
import pytest

from federation.metrics import (
    DISPERSIONS,
    dispersion_of,
    negative_binomial_quantiles,
    pinball,
)

DAYS = 182


def drawn(mean: float, dispersion: float, *, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    rate = mean * random.gamma(1 / dispersion, dispersion, size=(3, DAYS))
    return random.poisson(rate).astype(float)


@pytest.mark.parametrize(("mean", "dispersion"), [(6.0, 0.3), (40.0, 0.2), (0.8, 1.0)])
def test_the_dispersion_that_made_the_counts_is_found(mean: float, dispersion: float) -> None:
    came = drawn(mean, dispersion, seed=3)
    found = dispersion_of(came, np.full(came.shape, mean))
    assert found.shape == (3, 1)
    assert (found >= dispersion / 3).all()
    assert (found <= dispersion * 3).all()


def test_a_day_of_batch_entry_does_not_widen_every_band() -> None:
    came = drawn(6.0, 0.3, seed=5)
    mean = np.full(came.shape, 6.0)
    calm = dispersion_of(came, mean)
    came[:, 90] = 300.0
    assert (dispersion_of(came, mean) <= 2 * calm).all()
    assert ((came - mean) ** 2 - mean).mean() / 36 > 10  # what moments would have taken for it


def test_no_other_dispersion_would_have_cost_less() -> None:
    came = drawn(2.5, 0.7, seed=9)
    mean = np.full(came.shape, 2.5)
    found = dispersion_of(came, mean)
    for series in range(3):
        costs = [
            pinball(came[series], negative_binomial_quantiles(mean[series], np.array([other])))
            for other in DISPERSIONS
        ]
        assert found[series, 0] == DISPERSIONS[int(np.argmin(costs))]


def test_a_silent_series_has_a_band_of_nothing() -> None:
    silent = np.zeros((1, DAYS))
    found = dispersion_of(silent, np.full((1, DAYS), 1e-3))
    assert np.isfinite(found).all()
    assert (negative_binomial_quantiles(np.full((1, 7), 1e-3), found) == 0).all()
