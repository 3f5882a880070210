"""What happened, in words and in order, with a digest by which two histories are compared."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from node.kernel.clock import EPOCH, VirtualClock


@dataclass(frozen=True)
class Event:
    """One thing that happened: when, where, and in a few words."""

    at: datetime
    place: str
    words: str

    def __str__(self) -> str:
        since = self.at - EPOCH
        hours, rest = divmod(since.seconds, 3600)
        minutes, seconds = divmod(rest, 60)
        clock = f"{hours:02}:{minutes:02}:{seconds:02}"
        return f"day {since.days + 1}, {clock}  {self.place}: {self.words}"


@dataclass(frozen=True)
class Violation:
    """Something that must never be, and where it was first seen."""

    kind: str  # stable, so that a shorter history can be recognised as the same failure
    words: str


@dataclass
class History:
    """Grows with every event; the first violation stays."""

    clock: VirtualClock
    events: list[Event] = field(default_factory=list)
    steps: int = 0  # committed writes, calls carried and blocks made
    exchanges: int = 0  # hours that reached whoever gave them, inside and between communities
    violation: Violation | None = None
    broken: asyncio.Event = field(default_factory=asyncio.Event)  # set with the violation

    def __post_init__(self) -> None:
        self._hash = hashlib.sha256()

    def tell(self, place: str, words: str) -> None:
        """Add an event. Nothing is told after a violation: the history ends there."""
        if self.violation is not None:
            return
        event = Event(self.clock.now(), place, words)
        self._hash.update(f"{event.at.isoformat()}|{place}|{words}\n".encode())
        self.events.append(event)

    def anchor(self, place: str, head: str) -> None:
        """Let the digest stand for the books as well: `head` is the journal's last hash."""
        self._hash.update(f"{place}|{head}\n".encode())

    def violated(self, kind: str, words: str) -> None:
        """Something is wrong. What follows from it is not looked at."""
        if self.violation is None:
            self.tell("INVARIANT", f"{words} ({kind})")
            self.violation = Violation(kind, words)
            self.broken.set()

    def digest(self) -> str:
        """SHA-256 over all events: the same for the same history."""
        return self._hash.hexdigest()
