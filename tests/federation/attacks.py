"""What an attacker can make of what leaves a node: is this request in it, and what was each day?

    python -m tests.federation.attacks          the whole table, a few minutes

Two attackers, both stronger than the office. `membership`: knows every count of the community
except whether one request was made, and the whole training program. `reconstruction`: knows the
program, the drawn batches and each weekday's mean, and looks for the daily series. What they see:
the update of a round, the sum of four updates, or the noised counts themselves.

Advantage = right guesses of "it is there" less false alarms: 0 is a coin, 1 is certainty. Seeded.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from federation import engine
from federation import weights as weights_of
from federation.data import History, geometric_variance
from federation.recipe import Recipe, lot_of
from federation.secagg.fixed_point import clipped_to
from federation.updates import flat, moved, norm_bound

Row = NDArray[np.float64]

DAYS = 70
DAY_OF_REQUEST = 40
ROUNDS = 3  # that the membership attacker watches
OTHERS = 3  # communities beside the one that is attacked
DAMPING, STEP, TRIES = 1e-2, 0.05, 6  # of Levenberg and Marquardt's method
START = weights_of.initial_weights(0)


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    attack: str
    seen: str
    figure: float
    bound: float | None  # what is promised, or what a guess without the attack gives

    def __str__(self) -> str:
        beside = "" if self.bound is None else f"{self.bound:8.2f}"
        return f"{self.attack:16} {self.seen:58} {self.figure:6.2f} {beside}"


def series(seed: int) -> Row:
    """A small community's requests: a weekly rhythm, a slow drift, chance."""
    random, day = np.random.default_rng(seed), np.arange(DAYS)
    rate = np.where(day % 7 >= 5, 1.0, 4.0) * (1 + 0.3 * np.sin(day / 20 + seed))
    return random.poisson(rate).astype(np.float64)


def with_request(counts: Row) -> Row:
    """The same days with one request more."""
    more = counts.copy()
    more[DAY_OF_REQUEST] += 1
    return more


def with_noise(counts: Row, *, epsilon: float, random: np.random.Generator) -> Row:
    """As a node noises its counts, from a seeded stream."""
    stop = 1 - math.exp(-epsilon)
    noise = random.geometric(stop, counts.shape) - random.geometric(stop, counts.shape)
    return counts + noise


def history_of(counts: Row, *, epsilon: float | None = None) -> History:
    noise = geometric_variance(epsilon) if epsilon else 0.0
    rows = np.stack([counts, counts]).astype(np.float32)
    return History(date(2025, 1, 6), ("other", "total"), rows, noise_variance=noise)


def updates_of(
    histories: Sequence[History], *, rounds: int, local_steps: int, lots: Sequence[int] = ()
) -> Row:
    """The mean change of each round, all rounds one after the other: what the office is shown."""
    members = engine.gather(histories)
    if lots:
        members = [replace(one, lot=lot) for one, lot in zip(members, lots, strict=True)]
    start, seen = START, []
    for number in range(rounds):
        recipe = Recipe(rounds=1, local_steps=local_steps, seed=number)
        fitted = [flat(engine.fit_member(one, recipe=recipe, start=start)) for one in members]
        change = np.mean(fitted, axis=0) - flat(start)
        seen.append(change)
        start = moved(start, change)
    return np.concatenate(seen)


# --- membership: was this request made? ---


def by_recomputing(*, trials: int, others: int) -> float:
    """Nothing but the request is unknown: train both ways and see which update it was."""
    right = 0
    for trial in range(trials):
        known = [history_of(series(1000 * trial + n)) for n in range(1, others + 1)]
        counts, is_there = series(1000 * trial), trial % 2 == 1
        without, with_it = (
            updates_of([history_of(one), *known], rounds=1, local_steps=20)
            for one in (counts, with_request(counts))
        )
        seen = with_it if is_there else without
        says_there = np.linalg.norm(seen - with_it) < np.linalg.norm(seen - without)
        right += says_there == is_there
    return 2 * right / trials - 1


def by_cell(*, epsilon: float, trials: int, seed: int = 0) -> float:
    """The noised counts lie open: the best test looks at the request's own cell."""
    random, counts = np.random.default_rng(seed), series(0)
    cell = counts[DAY_OF_REQUEST]
    alarms = [
        float(np.mean(with_noise(np.full(trials, value), epsilon=epsilon, random=random) > cell))
        for value in (cell, cell + 1)
    ]
    return alarms[1] - alarms[0]


