"""Trainings that begin by themselves, every so many days; one that was missed is not made up."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from coordinator import directory, training
from coordinator.model import TrainingRun, TrainingSchedule
from node.kernel.errors import BadInput
from node.kernel.ports import Clock

ROW = 1


def set_schedule(
    session: Session,
    clock: Clock,
    *,
    every_days: int,
    first_at: datetime | None,
    rounds: int,
    min_nodes: int,
    local_steps: int,
) -> TrainingSchedule:
    """From now on a training every so many days; replaces what was agreed before."""
    now = clock.now()
    if first_at is not None and (first_at.tzinfo is None or first_at <= now):
        raise BadInput(field="--first", problem="a moment to come is needed, with its offset")
    return session.merge(
        TrainingSchedule(
            id=ROW,
            next_at=first_at or now + timedelta(days=every_days),
            every_days=every_days,
            rounds=rounds,
            min_nodes=min_nodes,
            local_steps=local_steps,
        )
    )


def end_schedule(session: Session) -> None:
    """No training by itself any more."""
    known = session.get(TrainingSchedule, ROW)
    if known is not None:
        session.delete(known)


def is_due(session: Session, clock: Clock) -> bool:
    """Whether a training is to begin now; a run that is going on is not interrupted."""
    known = session.get(TrainingSchedule, ROW)
    return known is not None and known.next_at <= clock.now() and not training.next_run(session)


def begin_due(session: Session, clock: Clock) -> TrainingRun | None:
    """Ask for the training that is due, and agree on the next day, whatever was missed."""
    known = session.get(TrainingSchedule, ROW)
    if known is None or not is_due(session, clock):
        return None
    step = timedelta(days=known.every_days)
    missed = (clock.now() - known.next_at) // step
    known.next_at += (missed + 1) * step
    members = len(directory.active_members(session))
    return training.request_training(
        session,
        clock,
        rounds=known.rounds,
        min_nodes=known.min_nodes or max(training.NODES_MIN, members // 2 + 1),
        local_steps=known.local_steps,
        seed=known.next_at.toordinal(),  # another one each time
    )


def as_json(session: Session) -> dict[str, Any] | None:
    """The schedule as people and programs read it; None where there is none."""
    known = session.get(TrainingSchedule, ROW)
    if known is None:
        return None
    return {
        "next_at": known.next_at.isoformat(timespec="seconds"),
        "every_days": known.every_days,
        "rounds": known.rounds,
        "min_nodes": known.min_nodes,
        "local_steps": known.local_steps,
    }
