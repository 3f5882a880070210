"""What home and host say to each other about one exchange."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from node.kernel.messages import Body


@dataclass(frozen=True)
class PassSlip(Body):
    """The pass itself, signed by home and carried by hand as QR code or paper slip."""

    pass_id: UUID
    host: str
    minutes_up_to: int
    expires_at: datetime
    code: str


@dataclass(frozen=True)
class PresentPass(Body):
    """Host to home: somebody showed this pass; mark it accepted for this exchange."""

    exchange_id: UUID
    code: str


@dataclass(frozen=True)
class PassAccepted(Body):
    """Home's answer: up to so many minutes, to be captured before `capture_until`."""

    exchange_id: UUID
    pass_id: UUID
    minutes_up_to: int
    capture_until: datetime


@dataclass(frozen=True)
class RequestCapture(Body):
    """Host to home: the help was given and confirmed by both; pay these minutes."""

    exchange_id: UUID
    pass_id: UUID
    minutes: int


@dataclass(frozen=True)
class Receipt(Body):
    """Home's signed word that the minutes are paid."""

    exchange_id: UUID
    pass_id: UUID
    home: str
    host: str
    minutes: int
    captured_at: datetime


@dataclass(frozen=True)
class ReleasePass(Body):
    """Host to home: the help was not given; give the minutes back."""

    exchange_id: UUID
    pass_id: UUID


@dataclass(frozen=True)
class PassReleased(Body):
    """Home's answer: the minutes are back with its resident."""

    exchange_id: UUID
