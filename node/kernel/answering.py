"""Who hears of a commit: whoever listens for it, and whoever waits for an answer.

One call wakes a whole event loop, however many wait there.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Table
from sqlalchemy.orm import Session

from node.kernel.rows import Rows

Command = Callable[[Session], Any]
Listener = Callable[[], None]
Need = tuple[Rows[Any], Any]  # a row that a command will look at, by its key
Outcome = tuple[Any, Exception | None]  # result or refusal

log = structlog.get_logger()


class Job(NamedTuple):
    """One command for the writer, and where its answer goes."""

    command: Command
    answer: "Future[Any] | asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop | None = None  # where the answer is awaited
    needs: Sequence[Need] = ()

    def is_wanted(self) -> bool:
        """Whoever waits may have gone (a closed connection); if not, it gets an answer."""
        if isinstance(self.answer, Future):
            return self.answer.set_running_or_notify_cancel()
        return not self.answer.cancelled()


class Heard(NamedTuple):
    """A listener: in which event loop (None: the writer's thread), for which table's new rows."""

    listener: Listener
    loop: asyncio.AbstractEventLoop | None
    of: Table | None


@dataclass(slots=True)
class _Told:
    """What one event loop, or the writer's own thread, hears after a batch."""

    listeners: list[Listener] = field(default_factory=list)
    answers: list[tuple[Job, Outcome]] = field(default_factory=list)

    def tell(self) -> None:
        for listener in self.listeners:  # first: the relay has a call to make
            try:
                listener()
            except Exception as failure:
                log.warning("commit_listener_failed", error=type(failure).__name__)
        for job, (result, refusal) in self.answers:
            if job.answer.done():  # cancelled while its command ran
                continue
            if refusal is None:
                job.answer.set_result(result)
            else:
                job.answer.set_exception(refusal)


def tell(jobs: Sequence[Job], outcomes: Sequence[Outcome], heard: Sequence[Heard] = ()) -> None:
    """Call the listeners and answer each job, every one where it waits."""
    here, by_loop = _Told(), defaultdict[asyncio.AbstractEventLoop, _Told](_Told)
    for listener, loop, _ in heard:
        told = by_loop[loop] if loop else here
        told.listeners.append(listener)
    for job, outcome in zip(jobs, outcomes, strict=True):
        told = by_loop[job.loop] if job.loop else here
        told.answers.append((job, outcome))
    here.tell()
    for loop, told in by_loop.items():
        try:
            loop.call_soon_threadsafe(told.tell)
        except RuntimeError as failure:  # that loop has ended, and with it whoever waited
            log.warning("answer_unheard", error=str(failure))
