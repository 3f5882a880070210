"""What a node tells the office about its own errors: nothing, unless its operator chose to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.forecast.model import CountedSpan
from node.forecast.rules import local_day
from node.forecast.service import latest


@dataclass(frozen=True)
class Told:
    """The arms' errors in requests a day, and from which days on they were learned."""

    errors: Mapping[str, float] = field(default_factory=dict)
    data_from: str = ""  # YYYY-MM-DD; both days are public, see node/forecast/noise.py
    data_to: str = ""


def told(session: Session, *, model_sha256: str, tells: bool) -> Told:
    """The errors of the last comparison, if it judged this very model and may be told."""
    judged = latest(session)
    if not tells or judged is None or not model_sha256 or judged.model_sha256 != model_sha256:
        return Told()
    arms = json.loads(judged.result).get("arms", {})
    errors = {
        arm: float(figures["total_mae"])
        for arm, figures in arms.items()
        if isinstance(figures, dict) and isinstance(figures.get("total_mae"), int | float)
    }
    first_day = session.scalar(select(func.min(CountedSpan.first_day)))
    if first_day is None:
        return Told(errors)
    last_day = local_day(judged.evaluated_at) - timedelta(days=1)
    return Told(errors, first_day.isoformat(), last_day.isoformat())
