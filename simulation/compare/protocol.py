"""Who is asked what, when, and how an answer is judged: the same for every arm.

Targets are the seven days after each of 13 weekly origins, the last 91 days. Learned models are
fitted once, on the days before; then only their inputs roll. Validation, where an arm needs it, is
on the 8 weekly origins whose targets end where the test begins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from federation.data import HISTORY_DAYS_MIN, HORIZON_DAYS, Days, History
from federation.forecasts import Forecasts, targets_of
from federation.metrics import Array, pinball
from simulation.compare.tables import Note, Panel
from simulation.refusals import PanelTooShort

TEST_WEEKS = 13
VALIDATION_WEEKS = 8
TRIMMED_FROM = 40  # requests a day: what is that large was typed in later than it came
METRICS = (
    "total_mae",
    "total_mase",
    "total_pinball",
    "total_mae_trimmed",
    "category_mae",
    "category_pinball",
    "bias",
)


@dataclass(frozen=True)
class Protocol:
    """Where the test begins and which origins are asked."""

    weeks: int
    first_test_day: int

    @classmethod
    def of(cls, panel: Panel) -> "Protocol":
        weeks = min(TEST_WEEKS, (panel.days - HISTORY_DAYS_MIN) // HORIZON_DAYS)
        if weeks < 1:
            raise PanelTooShort(
                file=panel.label, days=panel.days, needed=HISTORY_DAYS_MIN + HORIZON_DAYS
            )
        return cls(weeks, panel.days - weeks * HORIZON_DAYS)

    @property
    def origins(self) -> Days:
        return self.first_test_day - 1 + HORIZON_DAYS * np.arange(self.weeks)

    def before(self) -> "Protocol | None":
        """The validation weeks; None if too little would be left to learn from."""
        first = self.first_test_day - VALIDATION_WEEKS * HORIZON_DAYS
        return Protocol(VALIDATION_WEEKS, first) if first >= HISTORY_DAYS_MIN else None

    def known(self, history: History) -> History:
        """What was known on the morning of the first test day."""
        return history.until(self.first_test_day)

    def notes(self) -> tuple[Note, ...]:
        if self.weeks == TEST_WEEKS:
            return ()
        return (Note("the history is short: test weeks used instead of 13", self.weeks),)

    def as_json(self, panel: Panel) -> dict[str, Any]:
        first = panel.histories[0].first_day
        return {
            "horizon_days": HORIZON_DAYS,
            "origins": self.weeks,
            "first_test_day": (first + timedelta(days=self.first_test_day)).isoformat(),
            "last_test_day": panel.histories[0].last_day.isoformat(),
            "first_day": first.isoformat(),
            "communities": len(panel.communities),
            "categories": list(panel.categories),
            "trimmed_from": TRIMMED_FROM,
        }


@dataclass(frozen=True)
class Judged:
    """One arm's errors under one seed, as averages and as they lie."""

    figures: Mapping[str, float]  # by METRICS
    by_community: Mapping[str, Mapping[str, float]]
    by_origin: tuple[float, ...]  # total's mean absolute error week by week
    coverage: tuple[float, float, float]  # share of days at or below q10, q50, q90


def judge(panel: Panel, protocol: Protocol, forecasts: Sequence[Forecasts]) -> Judged:
    """Every community counts alike, whatever its size."""
    origins = protocol.origins
    came = np.stack([targets_of(history, origins) for history in panel.histories])  # C,S,O,7
    mean = np.stack([one.mean for one in forecasts])
    quantiles = np.stack([one.quantiles for one in forecasts], axis=1)  # 3,C,S,O,7
    miss = np.abs(came - mean)
    usual = np.array([_usual_step(protocol.known(history)) for history in panel.histories])
    median_miss = np.abs(came - quantiles[1])[:, -1].mean(axis=(1, 2))
    figures = {
        "total_mae": float(miss[:, -1].mean()),
        "total_mase": float((median_miss / usual).mean()),
        "total_pinball": pinball(came[:, -1], quantiles[:, :, -1]),
        "total_mae_trimmed": float(miss[:, -1][came[:, -1] < TRIMMED_FROM].mean()),
        "category_mae": float(miss[:, :-1].mean()),
        "category_pinball": pinball(came[:, :-1], quantiles[:, :, :-1]),
        "bias": float((mean - came)[:, -1].mean()),
    }
    by_community = {
        name: _figures_of(came[index], mean[index], quantiles[:, index])
        for index, name in enumerate(panel.communities)
    }
    by_origin = tuple(float(error) for error in miss[:, -1].mean(axis=(0, 2)))
    low, middle, high = (came[:, -1] <= quantiles[:, :, -1]).mean(axis=(1, 2, 3))
    return Judged(figures, by_community, by_origin, (float(low), float(middle), float(high)))


def _figures_of(came: Array, mean: Array, quantiles: Array) -> dict[str, float]:
    return {
        "total_mae": float(np.abs(came - mean)[-1].mean()),
        "total_pinball": pinball(came[-1], quantiles[:, -1]),
        "category_mae": float(np.abs(came - mean)[:-1].mean()),
        "bias": float((mean - came)[-1].mean()),
    }


def _usual_step(known: History) -> float:
    """MASE's unit: how far the total lay from a week earlier, before the test."""
    total = known.counts[-1].astype(np.float64)
    return max(float(np.abs(total[7:] - total[:-7]).mean()), 1e-6)
