"""Where time comes from: the system in life, a number we turn ourselves in simulation and tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class SystemClock:
    """The machine's time, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class VirtualClock:
    """A clock that only moves when told to."""

    moment: datetime = EPOCH

    def now(self) -> datetime:
        return self.moment

    def advance(self, step: timedelta) -> None:
        assert step >= timedelta(0), "time does not go back"
        self.moment += step
