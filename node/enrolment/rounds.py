"""What the office tells and asks of a member, and what settlement must offer to answer it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from contracts.terms import Batch


class RoundState(StrEnum):
    COLLECTING = "collecting"
    SIGNING = "signing"
    SENDING = "sending"
    SETTLED = "settled"
    EMPTY = "empty"
    FAILED = "failed"


@dataclass(frozen=True)
class RoundNotice:
    """The district's latest settlement round, as it concerns this community."""

    round_id: bytes  # of the present attempt
    number: int
    state: RoundState
    closes_at: datetime  # of the present state
    has_position: bool  # ours has arrived
    has_signature: bool  # ours for this attempt has arrived
    needs_signature: bool  # we are an entry of the proposed batch
    transaction_hash: bytes | None

    @property
    def has_ended(self) -> bool:
        return self.state in (RoundState.SETTLED, RoundState.EMPTY, RoundState.FAILED)


@dataclass(frozen=True)
class SignedStatement:
    """A pair's statement (serialized peer_pb2.Statement) with both Ed25519 signatures."""

    payload: bytes
    debtor_signature: bytes
    creditor_signature: bytes


@dataclass(frozen=True)
class Position:
    """What we owe: the statements in which we are the debtor, and the head of our books."""

    ledger_head: bytes
    statements: tuple[SignedStatement, ...]


@dataclass(frozen=True)
class BatchProposal:
    """A batch to check and sign; its Merkle root is over `statements` in their order."""

    batch: Batch
    statements: tuple[bytes, ...]


@dataclass(frozen=True)
class Report:
    """What this node chooses to tell the office about its forecasts; empty for nothing."""

    model_sha256: str = ""
    adopted_arm: str = ""
    errors: Mapping[str, float] = field(default_factory=dict)  # arm -> requests a day
    data_from: str = ""  # YYYY-MM-DD
    data_to: str = ""


@dataclass(frozen=True)
class News:
    """What the office has to tell."""

    directory_version: int
    model_sha256: str
    round: RoundNotice | None
    bundle_sha256: str = ""  # of the training code that nodes will be asked to run


@dataclass(frozen=True)
class Model:
    """A trained model whose bytes have this hash, and its card."""

    sha256: str
    content: bytes
    card_json: str


class RoundHandler(Protocol):
    """Settlement's side of a round. Everything may be asked again; the answers stay the same."""

    async def state_position(self, notice: RoundNotice) -> Position | None:
        """Our position, once all is countersigned or time runs out; None: ask again soon."""
        ...

    async def sign_batch(self, notice: RoundNotice, proposal: BatchProposal) -> bytes | None:
        """Our EIP-712 signature, stored before it is returned; None if we do not agree."""
        ...

    async def round_ended(self, notice: RoundNotice) -> None:
        """The round came to its end; told again after a restart."""
        ...
