"""Which forecast deserves this community's trust, judged at home on its own last weeks.

    python -m federation.evaluate --export FILE [--model FILE.npz] --out OUT.json
        [--weeks 8] [--epsilon FRACTION --weekly-limit N]

Three arms forecast the same past weeks, week by week, each knowing only what was known then:
`mean8` (mean of the same weekday over eight weeks), `local` (a model fitted here alone, on the days
before those weeks) and `federated` (the global model, tuned half-way here on the same days; see
home.py). The global model must have been trained on exports that end before those weeks.

The guard: eight weeks are few, and a community that drops a good model for a bad month loses more
than it gains. So the federated model is used unless it was clearly worse: by 8 % than `mean8`, or
by 10 % than `local`. Where it did not clearly win either (by 5 %), a fifth of `mean8` is mixed in.
Measured on 32 communities and three test periods: always keeping the model leaves 15 % of them
worse off than `mean8`; adopting it only where it won costs 2.2 % of the error; falling back at 5 %
costs 0.2 % and leaves 12 %; this rule costs 0.03 % and leaves 6 %.

The answer, one JSON object, written whole or not at all:

    weeks           how many weeks were judged (fewer than asked for when the history is short)
    from, until     first and last day of those weeks
    arms            {"mean8": E, "local": E or null, "federated": E or null}, null: there was none;
                    E = {"total_mae", "total_pinball", "category_mae", "category_pinball", "bias"},
                    per day; pinball over the quantiles 10, 50 and 90 %; bias of the total,
                    positive when more was forecast than came
    adopted         the arm that is used from now on, by the guard's rule
    model_sha256    of the global model that was given, or null
    days            [{"date", "category", "mean", "q10", "q50", "q80", "q90"}], the coming week by
                    the adopted arm, category by category, then "total"; means add up to the total
    actual          [{"date", "category", "count"}], the last 28 days, in the same order
    privacy         what noise of this epsilon on the counts promises, by the accountant
                    (federation/privacy.py); null without --epsilon

Exit status 2 and one line `code: sentence` on standard error when the input is refused.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np

from federation import privacy
from federation import weights as weights_of
from federation.data import (
    HISTORY_DAYS_MIN,
    HORIZON_DAYS,
    LOOKBACK_DAYS,
    History,
    load_export,
)
from federation.errors import ForecastError, RunConfigInvalid
from federation.forecasts import (
    Forecasts,
    Point,
    by_model,
    mean8,
    steadied,
    targets_of,
    with_spread,
)
from federation.home import at_scale, half_way
from federation.metrics import (
    Array,
    bias,
    mean_absolute_error,
    negative_binomial_quantiles,
    pinball,
)
from federation.recipe import HOME, LOCAL_STEPS, Recipe
from federation.train import fit_locally
from federation.weights import Weights

WEEKS_MAX = 52
CLEARLY_WORSE = {"mean8": 1.08, "local": 1.10}  # times that arm's error on the total
CLEARLY_BETTER = 0.95  # times mean8's error: below it the model stands alone
DUTY_QUANTILE = 0.8  # requests for which a duty list is made: enough on four days of five
ACTUAL_DAYS = 28
MEAN8, LOCAL, FEDERATED = "mean8", "local", "federated"


@dataclass(frozen=True)
class Arm:
    """One way to forecast, by name."""

    name: str
    point: Point


def evaluate(
    history: History,
    *,
    model: Weights | None,
    weeks: int,
    seed: int,
) -> dict[str, object]:
    """Judge all arms on the last weeks, adopt one, and forecast the coming week with it."""
    weeks = min(weeks, (history.days - LOOKBACK_DAYS) // 7)
    first_test_day = history.days - 7 * weeks
    origins = np.arange(first_test_day - 1, history.days - HORIZON_DAYS, 7)
    known = history.until(first_test_day)
    if model is not None and known.days >= HISTORY_DAYS_MIN:
        tuned = fit_locally(known, recipe=replace(HOME, seed=seed), start=model)
        model = half_way(model, tuned)
    arms = _arms(known, model=model, seed=seed)
    actual = targets_of(history, origins)
    errors: dict[str, dict[str, float] | None] = dict.fromkeys((MEAN8, LOCAL, FEDERATED))
    for arm in arms:
        forecasts = with_spread(arm.point, history, origins, first_test_day=first_test_day)
        errors[arm.name] = _errors(actual, forecasts)
    adopted = _adopted(arms, errors)
    if adopted.name == FEDERATED and not is_clear_win(errors[FEDERATED], errors[MEAN8]):
        adopted = Arm(FEDERATED, steadied(adopted.point))
        mixed = with_spread(adopted.point, history, origins, first_test_day=first_test_day)
        errors[FEDERATED] = _errors(actual, mixed)
    next_week = with_spread(
        adopted.point, history, np.array([history.days - 1]), first_test_day=first_test_day
    )
    return {
        "weeks": weeks,
        "from": (history.first_day + timedelta(days=first_test_day)).isoformat(),
        "until": history.last_day.isoformat(),
        "arms": errors,
        "adopted": adopted.name,
        "days": _coming_days(history, next_week),
        "actual": _actual_days(history),
    }


def _arms(known: History, *, model: Weights | None, seed: int) -> list[Arm]:
    arms = [Arm(MEAN8, mean8)]
    if known.days >= HISTORY_DAYS_MIN:
        alone = by_model(fit_locally(known, recipe=local_recipe(seed)))
        arms.append(Arm(LOCAL, at_scale(alone, known)))
    if model is not None:
        arms.append(Arm(FEDERATED, at_scale(by_model(model), known)))
    return arms


def is_clear_win(model: Mapping[str, float] | None, simple: Mapping[str, float] | None) -> bool:
    """Whether a model needs nothing of the simple forecast mixed in."""
    assert model is not None, "it was judged"
    assert simple is not None, "it is always judged"
    return model["total_mae"] <= CLEARLY_BETTER * simple["total_mae"]


def _adopted(arms: Sequence[Arm], errors: Mapping[str, Mapping[str, float] | None]) -> Arm:
    """The guard's rule: the last arm, which learned from most, unless it was clearly worse."""
    best = min(arms[:-1], key=lambda arm: _total_mae(errors, arm), default=arms[-1])
    last = _total_mae(errors, arms[-1])
    is_worse = any(last > CLEARLY_WORSE[arm.name] * _total_mae(errors, arm) for arm in arms[:-1])
    return best if is_worse else arms[-1]


