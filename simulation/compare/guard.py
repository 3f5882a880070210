"""What each community would do with the federated model: adopt it, unless it is clearly worse.

Judged as a node judges: on the validation weeks, with a model trained on the days before them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from federation import engine
from federation.data import History
from federation.forecasts import Point, by_model, mean8, targets_of
from federation.recipe import Recipe
from simulation.compare.arms import Bench
from simulation.compare.protocol import Protocol

if TYPE_CHECKING:
    from simulation.compare.study import Arm

CLEARLY_WORSE = 1.05  # times mean8's error: 8 weeks are few, and a strict guard costs 0.5-2 %


@dataclass(frozen=True)
class Verdict:
    """Who adopts what, and whether that was right on the test weeks."""

    adopted: Mapping[str, str]  # community -> federated or mean8
    total_mae: float  # on the test, each community by what it adopted
    no_worse_share: float  # of communities, than the 8-week mean, on the test
    no_worse_unguarded_share: float

    def as_json(self) -> dict[str, Any]:
        return {
            "total_mae": round(self.total_mae, 5),
            "no_worse_than_mean8": round(self.no_worse_share, 4),
            "no_worse_than_mean8_unguarded": round(self.no_worse_unguarded_share, 4),
            "fell_back": sorted(name for name, arm in self.adopted.items() if arm == "mean8"),
        }


def verdicts(bench: Bench, arms: Mapping[str, "Arm"]) -> Verdict | None:
    """Every community's decision; None where the history leaves no validation weeks."""
    before = bench.protocol.before()
    if before is None:
        return None
    known = [before.known(history) for history in bench.panel.histories]
    model = by_model(engine.federate(known, recipe=Recipe()).weights)
    adopted = {
        name: "federated"
        if _error(model, history, before) <= CLEARLY_WORSE * _error(mean8, history, before)
        else "mean8"
        for name, history in zip(bench.panel.communities, bench.panel.histories, strict=True)
    }
    errors = {
        arm: {
            place: float(
                np.mean([one.by_community[place]["total_mae"] for one in arms[arm].judged])
            )
            for place in adopted
        }
        for arm in ("federated", "mean8")
    }
    chosen = {place: errors[arm][place] for place, arm in adopted.items()}
    no_worse = [chosen[place] <= errors["mean8"][place] for place in adopted]
    unguarded = [errors["federated"][place] <= errors["mean8"][place] for place in adopted]
    return Verdict(
        adopted,
        float(np.mean(list(chosen.values()))),
        float(np.mean(no_worse)),
        float(np.mean(unguarded)),
    )


def _error(point: Point, history: History, protocol: Protocol) -> float:
    miss = point(history, protocol.origins)[-1] - targets_of(history, protocol.origins)[-1]
    return float(np.abs(miss).mean())
