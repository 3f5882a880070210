"""What a debtor and a creditor say to each other about their receipts."""

from dataclasses import dataclass
from uuid import UUID

from node.kernel.messages import Body


@dataclass(frozen=True)
class StatementContent:
    """What both sides sign: so many receipts, so many minutes, this Merkle root."""

    statement_id: UUID
    debtor: str
    creditor: str
    count: int
    minutes: int
    merkle_root: bytes
    exchange_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class ProposeStatement(Body):
    """Debtor to creditor: this is what I owe you. `payload` is the statement as both sign it."""

    content: StatementContent
    payload: bytes
    debtor_signature: bytes


@dataclass(frozen=True)
class StatementAgreed(Body):
    """Creditor's answer: so it stands in my books too."""

    statement_id: UUID
    creditor_signature: bytes


@dataclass(frozen=True)
class StatementDiffers(Body):
    """Creditor's answer: I miss the receipts of these exchanges; ask again."""

    statement_id: UUID
    missing: tuple[UUID, ...]