def by_shadows(world: Callable[[Row, np.random.Generator], Row], *, trials: int) -> float:
    """Something else is unknown too (`world` draws it): learn from shadows where a request shows.

    The direction in which it moves the updates is learnt from pairs that differ in the request
    alone, the threshold from half of the trials; judged on the other half.
    """
    counts = series(0)
    both = (counts, with_request(counts))
    pairs = [
        [world(one, np.random.default_rng([1, n])) for one in both] for n in range(trials // 2)
    ]
    direction = np.mean([there - without for without, there in pairs], axis=0)
    scores = np.array(
        [
            [direction @ world(one, np.random.default_rng([2 + side, n])) for n in range(trials)]
            for side, one in enumerate(both)
        ]
    )
    half = trials // 2
    cuts = np.sort(scores[:, :half].ravel())
    gains = [_advantage(scores[:, :half], float(cut)) for cut in cuts]
    return _advantage(scores[:, half:], float(cuts[int(np.argmax(gains))]))


def _advantage(scores: Row, cut: float) -> float:
    without, there = (scores >= cut).mean(axis=1)
    return float(there - without)


def noised_world(epsilon: float) -> Callable[[Row, np.random.Generator], Row]:
    """The updates over some rounds of one community whose counts were noised once."""

    def world(counts: Row, random: np.random.Generator) -> Row:
        history = history_of(with_noise(counts, epsilon=epsilon, random=random), epsilon=epsilon)
        return updates_of([history], rounds=ROUNDS, local_steps=20)

    return world


def summed_world(counts: Row, random: np.random.Generator) -> Row:
    """The sum over four communities of which three are not known, on exact counts."""
    others = [history_of(series(int(random.integers(2**31)))) for _ in range(OTHERS)]
    return updates_of([history_of(counts), *others], rounds=ROUNDS, local_steps=20)


def by_gauss(*, multiplier: float) -> float:
    """Updates clipped and the sum noised: the best test between two Gaussians, in closed form."""
    recipe = Recipe(rounds=1, local_steps=20)
    bound = norm_bound(recipe, round_number=1, factor=5.0)
    without, there = (
        clipped_to(updates_of([history_of(one)], rounds=1, local_steps=20), norm_max=bound)[0]
        for one in (series(0), with_request(series(0)))
    )
    shift = float(np.linalg.norm(there - without)) / (multiplier * bound)
    return math.erf(shift / (2 * math.sqrt(2)))


# --- reconstruction: what was each day? ---


def rebuilt(
    observed: Row, guesses: Sequence[Row], *, local_steps: int, lots: Sequence[int], rounds: int
) -> list[Row]:
    """Every community's series, by fitting all of them to one observed update at once.

    Levenberg and Marquardt's method on the real training program, slopes by differences.
    """

    def one(index: int, counts: Row) -> Row:
        found = updates_of(
            [history_of(counts)], rounds=1, local_steps=local_steps, lots=[lots[index]]
        )
        return found / len(guesses)

    found = [guess.copy() for guess in guesses]
    parts = [one(index, counts) for index, counts in enumerate(found)]
    residual, damping = observed - np.sum(parts, axis=0), DAMPING
    for _ in range(rounds):
        slopes = np.concatenate([_slopes(one, n, found[n], parts[n]) for n in range(len(found))])
        normal, pull = slopes @ slopes.T, slopes @ residual
        for _try in range(TRIES):
            scaled = normal + damping * np.diag(np.diag(normal) + 1e-12)
            steps = np.split(np.linalg.solve(scaled, pull), len(found))
            tried = [np.maximum(a + step, 0) for a, step in zip(found, steps, strict=True)]
            new_parts = [one(index, counts) for index, counts in enumerate(tried)]
            new_residual = observed - np.sum(new_parts, axis=0)
            if new_residual @ new_residual < residual @ residual:
                found, parts, residual = tried, new_parts, new_residual
                damping /= 5
                break
            damping *= 5
    return found


def _slopes(one: Callable[[int, Row], Row], index: int, counts: Row, part: Row) -> Row:
    rows = [(one(index, counts + STEP * day) - part) / STEP for day in np.eye(DAYS)]
    return np.stack(rows)


def weekday_means(counts: Row) -> Row:
    """What many know anyway: how busy each weekday is."""
    return np.array([counts[day % 7 :: 7].mean() for day in range(DAYS)])


def agreement(found: Row, counts: Row) -> tuple[float, float]:
    """Correlation with the true days, and the share of days that are exactly right."""
    return float(np.corrcoef(found, counts)[0, 1]), float(np.mean(np.rint(found) == counts))


def rebuild_one(*, local_steps: int, rounds: int, epsilon: float | None = None) -> list[float]:
    """From one update of one community: correlation and share of exact days, then a guess's."""
    counts = series(1)
    trained_on = counts
    if epsilon:
        trained_on = np.maximum(
            with_noise(counts, epsilon=epsilon, random=np.random.default_rng(5)), 0
        )
    lots = [lot_of(history_of(trained_on))]
    seen = updates_of([history_of(trained_on)], rounds=1, local_steps=local_steps, lots=lots)
    guess = weekday_means(counts)
    (found,) = rebuilt(seen, [guess], local_steps=local_steps, lots=lots, rounds=rounds)
    return [*agreement(found, counts), *agreement(guess, counts)]


def rebuild_from_sum(*, rounds: int) -> list[float]:
    """From the sum of four updates: means over the four, then those of the guesses."""
    each = [series(n) for n in range(1, OTHERS + 2)]
    histories = [history_of(counts) for counts in each]
    lots = [lot_of(one) for one in histories]
    seen = updates_of(histories, rounds=1, local_steps=1, lots=lots)
    guesses = [weekday_means(counts) for counts in each]
    found = rebuilt(seen, guesses, local_steps=1, lots=lots, rounds=rounds)
    pairs = [
        (*agreement(one, counts), *agreement(guess, counts))
        for one, guess, counts in zip(found, guesses, each, strict=True)
    ]
    return [float(value) for value in np.mean(pairs, axis=0)]


def membership(*, trials: int) -> list[Finding]:
    """The attacker's advantage on one request, without protection and with each."""
    lines: list[tuple[str, float, float | None]] = [
        (
            "exact counts, one update in the clear",
            by_recomputing(trials=trials // 4, others=0),
            None,
        ),
        (
            "exact counts, secure sum of 4, the other 3 known too",
            by_recomputing(trials=trials // 8, others=OTHERS),
            None,
        ),
        (
            f"exact counts, secure sum of 4, {ROUNDS} rounds, others unknown",
            by_shadows(summed_world, trials=trials),
            None,
        ),
    ]
    for epsilon in (2.0, 1.0, 0.5):
        limit = math.tanh(epsilon / 2)
        seen = f"noised counts themselves, epsilon {epsilon:g} (any number of rounds)"
        lines.append((seen, by_cell(epsilon=epsilon, trials=100_000), limit))
    for epsilon in (2.0, 1.0):
        seen = f"updates of {ROUNDS} rounds on noised counts, epsilon {epsilon:g}"
        advantage = by_shadows(noised_world(epsilon), trials=trials)
        lines.append((seen, advantage, math.tanh(epsilon / 2)))
    for multiplier in (1.0, 8.0):
        seen = f"exact counts, clipped and noised sum, multiplier {multiplier:g}, 1 round"
        lines.append((seen, by_gauss(multiplier=multiplier), None))
    return [Finding("membership", *line) for line in lines]


def reconstruction(*, rounds: int, is_long: bool) -> list[Finding]:
    """How well the daily series comes back: the correlation beside a guess by weekday."""
    cases = [
        ("exact counts, update of 1 step", rebuild_one(local_steps=1, rounds=rounds)),
        (
            "noised counts, epsilon 1, update of 1 step",
            rebuild_one(local_steps=1, rounds=rounds, epsilon=1.0),
        ),
    ]
    if is_long:
        cases += [
            ("exact counts, update of 20 steps", rebuild_one(local_steps=20, rounds=rounds)),
            ("exact counts, secure sum of 4, 1 step", rebuild_from_sum(rounds=rounds)),
        ]
    return [
        Finding(attack, seen, found[at], found[at + 2])
        for seen, found in cases
        for at, attack in ((0, "series: corr."), (1, "series: exact"))
    ]


def main() -> None:
    """Print the whole table."""
    sys.stdout.write(f"{'attack':16} {'what is seen':58} {'':>6} {'bound/guess':>8}\n")
    for finding in (*membership(trials=200), *reconstruction(rounds=30, is_long=True)):
        sys.stdout.write(f"{finding}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
