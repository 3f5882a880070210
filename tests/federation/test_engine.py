"""The fast engine gives the plain loop's weights, whatever is held in memory at once."""

import numpy as np
import pytest

from federation import engine, loop, step
from federation.data import TOTAL, History
from federation.recipe import LOG_MULTIPLIER_MAX, Recipe
from federation.weights import Weights
from simulation.city import CATEGORIES, FIRST_DAY, grow
from simulation.compare.noise import noised

RECIPE = Recipe(rounds=5, local_steps=20)
DIFFERENCE_MAX = 1e-5


@pytest.fixture(scope="module")
def histories() -> list[History]:
    """Communities of different lengths and very different sizes, one of them silent."""
    city = grow(communities=6, days=460, seed=11)
    counts = [np.vstack([one, one.sum(axis=0)]).astype(np.float32) for one in city.counts]
    counts[1] = counts[1][:, :150]
    counts[2] = counts[2] * 40
    counts[3] = np.zeros_like(counts[3])
    return [History(FIRST_DAY, (*CATEGORIES, TOTAL), one) for one in counts]


def difference(one: Weights, other: Weights) -> float:
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def test_the_engine_gives_the_plain_loops_weights(histories: list[History]) -> None:
    fast = engine.federate(histories, recipe=RECIPE)
    plain = loop.federate(histories, recipe=RECIPE)
    assert difference(fast.weights, plain.weights) <= DIFFERENCE_MAX
    np.testing.assert_allclose(fast.train_loss, plain.train_loss, rtol=1e-4)


def test_noised_counts_are_learnt_alike(histories: list[History]) -> None:
    random = np.random.default_rng(0)
    noisy = [noised(history, epsilon=0.5, random=random) for history in histories[:3]]
    recipe = Recipe(rounds=3)
    fast, plain = engine.federate(noisy, recipe=recipe), loop.federate(noisy, recipe=recipe)
    assert difference(fast.weights, plain.weights) <= DIFFERENCE_MAX


@pytest.mark.parametrize("held_max", [1, 2, 4, 5])
def test_the_weights_do_not_depend_on_the_chunk(histories: list[History], held_max: int) -> None:
    recipe = Recipe(rounds=2)
    whole = engine.federate(histories, recipe=recipe)
    parts = engine.federate(histories, recipe=recipe, held_max=held_max)
    assert difference(whole.weights, parts.weights) == 0
    assert whole.train_loss == parts.train_loss


def test_one_member_alone_is_a_federation_of_one(histories: list[History]) -> None:
    (member,) = engine.gather(histories[:1])
    alone = engine.fit_member(member, recipe=RECIPE)
    together = engine.federate(histories[:1], recipe=RECIPE).weights
    assert difference(alone, together) <= 1e-6


def test_pooled_members_are_all_their_windows(histories: list[History]) -> None:
    members = engine.gather(histories)
    pool = engine.pooled(members)
    assert len(pool) == sum(len(member) for member in members)
    assert (pool.features[-1] == members[-1].features[-1]).all()


def test_a_recipes_constants_reach_the_compiled_step(histories: list[History]) -> None:
    """A cached machine code that kept an older constant would learn something else."""
    members = [engine.gather(histories[:2])]
    usual = engine.federate_members(members, recipe=Recipe(rounds=1)).weights
    rules, engine.RULES = engine.RULES, engine.RULES._replace(miss_max=np.float32(0.5))
    try:
        other = engine.federate_members(members, recipe=Recipe(rounds=1)).weights
    finally:
        engine.RULES = rules
    assert difference(usual, other) > DIFFERENCE_MAX


def test_every_round_is_told(histories: list[History]) -> None:
    told: list[int] = []
    engine.federate(
        histories[:2],
        recipe=Recipe(rounds=3, local_steps=2),
        on_round=lambda n, w, s: told.append(n),
    )
    assert told == [1, 2, 3]


def test_the_steps_own_exponential_is_the_librarys() -> None:
    values = np.linspace(-LOG_MULTIPLIER_MAX, LOG_MULTIPLIER_MAX, 10_001, dtype=np.float32)
    mine = np.array([step._exp(value) for value in values])
    np.testing.assert_allclose(mine, np.exp(values.astype(np.float64)), rtol=1e-6)
