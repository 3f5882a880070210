"""The fast engine's inner loop: one community's share of one round, compiled.

The mathematics of `model` and `train`, written out: forward, quasi-score, backward, Adam. One
community at a time, so that its weights stay in the processor's cache, and nothing is allocated
between steps. No loop calls a function of the mathematics library, so that the compiler turns all
of them into vector code. Tests hold these lines against torch's; this file exists for speed alone.
"""

from typing import Any, NamedTuple

import numba
import numpy as np

from federation.product import LANES, multiply, multiply_transposed
from federation.recipe import (
    LOG_MULTIPLIER_MAX,
    MEAN_DECAY,
    MISS_MAX,
    SPREAD,
    SQUARE_DECAY,
    STEP_FLOOR,
)

# Every number in single precision: one double among them would make the whole line double.
ZERO, ONE, HALF, THIRD = np.float32(0), np.float32(1), np.float32(1 / 2), np.float32(1 / 3)
FOURTH, FIFTH, SIXTH = np.float32(1 / 4), np.float32(1 / 5), np.float32(1 / 6)
SEVENTH, EIGHTH, NINTH = np.float32(1 / 7), np.float32(1 / 8), np.float32(1 / 9)


LEVEL, NOISE, TARGETS = range(3)  # of a window's row, behind its features


class Rules(NamedTuple):
    """The recipe's constants as arguments: numba's cache would not notice that they changed."""

    log_max: np.float32 = np.float32(LOG_MULTIPLIER_MAX)
    spread: np.float32 = np.float32(SPREAD)
    miss_max: np.float32 = np.float32(MISS_MAX)
    step_floor: np.float32 = np.float32(STEP_FLOOR)
    mean_decay: float = MEAN_DECAY
    square_decay: float = SQUARE_DECAY


compiled = numba.njit(cache=True, fastmath=True, error_model="numpy")


@compiled
def take_steps(
    weights: Any,  # (w1, b1, w2, b2, w3, b3), matrices as (in, out); changed in place
    windows: Any,  # a row each: features, level, noise, targets
    batches: Any,  # (steps, B) indices of windows
    learning_rate: float,
    rules: Rules,
) -> float:
    """Follow the quasi-score for all steps; returns the mean scaled square of the misses."""
    w1, b1, w2, b2, w3, b3 = weights
    steps, size = batches.shape
    x = np.empty((size, w1.shape[0]), np.float32)
    rest = np.empty((size, windows.shape[1] - w1.shape[0]), np.float32)
    first, second = (
        np.empty((size, w1.shape[1]), np.float32),
        np.empty((size, w2.shape[1]), np.float32),
    )
    slope1, slope2 = np.empty_like(first), np.empty_like(second)
    back1, back2 = np.empty_like(first), np.empty_like(second)
    days = w3.shape[1]
    output = np.zeros((size, LANES), np.float32)  # the days, and nothing behind them
    last, turned_last = (
        np.zeros((w3.shape[0], LANES), np.float32),
        np.empty(w3.shape[::-1], w3.dtype),
    )
    last_gradient, turned = np.empty_like(last), np.empty(w2.shape[::-1], w2.dtype)
    gradient = (
        np.empty_like(w1),
        np.empty_like(b1),
        np.empty_like(w2),
        np.empty_like(b2),
        np.empty_like(w3),
        np.empty_like(b3),
    )
    means = (
        np.zeros_like(w1),
        np.zeros_like(b1),
        np.zeros_like(w2),
        np.zeros_like(b2),
        np.zeros_like(w3),
        np.zeros_like(b3),
    )
    squares = (
        np.zeros_like(w1),
        np.zeros_like(b1),
        np.zeros_like(w2),
        np.zeros_like(b2),
        np.zeros_like(w3),
        np.zeros_like(b3),
    )
    loss_sum, mean_kept, square_kept = 0.0, 1.0, 1.0
    for step in range(steps):
        _gather(windows, batches[step], x, rest)
        last[:, :days], turned_last[:], turned[:] = w3, w3.T, w2.T
        multiply(x, w1, first)
        _activate(first, b1, slope1)
        multiply(first, w2, second)
        _activate(second, b2, slope2)
        multiply(second, last, output)
        loss_sum += _score(output, b3, rest, rules)
        multiply_transposed(second, output, last_gradient)
        gradient[4][:] = last_gradient[:, :days]
        _sum_rows(output, gradient[5])
        multiply(output, turned_last, back2)
        _scale(back2, slope2, gradient[3])
        multiply_transposed(first, back2, gradient[2])
        multiply(back2, turned, back1)
        _scale(back1, slope1, gradient[1])
        multiply_transposed(x, back1, gradient[0])
        mean_kept *= rules.mean_decay
        square_kept *= rules.square_decay
        rate = np.float32(learning_rate / (1 - mean_kept))
        root = np.float32(1 / np.sqrt(1 - square_kept))
        _adam(w1, gradient[0], means[0], squares[0], rate, root, rules)
        _adam(b1, gradient[1], means[1], squares[1], rate, root, rules)
        _adam(w2, gradient[2], means[2], squares[2], rate, root, rules)
        _adam(b2, gradient[3], means[3], squares[3], rate, root, rules)
        _adam(w3, gradient[4], means[4], squares[4], rate, root, rules)
        _adam(b3, gradient[5], means[5], squares[5], rate, root, rules)
    return float(loss_sum / steps)


