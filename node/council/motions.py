"""A motion's record and the steps it took: what services and pages of the council all need."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.council.electorates import MATTERS, Electorate
from node.council.model import Motion, StepChange
from node.council.rules import Step
from node.kernel.errors import NotFound
from node.kernel.ports import Clock

PAGE_ROWS = 50  # motions on one page


def find(session: Session, motion_id: UUID) -> Motion:
    """The motion with this id; refuses an unknown one."""
    motion = session.get(Motion, motion_id)
    if motion is None:
        raise NotFound(what="motion", id=str(motion_id))
    return motion


def motions(session: Session, *, limit: int = PAGE_ROWS) -> Sequence[Motion]:
    """All motions, newest first."""
    query = select(Motion).order_by(Motion.proposed_at.desc(), Motion.id.desc())
    return session.scalars(query.limit(limit)).all()


def electorate_of(motion: Motion) -> Electorate:
    """Who is asked about this motion."""
    return MATTERS[motion.matter].electorate


def enter(
    session: Session, clock: Clock, motion: Motion, step: Step, changed_by: UUID | None
) -> None:
    """Let the motion stand at this step from now on, and write down that it does."""
    motion.step = step.value
    session.add(
        StepChange(
            motion_id=motion.id,
            step=step.value,
            changed_at=clock.now(),
            changed_by=changed_by,
        )
    )


def steps_taken(session: Session, motion_id: UUID) -> Sequence[StepChange]:
    """The way of a motion so far, first step first."""
    query = select(StepChange).where(StepChange.motion_id == motion_id)
    return session.scalars(query.order_by(StepChange.id)).all()
