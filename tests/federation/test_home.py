"""At home a model moves half-way towards the community, and its height is set by own weeks."""

from datetime import date

import numpy as np

from federation import weights as weights_of
from federation.data import HORIZON_DAYS, TOTAL, History
from federation.forecasts import Point, mean8
from federation.home import SCALES, at_scale, half_way

DAYS = 500


def house(rate: float = 8.0, *, days: int = DAYS, seed: int = 1) -> History:
    random = np.random.default_rng(seed)
    counts = random.poisson(np.array([[rate], [rate / 2]]) * np.ones(days)).astype(np.float32)
    return History(date(2024, 1, 1), ("a", "b", TOTAL), np.vstack([counts, counts.sum(axis=0)]))


def times(factor: float) -> Point:
    return lambda history, origins: factor * mean8(history, origins)


def test_half_way_lies_between_the_common_model_and_the_tuned_one() -> None:
    one, other = (weights_of.initial_weights(seed) for seed in (1, 2))
    middle = half_way(one, other)
    weights_of.checked(middle)
    for name in one:
        np.testing.assert_allclose(middle[name] - one[name], other[name] - middle[name], atol=1e-6)


def test_a_forecast_that_lies_too_low_everywhere_is_raised() -> None:
    history, origins = house(), np.array([DAYS - 8])
    raised = at_scale(times(0.8), history)(history, origins)
    np.testing.assert_allclose(raised / (0.8 * mean8(history, origins)), 1.25, rtol=0.06)
    lowered = at_scale(times(1.3), history)(history, origins)
    assert (lowered < 1.1 * mean8(history, origins)).all()
    np.testing.assert_allclose(raised[:-1].sum(axis=0), raised[-1], rtol=1e-6)


def test_a_good_forecast_is_left_alone_and_a_few_weeks_prove_little() -> None:
    history, origins = house(), np.array([DAYS - 8])
    for known in (history, history.until(70)):
        ratio = at_scale(mean8, known)(history, origins) / mean8(history, origins)
        np.testing.assert_allclose(ratio, 1.0, atol=0.06)
    for days in (0, 20, 59):  # too young to say
        same = at_scale(times(0.5), history.until(days))(history, origins)
        np.testing.assert_array_equal(same, 0.5 * mean8(history, origins))


def test_the_factor_knows_nothing_of_later_days_and_has_a_limit() -> None:
    history, origins = house(), np.array([DAYS - 8])
    other = History(history.first_day, history.series, history.counts.copy())
    other.counts[:, -HORIZON_DAYS:] *= 9
    known = [one.until(DAYS - HORIZON_DAYS) for one in (history, other)]
    one, two = (at_scale(times(0.8), each)(history, origins) for each in known)
    np.testing.assert_array_equal(one, two)
    far = at_scale(times(0.4), history)(history, origins)
    np.testing.assert_allclose(far, SCALES[-1] * 0.4 * mean8(history, origins))


def test_a_silent_community_stays_silent() -> None:
    silent = History(date(2024, 1, 1), ("a", TOTAL), np.zeros((2, 200), np.float32))
    assert not at_scale(mean8, silent)(silent, np.array([199])).any()
