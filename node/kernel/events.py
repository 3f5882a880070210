"""Facts in the past tense, and how they reach what follows from them."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from sqlalchemy.orm import Session

from node.kernel.ports import Clock

_PENDING = "linli.events"
CASCADE_MAX = 20  # events caused by events caused by events …; deeper is a loop in reactions.py


class Event:
    """Something that happened. Subclasses are frozen dataclasses of ids and numbers."""


Reaction = Callable[[Session, Clock, Event], None]
Reactions = Mapping[type[Event], Sequence[Reaction]]


def record(session: Session, event: Event) -> None:
    """Tell the rest of the node; reactions run in this same transaction, after the command."""
    session.info.setdefault(_PENDING, []).append(event)


def pending_count(session: Session) -> int:
    """How many recorded events still wait for their reactions."""
    return len(session.info.get(_PENDING, ()))


def forget_after(session: Session, count: int) -> None:
    """Drop the events recorded since there were `count`: what caused them was undone."""
    del session.info.setdefault(_PENDING, [])[count:]


def react(session: Session, clock: Clock, reactions: Reactions) -> None:
    """Run what follows from the recorded events, and from what those cause in turn."""
    pending = cast(list[Event], session.info.setdefault(_PENDING, []))
    depth = 0
    while pending:
        depth += 1
        assert depth <= CASCADE_MAX, f"events that cause events, more than {CASCADE_MAX} deep"
        events, pending[:] = pending[:], []
        for event in events:
            for reaction in reactions.get(type(event), ()):
                reaction(session, clock, event)
