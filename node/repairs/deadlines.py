"""What is overdue goes up: 楼栋 → 物业 → 社区. A periodic task; running it twice is once."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.events import record
from node.kernel.ports import Clock
from node.repairs import plan, service
from node.repairs.events import RepairOverdue
from node.repairs.model import Escalation, ServiceRequest

ESCALATIONS_MAX = 100  # in one transaction; the next look takes the rest


def escalate_overdue(session: Session, clock: Clock) -> int:
    """Hand up every open request whose time for it has come; returns how many.

    A node that slept hands a request up level by level, each level written down and told once.
    """
    now = clock.now()
    due = (
        select(ServiceRequest)
        .where(ServiceRequest.escalate_at <= now)
        .order_by(ServiceRequest.escalate_at, ServiceRequest.id)
        .limit(ESCALATIONS_MAX)
    )
    found = session.scalars(due).all()
    _, current = plan.current(session)
    for request in found:
        _hand_up(session, clock, current, request)
    session.flush()
    return len(found)


def _hand_up(session: Session, clock: Clock, current: plan.Plan, request: ServiceRequest) -> None:
    step = plan.step_above(current, request.level)
    if step is None:  # the plan has no more levels
        request.escalate_at = None
        return
    team = plan.team(current, step.team)
    request.level = step.level
    request.team = team.code if team else request.team
    request.escalate_at = plan.escalate_at(current, due=request.due_at, level=step.level)
    request.updated_at = clock.now()
    session.add(
        Escalation(
            request_id=request.id,
            turn=request.reopenings,
            level=step.level,
            team=request.team,
            due_at=request.due_at,
            escalated_at=clock.now(),
        )
    )
    answering = plan.team(current, request.team)
    record(
        session,
        RepairOverdue(
            request.id,
            request.key,
            request.reporter_id,
            service.followers(session, request.id),
            request.category,
            level=step.level,
            turn=request.reopenings,
            member_ids=answering.members if answering else (),
        ),
    )


def escalations_of(session: Session, request_id: int) -> Sequence[Escalation]:
    """How far up a request was handed, oldest first."""
    query = select(Escalation).where(Escalation.request_id == request_id)
    return session.scalars(query.order_by(Escalation.id)).all()
