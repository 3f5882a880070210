"""What waits for the writer's thread, gathered so that each batch holds all that came together.

Two threads that fight for one interpreter, statement by statement, lose a third of their time to
changing places, and a writer that begins with the first command finds batches of one. So an event
loop first reads all that came in at the same moment, and hands it over when it brings nothing more.
While the writer works, what comes in waits: it is the next batch.
"""

import asyncio
import contextlib
import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar


class Job(Protocol):
    """One command that somebody waits for."""

    def is_wanted(self) -> bool:
        """Is anybody still waiting for it?"""


J = TypeVar("J", bound=Job)
T = TypeVar("T")

BUSY_TURNS = 4  # of the loop without a new command: answer, its reader's next request, its handler
IDLE_TURNS = 1  # after a batch of one: nobody else seems to be there to wait for
SHARED_MIN = 32  # commands in a batch whose rows somebody else then works on: below it, whole
SHARED_MAX = 64
SHARED_BATCHES = 4  # that many are kept small after one that brought such rows


class Gathered(Generic[J]):
    """The commands of one loop that the writer has not been given yet.

    `is_ready` is called, in the loop, when they may be taken; if the writer is at work then, it
    calls `resume` in the loop once it is free.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        is_ready: Callable[["Gathered[J]"], None],
        *,
        most: int,
    ) -> None:
        self.loop = loop
        self._is_ready = is_ready
        self._most = most
        self._jobs: list[J] = []
        self._turns = IDLE_TURNS

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: J) -> None:
        """One more, from this loop."""
        self._jobs.append(job)
        if len(self._jobs) == 1:
            self._look(1, self._turns)

    def take(self) -> list[J]:
        """All that came together."""
        jobs, self._jobs = self._jobs, []
        self._turns = BUSY_TURNS if len(jobs) > 1 else IDLE_TURNS
        return jobs

    def resume(self) -> None:
        """The writer is free: what came in meanwhile is ready, and what its answers bring."""
        if self._jobs:
            self._look(len(self._jobs), self._turns)

    def _look(self, seen: int, turns: int) -> None:
        """Once more around the loop, until it was quiet for so many turns."""
        count = len(self._jobs)
        if count > seen:
            turns = self._turns
        if turns > 0 and count < self._most:
            self.loop.call_soon(self._look, count, turns - 1)
        elif count:
            self._is_ready(self)


class Waiting(Generic[J]):
    """The queue between all who ask and the one thread that writes; `refuse` is given what comes
    when that thread has gone.

    After a batch whose rows somebody else works on (`share`), the next ones take at most half of
    what waits: the other is at work on the first half while the second is written here.
    """

    def __init__(self, *, most: int, refuse: Callable[[Sequence[J]], None]) -> None:
        self._shared = 0  # batches to come that are kept small
        self._most = most
        self._refuse = refuse
        self._jobs: deque[J] = deque()
        self._bell: queue.SimpleQueue[bool] = queue.SimpleQueue()  # rung for new jobs; False: end
        self._gathered: Gathered[J] | None = None  # the loop that asked last: a node serves on one
        self._ready: deque[Gathered[J]] = deque()  # theirs may be taken as soon as nobody writes
        self._is_writing = False
        self._is_open = True

    def __len__(self) -> int:
        return len(self._jobs) + (len(self._gathered) if self._gathered else 0)

    def add(self, job: J) -> None:
        """From any thread: to be taken at once, or with what is waiting."""
        self._put([job])

    def gather(self, job: J, loop: asyncio.AbstractEventLoop) -> None:
        """From this loop: to be taken with what comes in at the same moment."""
        gathered = self._gathered
        if gathered is None or gathered.loop is not loop:
            gathered = self._gathered = Gathered(loop, self._hear_ready, most=self._most)
        gathered.add(job)

    def batches(self) -> Iterator[list[J]]:
        """For the writer's thread: batch after batch, until all that came before `end` is taken."""
        goes_on = True
        while goes_on:
            goes_on = self._bell.get()
            self._is_writing = True
            while batch := self._take():
                yield batch
            self._is_writing = False
            for gathered in _emptied(self._ready):
                with contextlib.suppress(RuntimeError):  # that loop has ended
                    gathered.loop.call_soon_threadsafe(gathered.resume)

    def share(self) -> None:
        """What was just written gives somebody else work."""
        self._shared = SHARED_BATCHES

    def end(self) -> None:
        """Let the writer finish what is here; what comes later is refused."""
        if self._gathered is not None:
            self._jobs.extend(self._gathered.take())
        self._take_ready()
        self._is_open = False
        self._bell.put(False)

    def refuse_rest(self) -> None:
        """The writer has gone: nobody waits for ever."""
        while batch := self._take():
            self._refuse(batch)

    def _hear_ready(self, gathered: Gathered[J]) -> None:
        self._ready.append(gathered)  # said first: a writer that is done just now sees it
        if not self._is_writing:
            self._take_ready()

    def _take_ready(self) -> None:
        for gathered in _emptied(self._ready):
            self._put(gathered.take())

    def _put(self, jobs: Sequence[J]) -> None:
        self._jobs.extend(jobs)
        self._bell.put(True)
        if not self._is_open:
            self.refuse_rest()

    def _take(self) -> list[J]:
        batch: list[J] = []
        most = self._most
        if self._shared:
            most = min(max(SHARED_MIN, (len(self._jobs) + 1) // 2), SHARED_MAX)
        for job in _emptied(self._jobs):
            if job.is_wanted():
                batch.append(job)
            if len(batch) == most:
                break
        if batch and self._shared:
            self._shared -= 1
        return batch


def _emptied(items: "deque[T]") -> Iterator[T]:
    """What is there, one after the other, whoever else takes from it too."""
    with contextlib.suppress(IndexError):
        while True:
            yield items.popleft()
