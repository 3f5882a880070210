"""What the outside must offer to the domain, as Protocols; app.py hands the real ones in."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time now, aware and in UTC."""

    def now(self) -> datetime: ...
