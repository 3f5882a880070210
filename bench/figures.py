"""One figure of the page docs/benchmarks.md: what was measured, against whom, and the bar."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A ratio, as the median over interleaved rounds, with what it was made of."""

    name: str
    ratio: float
    must: float
    aim: float
    is_lower_better: bool
    parts: dict[str, float]

    @property
    def verdict(self) -> str:
        """Whether the bar is met."""
        if self._reaches(self.aim):
            return "aim"
        return "must" if self._reaches(self.must) else "missed"

    def _reaches(self, bar: float) -> bool:
        return self.ratio <= bar if self.is_lower_better else self.ratio >= bar

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": self.verdict}

    def as_row(self) -> str:
        """One line of the table."""
        sign = "<=" if self.is_lower_better else ">="
        parts = ", ".join(f"{name} {value:,.4g}" for name, value in self.parts.items())
        bars = f"{sign} {self.must:.4g} ({sign} {self.aim:.4g})"
        return f"{self.name:<58} {self.ratio:>10.4g}  {bars:<24} {self.verdict:<7} {parts}"


@dataclass(frozen=True)
class Skipped:
    """What could not be measured here, and why."""

    name: str
    missing: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": "skipped"}

    def as_row(self) -> str:
        return f"{self.name:<58} {'skipped':>10}  needs {self.missing}"


def against(
    name: str,
    pairs: Sequence[tuple[float, float]],
    *,
    must: float,
    aim: float,
    labels: tuple[str, str],
    is_lower_better: bool = False,
) -> Figure:
    """Ours against theirs, both taken in the same round; the median of the rounds' ratios."""
    ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
    parts = {labels[0]: statistics.median(ours), labels[1]: statistics.median(theirs)}
    ratio = statistics.median(one / other for one, other in pairs)
    return Figure(name, ratio, must, aim, is_lower_better, parts)
