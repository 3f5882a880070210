"""Statements that a pair signed, batches we were asked to sign, and how far we read the chain."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel.db import Base


class StatementState(StrEnum):
    """Once both have signed, a statement is never unmade: it waits until it is settled."""

    PROPOSED = "proposed"  # the creditor has not agreed yet
    WITHDRAWN = "withdrawn"  # the creditor refused, and a receipt in it is in dispute
    AGREED = "agreed"  # both signed
    SETTLED = "settled"  # in a batch that the chain has


class Statement(Base):
    """What a debtor owes a creditor for a set of receipts; the same row on both sides."""

    __tablename__ = "statement"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    debtor: Mapped[str]
    creditor: Mapped[str]
    count: Mapped[int]
    minutes: Mapped[int] = mapped_column(BigInteger)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    debtor_signature: Mapped[bytes] = mapped_column(LargeBinary)
    creditor_signature: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str]
    proposals: Mapped[int] = mapped_column(default=0)
    is_proposal_open: Mapped[bool] = mapped_column(default=False)  # asked, no answer yet
    made_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    transaction_hash: Mapped[str | None]


class Batch(Base):
    """A batch the office proposed and we checked and signed (stored before it is sent)."""

    __tablename__ = "batch"
    round_id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    merkle_root: Mapped[bytes] = mapped_column(LargeBinary)  # over all statements of the batch
    contract: Mapped[str] = mapped_column(default="")  # the one that it was signed for
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    delta_minutes: Mapped[int] = mapped_column(BigInteger)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    signed_at: Mapped[datetime]
    transaction_hash: Mapped[str | None]
    block_number: Mapped[int | None]


class BatchStatement(Base):
    """Which of our statements a batch would settle."""

    __tablename__ = "batch_statement"
    round_id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    statement_id: Mapped[UUID] = mapped_column(primary_key=True)
    path: Mapped[bytes | None] = mapped_column(LargeBinary)  # up to the batch's Merkle root


class ChainCheckpoint(Base):
    """The last block whose events are in our books: one row."""

    __tablename__ = "chain_checkpoint"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    block_number: Mapped[int]
    block_hash: Mapped[bytes] = mapped_column(LargeBinary)
    contract: Mapped[str] = mapped_column(default="")  # the oldest whose events may be missing


class ChainAlarm(Base):
    """Something about us on the chain that people have to look at; gone when it is over."""

    __tablename__ = "chain_alarm"
    kind: Mapped[str] = mapped_column(primary_key=True)
    detail: Mapped[str]  # JSON: codes, ids, addresses and figures; their words are made when read
    since: Mapped[datetime]


class PassedOver(Base):
    """A settled batch that the operator told the chain watch not to book, and what it was."""

    __tablename__ = "batch_passed_over"
    round_id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    asked_at: Mapped[datetime]
    delta_minutes: Mapped[int | None] = mapped_column(BigInteger)  # ours; None: not met yet
    block_number: Mapped[int | None]
