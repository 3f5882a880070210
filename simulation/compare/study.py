"""One comparison from a panel to figures: every arm under every seed, then guard and cold start."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from federation import engine
from federation.data import HISTORY_DAYS_MIN, HORIZON_DAYS
from federation.forecasts import Point, by_model, targets_of
from federation.recipe import LOCAL_STEPS, Recipe
from federation.weights import Weights
from simulation.compare.arms import ARMS, TOGETHER, UNSEEDED, Bench, Federate, Result
from simulation.compare.guard import Verdict, verdicts
from simulation.compare.protocol import METRICS, Judged, Protocol, judge
from simulation.compare.tables import Note, Panel
from simulation.compare.weather import Weather
from simulation.refusals import ArmImpossible

COLD_START_DAYS = (60, 120, 240, 480, 960)
COLD_START_COMMUNITIES_MAX = 64
FAVOURED = ("federated", "federated_private", "zero_shot", "zero_shot_plain")
OPPONENTS = ("centralised", "mean8", "local", "local_half", "local_early", "seed_forest")
ROUNDS_SHOWN = 20
EXAMPLE_DAYS_BEFORE = 28


@dataclass(frozen=True)
class Request:
    """What the reader asked for."""

    arms: tuple[str, ...]
    seeds: int
    epsilons: tuple[float, ...]


@dataclass
class Arm:
    """One arm's outcome, seed by seed."""

    judged: list[Judged] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    bytes_per_community: int = 0


@dataclass(frozen=True)
class Findings:
    """All that the table, the page and the JSON are made of."""

    panel: Panel
    protocol: Protocol
    request: Request
    notes: tuple[Note, ...]
    arms: Mapping[str, Arm]  # federated_private once per epsilon, named by `private_name`
    by_round: Sequence[tuple[int, float]]  # of the first seed: round, total's error
    cold_start: Sequence[tuple[int, float]]  # days of own history, local_half's error
    guard: Verdict | None
    example: Mapping[str, Any] | None

    def arm(self, name: str) -> Arm | None:
        if name == "federated_private":
            name = private_name(self.request.epsilons[0])
        return self.arms.get(name)


def private_name(epsilon: float) -> str:
    return f"federated_private@{epsilon:g}"


Step = Callable[[str], None]  # told after each piece of work


def steps_of(request: Request) -> int:
    """How many pieces of work there will be, for a progress bar."""
    return len(_plan(request)) + 1


def compare(
    panel: Panel,
    request: Request,
    *,
    weather: Weather | None = None,
    federate: Federate | None = None,
    step: Step,
) -> Findings:
    """Run every arm; raises before any work if one that was asked for cannot be run."""
    protocol = Protocol.of(panel)
    if len(panel.communities) < 2 and (impossible := [a for a in request.arms if a in TOGETHER]):
        raise ArmImpossible(arm=impossible[0], reason="there is only one community in the panel")
    bench = Bench.of(panel, protocol, weather=weather, federate=federate)
    found: dict[str, Arm] = {}
    rounds: list[tuple[int, Weights]] = []
    example: Mapping[str, Any] | None = None
    points: Sequence[Point] = ()
    for name, arm, seed, options in _plan(request):
        if arm == "federated" and seed == 0:
            options = {**options, "on_round": _keeper(rounds)}
        started = time.perf_counter()
        result: Result = ARMS[arm](bench, seed, **options)
        forecasts = bench.forecast(result.points)
        outcome = found.setdefault(name, Arm())
        outcome.seconds.append(time.perf_counter() - started)
        outcome.judged.append(judge(panel, protocol, forecasts))
        outcome.bytes_per_community = result.bytes_per_community
        if arm == "federated" and seed == 0:
            example, points = _example(panel, protocol, forecasts), result.points
        step(name)
    guard = verdicts(bench, points) if points else None
    cold = _cold_start(bench) if {"local", "zero_shot"} <= set(request.arms) else []
    step("guard, rounds, cold start")
    notes = (*panel.notes, *protocol.notes(), *_own_notes(request, weather))
    by_round = [(number, _total_error(bench, weights)) for number, weights in rounds]
    return Findings(panel, protocol, request, notes, found, by_round, cold, guard, example)


def _plan(request: Request) -> list[tuple[str, str, int, dict[str, Any]]]:
    """(name, arm, seed, options) of every run, in the order of the table."""
    plan: list[tuple[str, str, int, dict[str, Any]]] = []
    for arm in (arm for arm in ARMS if arm in request.arms):
        for seed in range(1 if arm in UNSEEDED else request.seeds):
            if arm == "federated_private":
                for epsilon in request.epsilons:
                    plan.append((private_name(epsilon), arm, seed, {"epsilon": epsilon}))
            else:
                plan.append((arm, arm, seed, {}))
    return plan


def _own_notes(request: Request, weather: Weather | None) -> list[Note]:
    if "seed_forest" in request.arms and weather is None:
        return [Note("no --weather file: the seed's forest knows weekday and month only", 1)]
    return []


