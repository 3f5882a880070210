"""What an operator must hear about this community on the chain: raised once, shown until over.

Kept are codes and figures alone. The words are made where they are read, in the reader's language.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Union

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from contracts.terms import ChainRefused
from node.kernel.errors import REFUSALS, DomainError
from node.kernel.ports import Clock
from node.settlement.model import ChainAlarm
from node.settlement.rules import WRONG

Figures = Mapping[str, str | int]

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
DETAILS = {
    Alarm.RECOVERY_ANNOUNCED: "{signer}, good from {from_when} on",
    Alarm.SIGNER_CHANGED: "number {number}, {signer}",
    Alarm.WATCH_STUCK: "{why} ({code})",
}
STUCK_AT = "{why} ({code}, batch {round})"
WHY = {
    "chain.no_contract": "there is no contract at the address",
    "chain.not_the_successor": "the district names a contract that does not carry our balances on",
    "chain.unsupported": "the chain's program lacks a method that we need",
    "chain.transaction_refused": "the chain refuses to be read",
    "enrolment.office_refused": "the office refuses to show it ({reason})",
    "kernel.not_found": "there is no {what} {id}",
}
NO_WORDS = "for a reason that has no words yet"


@dataclass(frozen=True)
class Words:
    """A sentence that becomes one in the reader's language: English, and what fills its places."""

    message: str
    places: Mapping[str, Union[str, int, "Words"]]

    def said(self, translate: Callable[[str], str] = str) -> str:
        """In English, or as `translate` has it."""
        filled = {name: _said(value, translate) for name, value in self.places.items()}
        return translate(self.message).format(**filled)


def raise_alarm(session: Session, clock: Clock, kind: Alarm, figures: Figures) -> None:
    """Tell the operator, once for each thing that there is to tell."""
    known, detail = session.get(ChainAlarm, kind.value), kept(figures)
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


def why_stuck(refusal: ChainRefused | DomainError, round_id: bytes | None) -> Figures:
    """What to keep of the refusal that stops the watch, and of the batch it stops at."""
    figures: dict[str, str | int] = {**refusal.details, "code": refusal.code}
    return figures if round_id is None else figures | {"round": "0x" + round_id.hex()}


def kept(figures: Figures) -> str:
    """The codes and figures of an alarm as its row holds them."""
    return json.dumps(figures, sort_keys=True)


def figures_of(row: ChainAlarm) -> Figures:
    """The codes and figures of an alarm; a node before this one kept an English phrase instead."""
    try:
        found = json.loads(row.detail)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"phrase": row.detail}


def words(row: ChainAlarm) -> Words:
    """What to say about it."""
    return Words(SENTENCES[Alarm(row.kind)], {"detail": _detail(Alarm(row.kind), figures_of(row))})


def sentence(row: ChainAlarm) -> str:
    """What to say about it, in English."""
    return words(row).said()


def _detail(kind: Alarm, figures: Figures) -> Words:
    if "phrase" in figures:
        return Words("{phrase}", figures)
    if kind is not Alarm.WATCH_STUCK:
        return Words(DETAILS[kind], figures)
    message = STUCK_AT if "round" in figures else DETAILS[kind]
    return Words(message, {**figures, "why": Words(_why(figures), figures)})


def _why(figures: Figures) -> str:
    code = str(figures["code"])
    if (reason := figures.get("reason")) in WRONG:
        return WRONG[str(reason)]
    refusal = REFUSALS.get(code)
    return WHY.get(code) or (refusal.message if refusal else NO_WORDS)


def _said(value: str | int | Words, translate: Callable[[str], str]) -> str:
    return value.said(translate) if isinstance(value, Words) else translate(str(value))
