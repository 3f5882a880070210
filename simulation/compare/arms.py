"""The arms: each learns what it may, forecasts every community's test weeks, and says its price."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from federation import engine, forecasts, weights
from federation.data import Days, History
from federation.engine import Member, OnRound
from federation.forecasts import Forecasts, Point, by_model, with_spread
from federation.home import at_scale, half_way
from federation.loop import Federated
from federation.recipe import CENTRAL_STEPS, HOME, LOCAL_STEPS, PRIVATE_ROUNDS, Recipe
from federation.weights import Weights
from simulation.compare.noise import noised
from simulation.compare.protocol import Protocol
from simulation.compare.tables import Panel
from simulation.compare.weather import Weather

FOLDS = 4  # of the zero-shot arm: each quarter of the communities is held out once
TREES = 100
MODEL_BYTES = weights.size_bytes(weights.initial_weights(0))

Federate = Callable[[Sequence[History], Recipe, OnRound | None], Federated]


@dataclass(frozen=True)
class Bench:
    """What all arms share: the panel, its test, and the windows of the days before, built once."""

    panel: Panel
    protocol: Protocol
    members: tuple[Member, ...]
    weather: Weather | None
    federate: Federate | None  # another engine than the fast one

    @classmethod
    def of(
        cls,
        panel: Panel,
        protocol: Protocol,
        *,
        weather: Weather | None = None,
        federate: Federate | None = None,
    ) -> "Bench":
        known = [protocol.known(history) for history in panel.histories]
        return cls(panel, protocol, tuple(engine.gather(known)), weather, federate)

    @property
    def known(self) -> list[History]:
        return [self.protocol.known(history) for history in self.panel.histories]

    def forecast(self, points: Sequence[Point]) -> list[Forecasts]:
        """Each community's test weeks by its own point forecast."""
        protocol = self.protocol
        return [
            with_spread(point, history, protocol.origins, first_test_day=protocol.first_test_day)
            for point, history in zip(points, self.panel.histories, strict=True)
        ]

    def trained(self, recipe: Recipe, on_round: OnRound | None = None) -> Weights:
        """The federated model of all communities."""
        if self.federate:
            return self.federate(self.known, recipe, on_round).weights
        return engine.federate_members([self.members], recipe=recipe, on_round=on_round).weights


@dataclass(frozen=True)
class Result:
    """What an arm forecast, and the bytes that crossed each community's door for it."""

    points: Sequence[Point]
    bytes_per_community: int = 0


def lag7(bench: Bench, seed: int) -> Result:
    return Result([forecasts.lag7] * len(bench.members))


def mean8(bench: Bench, seed: int) -> Result:
    return Result([forecasts.mean8] * len(bench.members))


def seed_forest(bench: Bench, seed: int) -> Result:
    """The forest that the project started from: calendar and weather, no memory of the counts."""
    return Result([_forest(bench, history, seed) for history in bench.panel.histories])


def _forest(bench: Bench, history: History, seed: int) -> Point:
    from sklearn.ensemble import RandomForestRegressor  # type: ignore[import-untyped] # no types

    calendar = _calendar(history, bench.weather)
    first = bench.protocol.first_test_day
    found = []
    for series in history.counts:
        forest = RandomForestRegressor(n_estimators=TREES, random_state=seed)
        found.append(forest.fit(calendar[:first], series[:first]).predict(calendar))
    daily = np.stack(found)

    def point(history: History, origins: Days) -> NDArray[np.float64]:
        return daily[:, origins[:, None] + np.arange(1, 8)]

    return point


def _calendar(history: History, weather: Weather | None) -> NDArray[np.float64]:
    """(days, 2 or 4): weekday and month, with temperature and holiday where a file gives them."""
    start = np.datetime64(history.first_day) + np.arange(history.days)
    weekday = (history.first_day.weekday() + np.arange(history.days)) % 7
    month = start.astype("datetime64[M]").astype(int) % 12
    columns = np.stack([weekday, month], axis=1).astype(np.float64)
    return np.hstack([columns, weather.columns(history)]) if weather else columns


def local(bench: Bench, seed: int) -> Result:
    """Each community on its own data: the same network, recipe, steps and rounds as together."""
    return Result(_alone(bench, Recipe(seed=seed)))


