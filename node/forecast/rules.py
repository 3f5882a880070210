"""The limits of a history, what an evaluation must contain, and which days belong together."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

from node.kernel.errors import DomainError

ARMS = ("mean8", "local", "federated")
HISTORY_DAYS_MIN = 60
HOLDOUT_WEEKS = 8  # the last weeks, on which the three forecasts are judged
GAP_DAYS_MAX = 28  # a longer silence ends a history: what came before is another time
OTHER = "other"  # where live requests of one category too many are counted
LIVE_CATEGORIES_MAX = 48  # so that nobody can make the history too wide by inventing names
EVALUATION_BYTES_MAX = 5_000_000
WEEKLY_LIMIT = 3  # requests of one resident and week that enter what is noised
_LOCAL = timezone(timedelta(hours=8))


class HistoryTooShort(DomainError):
    code = "forecast.history_too_short"
    message = "A forecast needs {needed} days of history without a long gap; here are {days}."


class CellsLost(DomainError):
    code = "forecast.cells_lost"
    message = (
        "{days} days from {first} on have left this house with their noise, and the database "
        "does not hold it. Drawing it anew would weaken it: restore a backup that has it."
    )


class EvaluationFailed(DomainError):
    code = "forecast.evaluation_failed"
    message = "The comparison of the forecasts did not finish: {problem}"
    retryable = True


class EvaluationUnusable(DomainError):
    code = "forecast.evaluation_unusable"
    message = "The comparison gave an answer that cannot be used: {problem}"


class ModelUnknown(DomainError):
    code = "forecast.model_unknown"
    message = "The model {sha256} never came to this node."


class NoForecast(DomainError):
    code = "forecast.not_found"
    message = "There is no forecast yet. It comes with the first comparison."


def local_day(moment: datetime) -> date:
    """The day on which this community says it happened."""
    return moment.astimezone(_LOCAL).date()


def latest_stretch(days: Sequence[date]) -> tuple[date, date] | None:
    """First and last day of the latest stretch long enough to learn from; None without one.

    A node with four years of history that reports its first live request years later does not
    learn that nothing happened in between.
    """
    stretches: list[tuple[date, date]] = []
    for day in sorted(days):
        if stretches and (day - stretches[-1][1]).days <= GAP_DAYS_MAX:
            stretches[-1] = (stretches[-1][0], day)
        else:
            stretches.append((day, day))
    long_enough = [one for one in stretches if (one[1] - one[0]).days + 1 >= HISTORY_DAYS_MIN]
    return long_enough[-1] if long_enough else None


def check_evaluation(result: Any) -> None:
    """Refuse an answer of federation.evaluate that pages could not show."""
    if not isinstance(result, dict):
        raise EvaluationUnusable(problem="no object")
    arms = result.get("arms")
    if not isinstance(arms, dict) or not set(arms) <= set(ARMS) or arms.get("mean8") is None:
        raise EvaluationUnusable(problem="arms")
    if result.get("adopted") not in arms or arms[result["adopted"]] is None:
        raise EvaluationUnusable(problem="adopted")
    for arm in filter(None, arms.values()):
        if not all(isinstance(arm.get(name), int | float) for name in ("total_mae", "bias")):
            raise EvaluationUnusable(problem="arms")
    if result.get("privacy") is not None:
        check_promise(result["privacy"])
    for row in [*_list(result, "days"), *_list(result, "actual")]:
        if not {"date", "category"} <= set(row):
            raise EvaluationUnusable(problem="days")


def check_promise(promise: Any) -> None:
    """Refuse a statement about privacy that no accountant made, or that pages could not show."""
    if not isinstance(promise, dict) or not promise.get("accountant"):
        raise EvaluationUnusable(problem="privacy")
    if not all(isinstance(promise.get(name), int | float) for name in ("epsilon", "delta")):
        raise EvaluationUnusable(problem="privacy")
    for part in ("words", "not_covered"):
        for tongue in ("en", "zh"):
            lines = promise.get(part, {}).get(tongue)
            if not isinstance(lines, list) or not all(isinstance(one, str) for one in lines):
                raise EvaluationUnusable(problem="privacy")
    if not all(isinstance(promise.get(name), str) for name in ("unit", "accountant")):
        raise EvaluationUnusable(problem="privacy")


def _list(result: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows = result.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise EvaluationUnusable(problem=name)
    return rows
