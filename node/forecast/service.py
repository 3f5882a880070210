"""Remember which forecast earned its place, and what it said of each day to come."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from node.forecast import rules
from node.forecast.model import Evaluation, ForecastDay
from node.kernel.errors import IdReused
from node.kernel.ports import Clock


def record_evaluation(
    session: Session, clock: Clock, *, evaluation_id: UUID, result: dict[str, Any]
) -> Evaluation:
    """Keep what federation.evaluate found; its `adopted` is the forecast in use from now on."""
    rules.check_evaluation(result)
    text = json.dumps(result, ensure_ascii=False, sort_keys=True)
    known = session.get(Evaluation, evaluation_id)
    if known is not None:
        if known.result != text:
            raise IdReused(id=str(evaluation_id))
        return known
    evaluation = Evaluation(
        id=evaluation_id,
        evaluated_at=clock.now(),
        adopted=str(result["adopted"]),
        model_sha256=result.get("model_sha256"),
        result=text,
    )
    session.add(evaluation)
    _keep_days(session, result)
    return evaluation


def latest(session: Session) -> Evaluation | None:
    """The evaluation in force; None before the first."""
    query = select(Evaluation).order_by(Evaluation.evaluated_at.desc(), Evaluation.id.desc())
    return session.scalars(query.limit(1)).first()


def _keep_days(session: Session, result: dict[str, Any]) -> None:
    """Keep each day's forecast, to be held against what comes; said again the same day, anew."""
    issued_on = _last_known_day(result["days"])
    if issued_on is None:
        return
    session.execute(delete(ForecastDay).where(ForecastDay.issued_on == issued_on))
    rows = [
        {
            "issued_on": issued_on,
            "date": date.fromisoformat(row["date"]),
            "category": row["category"],
            "mean": row["mean"],
            "low": row["q10"],
            "high": row["q90"],
        }
        for row in result["days"]
    ]
    session.execute(insert(ForecastDay), rows)


def _last_known_day(days: Sequence[dict[str, Any]]) -> date | None:
    first = min((date.fromisoformat(row["date"]) for row in days), default=None)
    return first.fromordinal(first.toordinal() - 1) if first else None
