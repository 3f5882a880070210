"""The district's models with their cards, and the way back from one that was no good."""

import json
import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator.model import Community, ModelWithdrawn, ToldError, TrainingRun, TrainingState
from coordinator.refusals import ModelUnknown
from coordinator.training import ARMS, latest_model
from node.kernel.errors import BadInput
from node.kernel.ports import Clock

PREFIX_LENGTH_MIN = 8
REASON_CHARACTERS_MAX = 200
MAE_MAX = 1e6


def models(session: Session) -> list[dict[str, Any]]:
    """Every model with its card, the newest first; JSON values only."""
    latest = latest_model(session)
    withdrawn = {one.sha256: one for one in session.scalars(select(ModelWithdrawn))}
    holders = dict(
        session.execute(
            select(Community.model_sha256, func.count()).group_by(Community.model_sha256)
        )
        .tuples()
        .all()
    )
    return [
        {
            "sha256": run.sha256,
            "run": run.id,
            "made_at": run.ended_at.isoformat(timespec="seconds") if run.ended_at else None,
            "is_latest": run.sha256 == latest,
            "withdrawn": withdrawn[run.sha256].reason if run.sha256 in withdrawn else None,
            "held_by": holders.get(run.sha256, 0),
            "card": card(session, run),
        }
        for run in _runs(session)
    ]


def card(session: Session, run: TrainingRun) -> dict[str, Any]:
    """What is known of a model: how it was made, and how it did where that was told."""
    made: dict[str, Any] = json.loads(run.card_json or "{}")
    told = list(session.scalars(select(ToldError).where(ToldError.model_sha256 == run.sha256)))
    days = [day for one in told for day in (one.data_from, one.data_to) if day]
    errors: dict[str, dict[str, float]] = {}
    for one in told:
        errors.setdefault(one.community_id, {})[one.arm] = one.total_mae
    return {
        "privacy": {"unit": None, "epsilon": None, "delta": None},
        **made,
        "data_window": [min(days), max(days)] if days else None,
        "errors": errors,
    }


def withdraw(session: Session, clock: Clock, *, sha256: str, reason: str) -> str:
    """Offer this model no longer: nodes go back to the one before it. Returns the whole hash."""
    chosen = resolved(session, sha256)
    text = " ".join(reason.split())
    if not text or len(text) > REASON_CHARACTERS_MAX:
        raise BadInput(field="--reason", problem=f"1 to {REASON_CHARACTERS_MAX} signs are needed")
    if session.get(ModelWithdrawn, chosen) is None:
        session.add(ModelWithdrawn(sha256=chosen, reason=text, withdrawn_at=clock.now()))
        session.flush()
    return chosen


def restore(session: Session, *, sha256: str) -> str:
    """Offer a withdrawn model again. Returns the whole hash."""
    chosen = resolved(session, sha256)
    entry = session.get(ModelWithdrawn, chosen)
    if entry is not None:
        session.delete(entry)
        session.flush()
    return chosen


def resolved(session: Session, sha256: str) -> str:
    """The whole hash of a model that is known, also by the beginning of it."""
    text = sha256.strip().lower()
    fitting = {run.sha256 for run in _runs(session) if run.sha256 and run.sha256.startswith(text)}
    if len(text) < PREFIX_LENGTH_MIN or len(fitting) != 1:
        raise ModelUnknown(sha256=text[:64])
    return str(fitting.pop())


def note_errors(
    session: Session,
    clock: Clock,
    *,
    community_id: str,
    model_sha256: str,
    errors: Mapping[str, float],
    days: tuple[str, str],
) -> None:
    """Keep what a community chose to tell; nonsense is passed over, it decides nothing."""
    known = session.scalars(
        select(TrainingRun.id).where(TrainingRun.sha256 == model_sha256).limit(1)
    ).first()
    if known is None or not (are_days(days) or days == ("", "")):
        return
    for arm, total_mae in errors.items():
        if arm in ARMS and math.isfinite(total_mae) and 0 <= total_mae <= MAE_MAX:
            session.merge(
                ToldError(
                    community_id=community_id,
                    model_sha256=model_sha256,
                    arm=arm,
                    total_mae=total_mae,
                    data_from=days[0],
                    data_to=days[1],
                    told_at=clock.now(),
                )
            )


def are_known(
    session: Session, *, community_id: str, model_sha256: str, errors: Mapping[str, float]
) -> bool:
    """Whether a heartbeat's errors need no write."""
    told = select(ToldError).where(
        ToldError.community_id == community_id, ToldError.model_sha256 == model_sha256
    )
    known = {one.arm: one.total_mae for one in session.scalars(told)}
    return all(known.get(arm) == total_mae for arm, total_mae in errors.items())


def are_days(days: Iterable[str]) -> bool:
    """Whether all of them are dates as they should be written."""
    try:
        return all(date.fromisoformat(day).isoformat() == day for day in days)
    except ValueError:
        return False


def _runs(session: Session) -> list[TrainingRun]:
    done = select(TrainingRun).where(TrainingRun.state == TrainingState.DONE)
    return list(session.scalars(done.order_by(TrainingRun.id.desc())))
