"""Weather and holidays beside a panel, for the one arm that looks at them: the seed's forest."""

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from federation.data import History
from simulation.refusals import PanelInvalid, PanelUnreadable

TEMPERATURES = ("temperature", "tavg_c", "tmax_c")
HOLIDAY = "is_holiday"


@dataclass(frozen=True)
class Weather:
    """Temperature and holiday by day; days that the file leaves out take the mean and 0."""

    days: dict[date, tuple[float, float]]

    @classmethod
    def read(cls, path: Path) -> "Weather":
        try:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                rows = csv.DictReader(lines)
                names = rows.fieldnames or []
                column = next((name for name in TEMPERATURES if name in names), None)
                if column is None or "date" not in names or HOLIDAY not in names:
                    problem = f"the columns date, {HOLIDAY} and one of {TEMPERATURES} are needed"
                    raise PanelInvalid(file=path.name, line=1, problem=problem)
                return cls(dict(_row(path.name, rows.line_num, row, column) for row in rows))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            reason = getattr(error, "strerror", None) or "it is not CSV in UTF-8"
            raise PanelUnreadable(file=str(path), reason=reason) from error

    def columns(self, history: History) -> NDArray[np.float64]:
        """(days, 2): temperature and holiday of every day of the history."""
        first = history.first_day.toordinal()
        rows = [self.days.get(date.fromordinal(first + day)) for day in range(history.days)]
        known = [row for row in rows if row is not None]
        usual = float(np.mean([row[0] for row in known])) if known else 0.0
        return np.array([row or (usual, 0.0) for row in rows])


def _row(
    name: str, line: int, row: dict[str, str], column: str
) -> tuple[date, tuple[float, float]]:
    try:
        return date.fromisoformat(row["date"]), (float(row[column]), float(row[HOLIDAY]))
    except (TypeError, ValueError):
        problem = "expected a date, a temperature and a holiday of 0 or 1"
        raise PanelInvalid(file=name, line=line, problem=problem) from None