def local_half(bench: Bench, seed: int) -> Result:
    """As `local`, with half the steps a round: one history is soon learnt by heart."""
    return Result(_alone(bench, Recipe(local_steps=LOCAL_STEPS, seed=seed)))


def local_early(bench: Bench, seed: int) -> Result:
    """The best a node does alone: as `local_half`, and then set to the height of its own weeks, as
    it does with the common model."""
    alone = local_half(bench, seed).points
    return Result([at_scale(one, known) for one, known in zip(alone, bench.known, strict=True)])


def _alone(bench: Bench, recipe: Recipe) -> list[Point]:
    return [by_model(engine.fit_member(member, recipe=recipe)) for member in bench.members]


def centralised(bench: Bench, seed: int) -> Result:
    """All days of all communities in one place: what federating must not be worse than."""
    recipe = Recipe(local_steps=CENTRAL_STEPS, seed=seed)
    fitted = engine.fit_member(engine.pooled(bench.members), recipe=recipe)
    raw = int(np.mean([history.counts[:-1].size for history in bench.known])) * 4
    return Result([by_model(fitted)] * len(bench.members), raw)


def federated(bench: Bench, seed: int, on_round: OnRound | None = None) -> Result:
    recipe = Recipe(seed=seed)
    fitted = bench.trained(recipe, on_round)
    return Result(at_home(fitted, bench.members, bench.known, seed=seed), bytes_of(recipe))


def at_home(
    shared: Weights, members: Sequence[Member], known: Sequence[History], *, seed: int
) -> list[Point]:
    """Each community's own forecast from the common model, as its node makes it."""
    recipe, points = replace(HOME, seed=seed), []
    for member, history in zip(members, known, strict=True):
        tuned = engine.fit_member(member, recipe=recipe, start=shared)
        points.append(at_scale(by_model(half_way(shared, tuned)), history))
    return points


def federated_private(bench: Bench, seed: int, *, epsilon: float) -> Result:
    """Trained on counts that carry noise; at home tuned half-way and asked with the exact ones."""
    recipe = Recipe(rounds=PRIVATE_ROUNDS, seed=seed)
    random = np.random.default_rng([seed, round(epsilon * 1000)])
    members = engine.gather([noised(one, epsilon=epsilon, random=random) for one in bench.known])
    shared = engine.federate_members([members], recipe=recipe).weights
    return Result(at_home(shared, bench.members, bench.known, seed=seed), bytes_of(recipe))


def zero_shot(bench: Bench, seed: int) -> Result:
    """Each community is forecast by a model that never saw it, at the height of its own weeks, as
    a node asks a model in whose training it had no part."""
    plain = zero_shot_plain(bench, seed)
    points = [at_scale(one, known) for one, known in zip(plain.points, bench.known, strict=True)]
    return Result(points, plain.bytes_per_community)


def zero_shot_plain(bench: Bench, seed: int) -> Result:
    """As `zero_shot`, and nothing at all learnt at home."""
    recipe, count = Recipe(seed=seed), len(bench.members)
    folds = np.random.default_rng(seed).permutation(count) % min(FOLDS, count)
    fitted = {}
    for fold in sorted(set(folds.tolist())):
        others = [member for member, own in zip(bench.members, folds, strict=True) if own != fold]
        fitted[fold] = engine.federate_members([others], recipe=recipe).weights
    return Result([by_model(fitted[fold]) for fold in folds.tolist()], MODEL_BYTES)


def bytes_of(recipe: Recipe) -> int:
    """The model in and the update out, every round; without the wire's framing."""
    return 2 * MODEL_BYTES * recipe.rounds


ARMS: Mapping[str, Callable[..., Result]] = {
    "lag7": lag7,
    "mean8": mean8,
    "seed_forest": seed_forest,
    "local": local,
    "local_half": local_half,
    "local_early": local_early,
    "centralised": centralised,
    "federated": federated,
    "federated_private": federated_private,
    "zero_shot": zero_shot,
    "zero_shot_plain": zero_shot_plain,
}
UNSEEDED = ("lag7", "mean8")
TOGETHER = (  # need two communities
    "centralised",
    "federated",
    "federated_private",
    "zero_shot",
    "zero_shot_plain",
)
