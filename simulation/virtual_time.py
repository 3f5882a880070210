"""An asyncio event loop whose clock jumps to the next thing that happens: thirty days in seconds.

Everything that a simulated district does is a callback or a task of this one loop, in one thread,
so its queue is the only order there is: same seed, same history.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

from node.kernel.clock import EPOCH, VirtualClock

P = ParamSpec("P")
T = TypeVar("T")

TICK_SECONDS = 1e-6  # two moments nearer than this are one


class NothingLeft(Exception):
    """Everybody waits for somebody: nothing will ever happen again."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs what is due now; when nothing is, turns the clock to what is due next."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._seconds = (clock.now() - EPOCH).total_seconds()
        super().__init__(_Jump(self._jump))
        self._clock_resolution = TICK_SECONDS
        self.set_default_executor(_AtOnce())

    def time(self) -> float:
        """Virtual seconds since the clock's beginning."""
        return self._seconds

    def at(self, moment: datetime, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back at this virtual moment, or now if it is past."""
        when = (moment - EPOCH).total_seconds()
        return self.call_at(max(when, self._seconds), callback)

    def _jump(self, seconds: float) -> None:
        self._seconds += seconds
        target = EPOCH + timedelta(microseconds=round(self._seconds * 1_000_000))
        self._clock.advance(max(target - self._clock.now(), timedelta(0)))

    def _write_to_self(self) -> None:
        """Nobody has to be woken: there is no other thread."""


class _Jump(selectors.SelectSelector):
    """Waits for no file: a wait moves the clock instead."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingLeft
        if timeout > 0:
            self._jump(timeout)
        return []


class _AtOnce(ThreadPoolExecutor):
    """Runs what was meant for a thread at once, so that threads bring in no order of their own."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        answer: Future[T] = Future()
        try:
            answer.set_result(fn(*args, **kwargs))
        except Exception as failure:
            answer.set_exception(failure)
        return answer