def _keeper(rounds: list[tuple[int, Weights]]) -> engine.OnRound:
    """Keeps the global model of some rounds, evenly spread, to be judged afterwards."""
    every = max(1, Recipe().rounds // ROUNDS_SHOWN)

    def keep(number: int, weights: Weights, loss: float) -> None:
        if number == 1 or number % every == 0:
            rounds.append((number, weights))

    return keep


def _total_error(bench: Bench, weights: Weights) -> float:
    origins, point = bench.protocol.origins, by_model(weights)
    errors = [
        np.abs(point(history, origins)[-1] - targets_of(history, origins)[-1]).mean()
        for history in bench.panel.histories
    ]
    return float(np.mean(errors))


def _cold_start(bench: Bench) -> list[tuple[int, float]]:
    """`local_half`'s error where a community has only its last so many days to learn from."""
    protocol = bench.protocol
    histories = bench.panel.histories[:COLD_START_COMMUNITIES_MAX]
    lengths = [days for days in COLD_START_DAYS if days < protocol.first_test_day]
    found = []
    for days in [*lengths, protocol.first_test_day]:
        assert days >= HISTORY_DAYS_MIN
        young = [history.since(protocol.first_test_day - days) for history in histories]
        recipe, origins = Recipe(local_steps=LOCAL_STEPS), days - 1 + 7 * np.arange(protocol.weeks)
        errors = []
        for history, member in zip(
            young, engine.gather([one.until(days) for one in young]), strict=True
        ):
            point = by_model(engine.fit_member(member, recipe=recipe))
            miss = point(history, origins)[-1] - targets_of(history, origins)[-1]
            errors.append(np.abs(miss).mean())
        found.append((days, float(np.mean(errors))))
    return found


def _example(panel: Panel, protocol: Protocol, forecasts: Sequence[Any]) -> dict[str, Any]:
    """A usual community's first test weeks: what came and what the federated model said."""
    busy = np.array([history.counts[-1].mean() for history in panel.histories])
    place = int(np.argmin(np.abs(busy - busy.mean())))
    history, weeks = panel.histories[place], min(protocol.weeks, 3)
    first = protocol.first_test_day
    last = first + weeks * HORIZON_DAYS
    start = max(0, first - EXAMPLE_DAYS_BEFORE)
    return {
        "community": panel.communities[place],
        "first_day": history.first_day.toordinal() + start,
        "came": [int(count) for count in history.counts[-1, start:last]],
        "forecast_from": first - start,
        "mean": forecasts[place].mean[-1, :weeks].reshape(-1).tolist(),
        "low": forecasts[place].quantiles[0, -1, :weeks].reshape(-1).tolist(),
        "high": forecasts[place].quantiles[2, -1, :weeks].reshape(-1).tolist(),
    }


def summary(findings: Findings) -> dict[str, Any]:
    """The comparison for machines: means over seeds, with their spread beside them."""
    listed: dict[str, Any] = {}
    for arm in (arm for arm in ARMS if arm in findings.request.arms):
        outcome = findings.arm(arm)
        assert outcome is not None
        listed[arm] = _arm_json(outcome)
        if arm == "federated_private":
            by_epsilon = {
                f"{epsilon:g}": _arm_json(findings.arms[private_name(epsilon)])
                for epsilon in findings.request.epsilons
            }
            listed[arm] |= {"epsilon": findings.request.epsilons[0], "by_epsilon": by_epsilon}
    return {
        "panel": findings.panel.label,
        "protocol": {
            **findings.protocol.as_json(findings.panel),
            "seeds": findings.request.seeds,
            "notes": [str(note) for note in findings.notes],
        },
        "arms": listed,
        "ratios": _ratios(listed),
        "guard": findings.guard.as_json() if findings.guard else None,
    }


def _ratios(listed: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Each learned arm's total error over each of the others': below 1, it earned its place."""
    errors = {arm: figures["total_mae"] for arm, figures in listed.items()}
    return {
        mine: {
            other: round(errors[mine] / errors[other], 4)
            for other in OPPONENTS
            if other in errors and other != mine and errors[other]
        }
        for mine in FAVOURED
        if mine in errors
    }


def _arm_json(arm: Arm) -> dict[str, Any]:
    values = {name: [one.figures[name] for one in arm.judged] for name in METRICS}
    places = arm.judged[0].by_community
    return {
        **{name: round(float(np.mean(figures)), 5) for name, figures in values.items()},
        "seconds": round(float(np.mean(arm.seconds)), 3),
        "bytes_per_community": arm.bytes_per_community,
        "spread": {
            name: [round(min(figures), 5), round(max(figures), 5)]
            for name, figures in values.items()
        },
        "by_community": {
            place: {
                name: round(
                    float(np.mean([one.by_community[place][name] for one in arm.judged])), 5
                )
                for name in figures
            }
            for place, figures in places.items()
        },
    }