@compiled
def _gather(windows: Any, batch: Any, features: Any, rest: Any) -> None:
    width = features.shape[1]
    for n in range(features.shape[0]):
        window = windows[batch[n]]
        for column in range(width):
            features[n, column] = window[column]
        for column in range(rest.shape[1]):
            rest[n, column] = window[width + column]


@compiled
def _activate(values: Any, bias: Any, slope: Any) -> None:
    """Squareplus, in place, and its derivative."""
    for n in range(values.shape[0]):
        for unit in range(values.shape[1]):
            value = values[n, unit] + bias[unit]
            root = np.sqrt(value * value + ONE)
            values[n, unit] = HALF * (value + root)
            slope[n, unit] = HALF + HALF * value / root


@compiled
def _score(output: Any, bias: Any, rest: Any, rules: Any) -> float:
    """Turn the last layer's output into its gradient, in place; returns the mean scaled square."""
    rows, days = output.shape[0], bias.size
    share = ONE / np.float32(rows * days)
    values, came = np.empty(rows * days, np.float32), np.empty(rows * days, np.float32)
    unit, extra = np.empty_like(values), np.empty_like(values)
    for n in range(rows):
        for day in range(days):
            index = n * days + day
            values[index] = output[n, day] + bias[day]
            came[index] = rest[n, TARGETS + day]
            unit[index], extra[index] = rest[n, LEVEL], rest[n, NOISE]
    total = ZERO
    for index in range(values.size):  # side by side in memory: sixteen at a time
        value = values[index]
        bend = ONE / np.sqrt(ONE + (value / rules.log_max) * (value / rules.log_max))
        mean = unit[index] * _exp(value * bend)
        variance = mean + rules.spread * mean * mean + extra[index]
        reach = rules.miss_max * np.sqrt(variance)
        miss = min(max(came[index] - mean, -reach), reach)
        total += miss * miss / variance
        values[index] = -share * miss * mean / variance * bend * bend * bend
    for n in range(rows):
        for day in range(days):
            output[n, day] = values[n * days + day]
    return float(total * share)


@compiled
def _exp(value: Any) -> Any:
    """For |value| <= LOG_MULTIPLIER_MAX, to a few roundings: e to an eighth of it, squared thrice.

    The library's own would be called number by number.
    """
    part = value * EIGHTH
    power = ONE + part * NINTH  # the series, from its last term inwards
    power = ONE + part * EIGHTH * power
    power = ONE + part * SEVENTH * power
    power = ONE + part * SIXTH * power
    power = ONE + part * FIFTH * power
    power = ONE + part * FOURTH * power
    power = ONE + part * THIRD * power
    power = ONE + part * HALF * power
    power = ONE + part * power
    power *= power
    power *= power
    return power * power


@compiled
def _sum_rows(values: Any, into: Any) -> None:
    into[:] = ZERO
    for n in range(values.shape[0]):
        for column in range(into.size):
            into[column] += values[n, column]


@compiled
def _scale(values: Any, by: Any, sums: Any) -> None:
    """Multiply in place, and add up the rows: the gradient of a layer's bias."""
    sums[:] = ZERO
    for n in range(values.shape[0]):
        for column in range(values.shape[1]):
            values[n, column] *= by[n, column]
            sums[column] += values[n, column]


@compiled
def _adam(
    weight: Any, gradient: Any, mean: Any, square: Any, rate: Any, root: Any, rules: Any
) -> None:
    w, g, m, s = weight.reshape(-1), gradient.reshape(-1), mean.reshape(-1), square.reshape(-1)
    mean_share = np.float32(1 - rules.mean_decay)
    square_kept, square_share = np.float32(rules.square_decay), np.float32(1 - rules.square_decay)
    for index in range(w.size):
        m[index] += mean_share * (g[index] - m[index])
        s[index] = square_kept * s[index] + square_share * g[index] * g[index]
        w[index] -= rate * m[index] / (np.sqrt(s[index]) * root + rules.step_floor)
