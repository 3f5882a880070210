"""How the district protects residents in training: chosen by officers, with what it costs beside.

What it costs was measured by `linli-sim compare`. Until an office brings a comparison of its own,
it shows the one that was made for docs/benchmarks.md, and names the data it was made on.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from coordinator.refusals import ComparisonUnusable
from coordinator.settings import PROTECTIONS, Place, read_office, write_office
from node.kernel.errors import BadInput
from node.kernel.files import write_file

EPSILON_MIN, EPSILON_MAX = 0.01, 10.0  # as a node's own setting
ROWS_MAX = 20
SUMMARY_BYTES_MAX = 16 * 1024 * 1024
LABEL_CHARACTERS_MAX = 200
SHIPPED = Path(__file__).with_name("accuracy.json")


def measured(place: Place) -> dict[str, Any]:
    """`measured_on` and `accuracy_by_epsilon`: what noise cost, for choosing and for each card."""
    own = place.accuracy
    table: dict[str, Any] = json.loads((own if own.exists() else SHIPPED).read_text("utf-8"))
    return table


def choose(
    place: Place, *, epsilon: float | None, protection: str | None, comparison: Path | None
) -> None:
    """Change what the next trainings promise; one that is going on keeps its own.

    With the summary.json of a comparison, its errors by epsilon are shown from now on.
    """
    office = read_office(place)
    table = _table_of(comparison) if comparison else None
    if epsilon is not None:
        if not EPSILON_MIN <= epsilon <= EPSILON_MAX:
            problem = f"a number from {EPSILON_MIN:g} to {EPSILON_MAX:g} is needed"
            raise BadInput(field="--epsilon", problem=problem)
        office = replace(office, count_epsilon=float(epsilon))
    if protection is not None:
        if protection not in PROTECTIONS:
            problem = f"one of {', '.join(PROTECTIONS)} is needed"
            raise BadInput(field="--protection", problem=problem)
        office = replace(office, protection=protection)
    if table is not None:
        write_file(place.accuracy, json.dumps(table, ensure_ascii=False).encode() + b"\n")
    write_file(place.configuration, write_office(office))


def _table_of(summary: Path) -> dict[str, Any]:
    try:
        if summary.stat().st_size > SUMMARY_BYTES_MAX:
            raise ComparisonUnusable(file=summary.name, problem="it is too large")
        found = json.loads(summary.read_text(encoding="utf-8"))
        arms = found["arms"]
        by_epsilon: Mapping[str, Any] = arms["federated_private"]["by_epsilon"]
        rows = [{"epsilon": None, "total_mae": arms["federated"]["total_mae"]}]
        rows += [
            {"epsilon": float(epsilon), "total_mae": one["total_mae"]}
            for epsilon, one in sorted(by_epsilon.items(), key=lambda item: -float(item[0]))
        ]
        label = str(found["panel"])[:LABEL_CHARACTERS_MAX]
    except OSError as error:
        problem = error.strerror or "it cannot be read"
        raise ComparisonUnusable(file=summary.name, problem=problem) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = "the arms federated and federated_private are needed"
        raise ComparisonUnusable(file=summary.name, problem=problem) from error
    if len(rows) > ROWS_MAX or not all(_is_error(row["total_mae"]) for row in rows):
        raise ComparisonUnusable(file=summary.name, problem="its errors are no errors")
    return {"measured_on": label, "accuracy_by_epsilon": rows}


def _is_error(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0