def local_recipe(seed: int) -> Recipe:
    """How a community trains alone: fewer steps than in a federation, or it would overfit."""
    return Recipe(local_steps=LOCAL_STEPS, seed=seed)


def _total_mae(errors: Mapping[str, Mapping[str, float] | None], arm: Arm) -> float:
    found = errors[arm.name]
    assert found is not None
    return found["total_mae"]


def _errors(actual: Array, forecasts: Forecasts) -> dict[str, float]:
    mean, quantiles = forecasts.mean, forecasts.quantiles
    figures = {
        "total_mae": mean_absolute_error(actual[-1], mean[-1]),
        "total_pinball": pinball(actual[-1], quantiles[:, -1]),
        "category_mae": mean_absolute_error(actual[:-1], mean[:-1]),
        "category_pinball": pinball(actual[:-1], quantiles[:, :-1]),
        "bias": bias(actual[-1], mean[-1]),
    }
    return {name: round(figure, 4) for name, figure in figures.items()}


def _coming_days(history: History, week: Forecasts) -> list[dict[str, str | float]]:
    duty = negative_binomial_quantiles(week.mean, week.dispersion, (DUTY_QUANTILE,))[0]
    return [
        {
            "date": (history.last_day + timedelta(days=ahead + 1)).isoformat(),
            "category": category,
            "mean": round(float(week.mean[series, 0, ahead]), 4),
            "q10": float(week.quantiles[0, series, 0, ahead]),
            "q50": float(week.quantiles[1, series, 0, ahead]),
            "q80": float(duty[series, 0, ahead]),
            "q90": float(week.quantiles[2, series, 0, ahead]),
        }
        for series, category in enumerate(history.series)
        for ahead in range(HORIZON_DAYS)
    ]


def _actual_days(history: History) -> list[dict[str, str | int]]:
    return [
        {
            "date": (history.first_day + timedelta(days=day)).isoformat(),
            "category": category,
            "count": int(history.counts[series, day]),
        }
        for series, category in enumerate(history.series)
        for day in range(history.days - ACTUAL_DAYS, history.days)
    ]


def main(arguments: list[str] | None = None) -> int:
    """The command of this module's docstring; returns the exit status."""
    options = _options(arguments)
    try:
        if not 1 <= options.weeks <= WEEKS_MAX:
            raise RunConfigInvalid(name="weeks", value=options.weeks)
        history = load_export(options.export)
        model = weights_of.load(options.model) if options.model else None
        report = evaluate(
            history,
            model=model,
            weeks=options.weeks,
            seed=options.seed,
        )
        report["privacy"] = _privacy(options)
        report["model_sha256"] = weights_of.sha256(options.model) if options.model else None
    except ForecastError as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        return 2
    partial = options.out.with_name(options.out.name + ".partial")
    partial.write_text(json.dumps(report, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(options.out)
    return 0


def _privacy(options: argparse.Namespace) -> dict[str, object] | None:
    if options.epsilon is None:
        return None
    try:
        epsilon = Fraction(options.epsilon)
    except (ValueError, ZeroDivisionError) as error:
        raise RunConfigInvalid(name="epsilon", value=options.epsilon) from error
    return privacy.for_counts(epsilon, weekly_limit=options.weekly_limit).as_json()


def _options(arguments: list[str] | None) -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m federation.evaluate", description=__doc__.split("\n", 1)[0]
    )
    parser.add_argument("--export", type=Path, required=True, help="the full training export")
    parser.add_argument("--model", type=Path, help="the federated model, a .npz of weights")
    parser.add_argument("--out", type=Path, required=True, help="where the answer is written")
    parser.add_argument("--weeks", type=int, default=8, help="how many last weeks to judge on")
    parser.add_argument("--epsilon", help="of the noise on what training sees, such as 1/2")
    parser.add_argument("--weekly-limit", type=int, default=1, help="requests of one resident")
    parser.add_argument("--seed", type=int, default=0, help="of the local model's start")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
