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
    """Each has its sentence for the operator in `SENTENCES`: what it is, and what to do."""

    RECOVERY_ANNOUNCED = "recovery_announced"
    SIGNER_CHANGED = "signer_changed"
    WATCH_STUCK = "watch_stuck"


SENTENCES = {
    Alarm.RECOVERY_ANNOUNCED: "Somebody wants to put another key in the place of ours on the "
    "chain ({detail}). If nobody here asked for it: telephone the office now and keep the node "
    "running. The next batch that we sign voids it.",
    Alarm.SIGNER_CHANGED: "The chain takes another key for ours ({detail}): what we sign counts "
    "for nothing there, and hours given next door are not settled. Telephone the office.",
    Alarm.WATCH_STUCK: "What the chain has settled can no longer be read into our books: {detail}. "
    "Compare with the office. To leave a batch out, once both agree: linli-node pass-over",
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
