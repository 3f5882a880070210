"""What the council tells the rest of the node."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from node.kernel.events import Event


@dataclass(frozen=True)
class MotionProposed(Event):
    """A motion was moved. Who would have to carry out its `rule_change` may refuse it here."""

    motion_id: UUID
    rule_change: Mapping[str, Any] | None


@dataclass(frozen=True)
class MotionCarried(Event):
    """The residents' vote carried a motion: it is a resolution now."""

    motion_id: UUID
    rule_change: Mapping[str, Any] | None


@dataclass(frozen=True)
class MotionClosed(Event):
    """The residents' vote on a motion has ended, one way or the other."""

    motion_id: UUID
    is_carried: bool
