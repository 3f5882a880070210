"""What two communities say to each other, as the domain sees it (protos/peer.proto is the wire)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


class Body:
    """The content of a message. Subclasses are frozen dataclasses of ids, amounts and times."""


@dataclass(frozen=True)
class Refusal(Body):
    """The other side said no, for good, and signed it."""

    code: str
    detail: str


@dataclass(frozen=True)
class Sealed:
    """A message as it travels: its bytes and the sender's Ed25519 signature over them."""

    payload: bytes
    signature: bytes


@dataclass(frozen=True)
class Envelope:
    """A message with who says it to whom. Answers name the question in `in_reply_to`."""

    message_id: UUID
    sender: str
    recipient: str
    sent_at: datetime
    body: Body
    in_reply_to: UUID | None = None
    sealed: Sealed | None = field(default=None, compare=False, repr=False)  # as it came, if it did


class Sealer(Protocol):
    """Signs in the name of this community; app.py hands the real one in."""

    @property
    def community(self) -> str: ...

    def seal(self, envelope: Envelope) -> Sealed: ...

    def encode(self, envelope: Envelope) -> bytes: ...

    def sign_many(self, payloads: Sequence[bytes]) -> list[bytes]: ...

    def sign_statement(self, payload: bytes) -> bytes: ...

    def has_signed(self, sealed: Sealed) -> bool: ...
