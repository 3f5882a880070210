"""What each community would do with the federated model: use it, unless it was clearly worse.

The rule is the node's (federation/evaluate.py): judged on the validation weeks, with a model that
learnt from the days before them; where it did not clearly win, some of the 8-week mean is mixed in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation import engine
from federation.data import History
from federation.evaluate import CLEARLY_BETTER, CLEARLY_WORSE, MEAN8
from federation.forecasts import Point, mean8, steadied, targets_of
from federation.recipe import Recipe
from simulation.compare.arms import Bench, at_home
from simulation.compare.protocol import Protocol


@dataclass(frozen=True)
class Verdict:
    """Who uses what, and whether that was right on the test weeks."""

    used: Mapping[str, str]  # community -> federated or mean8
    total_mae: float  # on the test, each community by what it uses
    no_worse_share: float  # of communities, than the 8-week mean, on the test
    no_worse_unguarded_share: float

    def as_json(self) -> dict[str, Any]:
        return {
            "total_mae": round(self.total_mae, 5),
            "no_worse_than_mean8": round(self.no_worse_share, 4),
            "no_worse_than_mean8_unguarded": round(self.no_worse_unguarded_share, 4),
            "fell_back": sorted(name for name, arm in self.used.items() if arm == MEAN8),
        }


def verdicts(bench: Bench, federated: Sequence[Point]) -> Verdict | None:
    """Every community's decision; None where the history leaves no validation weeks."""
    before = bench.protocol.before()
    if before is None:
        return None
    histories = bench.panel.histories
    known = [before.known(one) for one in histories]
    members = engine.gather(known)
    model = engine.federate_members([members], recipe=Recipe()).weights
    earlier = at_home(model, members, known, seed=0)
    used, errors, simple, plain = {}, [], [], []
    for name, history, point, then in zip(
        bench.panel.communities, histories, federated, earlier, strict=True
    ):
        ratio = _error(then, history, before) / max(_error(mean8, history, before), 1e-9)
        used[name] = "federated" if ratio <= CLEARLY_WORSE[MEAN8] else MEAN8
        simple.append(_error(mean8, history, bench.protocol))
        plain.append(_error(point, history, bench.protocol))
        if used[name] == MEAN8:
            errors.append(simple[-1])
        elif ratio <= CLEARLY_BETTER:
            errors.append(plain[-1])
        else:
            errors.append(_error(steadied(point), history, bench.protocol))
    return Verdict(
        used,
        float(np.mean(errors)),
        float(np.mean(np.array(errors) <= np.array(simple))),
        float(np.mean(np.array(plain) <= np.array(simple))),
    )


def _error(point: Point, history: History, protocol: Protocol) -> float:
    miss = point(history, protocol.origins)[-1] - targets_of(history, protocol.origins)[-1]
    return float(np.abs(miss).mean())
