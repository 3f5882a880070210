"""The tasks of a resolution: who sees to what until when, in the caller's transaction."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.council import rules
from node.council.model import Motion, WorkItem
from node.council.rules import Step
from node.kernel.errors import BadInput, IdReused, NotFound, WrongState
from node.kernel.ports import Clock


def add_work_item(
    session: Session,
    clock: Clock,
    *,
    item_id: UUID,
    motion_id: UUID,
    title: str,
    owner: str,
    due_on: date,
) -> WorkItem:
    """Write down what a carried motion asks of whom until when."""
    title, owner = title.strip(), owner.strip()
    known = session.get(WorkItem, item_id)
    if known is not None:
        kept = (known.motion_id, known.title, known.owner, known.due_on)
        if kept != (motion_id, title, owner, due_on):
            raise IdReused(id=str(item_id))
        return known
    motion = session.get(Motion, motion_id)
    if motion is None:
        raise NotFound(what="motion", id=str(motion_id))
    if not motion.is_carried or motion.step not in (Step.RESOLVED, Step.EXECUTING):
        raise WrongState(what="motion", state=motion.step, needed=Step.RESOLVED.value)
    rules.check_length("title", title, rules.TITLE_LENGTH_MAX)
    rules.check_length("owner", owner, rules.OWNER_LENGTH_MAX)
    if due_on < clock.now().date():
        raise BadInput(field="due_on", problem="this day is over")
    if len(work_items(session, motion_id)) >= rules.WORK_ITEMS_MAX:
        raise BadInput(field="title", problem="this resolution has too many tasks")
    item = WorkItem(
        id=item_id,
        motion_id=motion_id,
        title=title,
        owner=owner,
        due_on=due_on,
        added_at=clock.now(),
    )
    session.add(item)
    return item


def finish_work_item(
    session: Session, clock: Clock, *, item_id: UUID, done_by: UUID | None = None
) -> WorkItem:
    """Tick a task off. Ticking twice is once."""
    item = session.get(WorkItem, item_id)
    if item is None:
        raise NotFound(what="work item", id=str(item_id))
    if item.done_at is None:
        item.done_at, item.done_by = clock.now(), done_by
    return item


def work_items(session: Session, motion_id: UUID) -> Sequence[WorkItem]:
    """The tasks of a resolution, the nearest first."""
    query = select(WorkItem).where(WorkItem.motion_id == motion_id)
    return session.scalars(query.order_by(WorkItem.due_on, WorkItem.id)).all()
