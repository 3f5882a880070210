"""What the forecast tells the rest of the node: days and numbers of people."""

from dataclasses import dataclass
from datetime import date

from node.kernel.events import Event


@dataclass(frozen=True)
class HelpersNeeded(Event):
    """On this day more requests are expected than the people on duty can handle."""

    day: date
    people: int  # how many more


@dataclass(frozen=True)
class HelpersNotNeeded(Event):
    """The people on duty will do on this day, as it looks now."""

    day: date
