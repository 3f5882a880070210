"""Who may give help that needs training: the desk has seen it, and until when that holds."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, NotAllowed
from node.kernel.ports import Clock
from node.timebank import rules
from node.timebank.model import HelperTraining
from node.timebank.refusals import NotTrained
from node.timebank.rules import Training

TRAINING_TIME = timedelta(days=730)  # then it is to be shown again


def note(
    session: Session, clock: Clock, *, resident_id: UUID, service: str, seen_by: UUID | None
) -> HelperTraining:
    """Write down that this resident may give this help. Again: it holds from today on."""
    kind = rules.SERVICES.get(service)
    if kind is None or kind.training is Training.NONE:
        raise BadInput(field="service", problem="this help needs no training")
    if seen_by == resident_id:
        raise NotAllowed(what="training (your own)")
    now = clock.now()
    return session.merge(
        HelperTraining(
            resident_id=resident_id,
            service=service,
            seen_by=seen_by,
            seen_at=now,
            ends_at=now + TRAINING_TIME,
        )
    )


def check(session: Session, clock: Clock, *, resident_id: UUID, service: str) -> None:
    """Refuse help that this resident has not been trained for."""
    if rules.SERVICES[service].training is Training.NONE:
        return
    row = session.get(HelperTraining, (resident_id, service))
    if row is None or row.ends_at <= clock.now():
        raise NotTrained(service=rules.SERVICES[service].title)


def of(session: Session, clock: Clock, resident_id: UUID) -> Sequence[HelperTraining]:
    """What a resident may give, of that which needs training."""
    query = select(HelperTraining).where(
        HelperTraining.resident_id == resident_id, HelperTraining.ends_at > clock.now()
    )
    return session.scalars(query.order_by(HelperTraining.service)).all()
