"""What an operator must hear about this community on the chain: raised once, shown until over."""

from collections.abc import Sequence
from enum import StrEnum

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.ports import Clock
from node.settlement.model import ChainAlarm

log = structlog.get_logger()


class Alarm(StrEnum):
    """Each has its sentence for the operator in `SENTENCES`."""

    RECOVERY_ANNOUNCED = "recovery_announced"
    SIGNER_CHANGED = "signer_changed"
    WATCH_STUCK = "watch_stuck"


SENTENCES = {
    Alarm.RECOVERY_ANNOUNCED: "The office has announced another settlement key for us: {detail}. "
    "If nobody here asked for it, sign the next batch: that voids it.",
    Alarm.SIGNER_CHANGED: "The chain knows us by another settlement key: {detail}. Our signatures "
    "count for nothing there.",
    Alarm.WATCH_STUCK: "The chain cannot be read any further: {detail}. If the district agrees "
    "that it is to be passed over, say linli-node pass-over.",
}


def raise_alarm(session: Session, clock: Clock, kind: Alarm, *, detail: str) -> None:
    """Tell the operator, once for each thing that there is to tell."""
    known = session.get(ChainAlarm, kind.value)
    if known is not None and known.detail == detail:
        return
    log.error("chain_alarm", kind=kind.value, detail=detail)
    session.merge(ChainAlarm(kind=kind.value, detail=detail, since=clock.now()))


def is_over(session: Session, kind: Alarm) -> None:
    """It is as it should be again."""
    known = session.get(ChainAlarm, kind.value)
    if known is not None:
        log.info("chain_alarm_over", kind=kind.value)
        session.delete(known)


def current(session: Session) -> Sequence[ChainAlarm]:
    """All that people have to look at now."""
    return session.scalars(select(ChainAlarm).order_by(ChainAlarm.since)).all()


def sentence(row: ChainAlarm) -> str:
    """What to say about it, in English."""
    return SENTENCES[Alarm(row.kind)].format(detail=row.detail)
