"""Who may come in, how often, and with how old a message: limits of the door, not of the books."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from node.kernel.errors import DomainError

CALLS_A_MINUTE_MAX = 12_000  # of one peer; one call at a time at full speed stays below
AHEAD_MAX = timedelta(hours=1)  # a clock that runs ahead by more is wrong
AGE_MAX = timedelta(days=60)  # a peer may be away for weeks; no promise lives that long


class ClockAhead(DomainError):
    code = "peer.clock_ahead"
    message = "This message is from {minutes} minutes ahead of our clock. Set the clocks."
    retryable = True


class MessageTooOld(DomainError):
    code = "peer.message_too_old"
    message = "This message is {days} days old; it is taken for {limit} days."


def check_time(*, sent_at: datetime, now: datetime) -> None:
    """Raises ClockAhead or MessageTooOld for a message from outside the window.

    ClockAhead decides nothing: the sender asks again, and is heard once the clocks agree.
    """
    if sent_at - now > AHEAD_MAX:
        raise ClockAhead(minutes=int((sent_at - now).total_seconds() // 60))
    if now - sent_at > AGE_MAX:
        raise MessageTooOld(days=(now - sent_at).days, limit=AGE_MAX.days)


class CallLimit:
    """Counts each peer's calls by the minute, in this process."""

    def __init__(
        self, *, calls_max: int = CALLS_A_MINUTE_MAX, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._calls_max = calls_max
        self._seconds = seconds
        self._minute = 0
        self._calls: dict[str, int] = {}

    def admits(self, peer: str) -> bool:
        """Whether this peer may call once more in this minute; counts the call."""
        minute = int(self._seconds() // 60)
        if minute != self._minute:
            self._minute, self._calls = minute, {}
        self._calls[peer] = self._calls.get(peer, 0) + 1
        return self._calls[peer] <= self._calls_max
