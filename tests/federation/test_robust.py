"""A malicious community, and what each protection leaves of it; `pytest -s` prints the figures.

Eight communities, one of which (then two) sends a bad update in every round. The error is the mean
absolute one on days that nobody trained on, divided by that of a run in which all are honest.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from federation import robust
from federation import weights as weights_of
from federation.data import History, Windows, build_windows
from federation.errors import RunConfigInvalid
from federation.forecasts import ask
from federation.recipe import Recipe
from federation.robust import STRATEGIES
from federation.secagg import fixed_point
from federation.train import Pupil
from federation.updates import NUMBERS, fingerprint, flat, moved, norm_bound
from federation.weights import Weights
from tests.federation.conftest import CATEGORIES, FIRST_DAY

RECIPE = Recipe(rounds=2, local_steps=25, learning_rate=6e-3, seed=1)
NORM_FACTOR = 5.0
COMMUNITIES = 8
DAYS, KEPT_ASIDE = 120, 21
Row = NDArray[np.float64]
Attack = Callable[[Row, int], Row]  # the honest change and a seed -> what is sent

ATTACKS: dict[str, Attack] = {
    "scaled": lambda change, _: 100 * change,
    "flipped": lambda change, _: -5 * change,
    "random": lambda change, seed: np.random.default_rng(seed).normal(size=len(change)),
}


@pytest.fixture(scope="module")
def histories() -> list[History]:
    return [community(seed) for seed in range(COMMUNITIES)]


class Class:
    """All communities, learning honestly; what they learnt from the same start is remembered."""

    def __init__(self, histories: Sequence[History]) -> None:
        self._pupils = [Pupil.of(history.until(DAYS - KEPT_ASIDE)) for history in histories]
        self._learnt: dict[bytes, list[Weights]] = {}

    def updates(self, weights: Weights, number: int) -> list[Weights]:
        key = fingerprint(weights, {"round": number})
        if key not in self._learnt:
            self._learnt[key] = [
                pupil.take_round(weights, recipe=RECIPE, round_number=number).weights
                for pupil in self._pupils
            ]
        return list(self._learnt[key])


def community(seed: int) -> History:
    random = np.random.default_rng(seed)
    weekday = [(FIRST_DAY + timedelta(days=day)).weekday() for day in range(DAYS)]
    rhythm = np.where(np.array(weekday) >= 5, 0.2, 1.0) * 2.0 ** (seed % 3)
    rows = np.stack([random.poisson(rhythm * (1.5 + n)) for n in range(len(CATEGORIES))])
    counts = np.vstack([rows, rows.sum(axis=0)]).astype(np.float32)
    return History(FIRST_DAY, (*CATEGORIES, "total"), counts)


def trained(
    communities: Class,
    average: Callable[[Weights, list[Weights], int], Weights],
    *,
    attack: Attack | None = None,
    liars: int = 0,
) -> Weights:
    """A run in which the first communities attack in every round."""
    weights = weights_of.initial_weights(RECIPE.seed)
    for number in range(1, RECIPE.rounds + 1):
        sent = communities.updates(weights, number)
        for index in range(liars):
            assert attack is not None, "liars attack"
            change = attack(flat(sent[index]) - flat(weights), 100 * number + index)
            sent[index] = unchecked(weights, change)
        weights = average(weights, sent, number)
    return weights


def unchecked(start: Weights, change: Row) -> Weights:
    """As `moved`, for a liar who does not care whether the result is a model."""
    try:
        return moved(start, change)
    except Exception:
        return moved(start, np.clip(change, -500, 500))


def plain(_start: Weights, sent: list[Weights], _number: int) -> Weights:
    return weights_of.average([(each, 1) for each in sent])


def norm_bounded(start: Weights, sent: list[Weights], number: int) -> Weights:
    """What a secure sum comes to where each node bounds its own update, as honest apps do."""
    bound = norm_bound(RECIPE, round_number=number, factor=NORM_FACTOR)
    total = np.zeros(NUMBERS + fixed_point.COUNTERS, dtype=np.uint64)
    for each in sent:
        change, is_clipped = fixed_point.clipped_to(flat(each) - flat(start), norm_max=bound)
        total += fixed_point.encoded(fixed_point.Contribution(change, 1, 0.0, is_clipped))
    found = fixed_point.decoded(total, members=len(sent))
    assert found is not None
    return moved(start, found.mean)


def robustly(name: str) -> Callable[[Weights, list[Weights], int], Weights]:
    return lambda _start, sent, _number: STRATEGIES[name](sent)


def error(weights: Weights, exams: Sequence[Windows]) -> float:
    errors = [
        float(np.abs(ask(weights, exam) - exam.targets).mean() / exam.targets.mean())
        for exam in exams
    ]
    return float(np.mean(errors))


def test_what_is_left_of_an_attack(histories: list[History]) -> None:
    averages = {
        "mean": plain,
        "trimmed-mean": robustly("trimmed-mean"),
        "median": robustly("median"),
        "norm-bounded sum": norm_bounded,
    }
    communities = Class(histories)
    origins = np.arange(DAYS - KEPT_ASIDE - 1, DAYS - 7)
    exams = [build_windows(history, origins, with_targets=True) for history in histories]
    honest = error(trained(communities, plain), exams)
    ratios: dict[tuple[str, str, int], float] = {}
    for name, average in averages.items():
        ratios["none", name, 0] = error(trained(communities, average), exams) / honest
        for attack, change in ATTACKS.items():
            for liars in (1, 2):
                bad = trained(communities, average, attack=change, liars=liars)
                ratios[attack, name, liars] = error(bad, exams) / honest
    lines = ["error / all honest, 8 communities".ljust(35)]
    lines[0] += "".join(f"{name:>18}" for name in averages)
    for attack, liars in [("none", 0), *((a, n) for a in ATTACKS for n in (1, 2))]:
        row = "".join(f"{ratios[attack, name, liars]:18.3f}" for name in averages)
        lines.append(f"{attack}, {liars} malicious".ljust(35) + row)
    print("\n" + "\n".join(lines))  # noqa: T201 (figures)
    for name in averages:
        assert ratios["none", name, 0] < 1.05, "a protection costs little where all are honest"
    for name in ("trimmed-mean", "median"):
        for attack in ATTACKS:
            assert max(ratios[attack, name, 1], ratios[attack, name, 2]) < 1.10
    for attack in ATTACKS:
        assert ratios[attack, "norm-bounded sum", 1] < ratios[attack, "mean", 1]
    assert ratios["scaled", "mean", 1] > 1.5, "the attacks are attacks"


def test_the_middle_of_updates_is_theirs_number_by_number() -> None:
    updates = [weights_of.initial_weights(seed=seed) for seed in range(5)]
    for name in updates[0]:
        stack = np.stack([each[name] for each in updates])
        np.testing.assert_allclose(robust.median(updates)[name], np.median(stack, axis=0))
        inner = np.sort(stack, axis=0)[1:-1].mean(axis=0)
        np.testing.assert_allclose(robust.trimmed_mean(updates)[name], inner, atol=1e-6)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_liar_moves_nothing_past_the_others(strategy: str) -> None:
    same = weights_of.initial_weights(seed=0)
    wild = {name: array + 900 for name, array in same.items()}
    found = STRATEGIES[strategy]([wild, same, same, same])
    assert all((found[name] == same[name]).all() for name in same)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_of_two_nobody_can_say_who_lies(strategy: str) -> None:
    with pytest.raises(RunConfigInvalid):
        STRATEGIES[strategy]([weights_of.initial_weights(seed=0)] * 2)
