"""Accounts, journal entries, postings and holds: what the books remember."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import cast
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Table, text
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel import append_only
from node.kernel.db import Base
from node.kernel.rows import Rows


class Unit(StrEnum):
    """The two things the books count. They never convert into each other."""

    MINUTES = "minutes"
    POINTS = "points"


class HoldState(StrEnum):
    """Where promised value stands. Only OPEN can change."""

    OPEN = "open"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"


class Account(Base):
    """A purse of one unit. `balance - held` may never fall below `floor` (0 or less)."""

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint("held >= 0", name="account_held_not_negative"),
        CheckConstraint("floor <= 0", name="account_floor_not_positive"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    unit: Mapped[str]
    kind: Mapped[str]
    owner: Mapped[str] = mapped_column(index=True)
    floor: Mapped[int] = mapped_column(BigInteger)
    balance: Mapped[int] = mapped_column(BigInteger, default=0)
    held: Mapped[int] = mapped_column(BigInteger, default=0)
    last_sequence: Mapped[int | None]  # the entry of its newest posting


class JournalEntry(Base):
    """One movement of value, linked by hash to the one before it. Append-only."""

    __tablename__ = "journal_entry"
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(unique=True)
    recorded_at: Mapped[datetime]
    reason: Mapped[str]
    refers_to: Mapped[UUID | None]
    reverses: Mapped[UUID | None] = mapped_column(unique=True)
    previous_hash: Mapped[str]
    hash: Mapped[str]


class Posting(Base):
    """One leg of a journal entry: `amount` into (+) or out of (-) an account. Append-only.

    Each names the one before it on its account, so a statement walks back from `last_sequence`: an
    index by account would cost every entry a page for each of its legs.
    """

    __tablename__ = "posting"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="posting_amount_not_zero"),
        {"sqlite_with_rowid": False},
    )
    sequence: Mapped[int] = mapped_column(ForeignKey("journal_entry.sequence"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    amount: Mapped[int] = mapped_column(BigInteger)
    previous: Mapped[int | None]  # the account's posting before: its entry
    balance: Mapped[int] = mapped_column(BigInteger)  # of the account, after this posting


class JournalHead(Base):
    """The last entry's number and hash: one row, locked by whoever writes the next entry."""

    __tablename__ = "journal_head"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int]
    hash: Mapped[str]


class Hold(Base):
    """Value promised but not yet paid: kept back from the payer until captured, voided, expired."""

    __tablename__ = "hold"
    __table_args__ = (
        CheckConstraint("amount > 0", name="hold_amount_positive"),
        Index(
            "hold_by_expiry",
            "state",
            "expires_at",
            sqlite_where=text("expires_at IS NOT NULL"),
            postgresql_where=text("expires_at IS NOT NULL"),
        ),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    payer_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    payee_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    amount: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(default=HoldState.OPEN)
    placed_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]  # None: in doubt, nobody but the other side may end it
    closed_at: Mapped[datetime | None]
    captured_amount: Mapped[int | None] = mapped_column(BigInteger)


@dataclass(slots=True)
class AccountRow:
    """An account inside a transaction."""

    id: UUID
    unit: str
    kind: str
    floor: int
    balance: int
    held: int
    last_sequence: int | None

    @property
    def available(self) -> int:
        """What it can still give, its credit included."""
        return self.balance - self.held - self.floor


@dataclass(slots=True)
class HoldRow:
    """A hold inside a transaction."""

    id: UUID
    payer_id: UUID
    payee_id: UUID
    amount: int
    reason: str
    state: str
    expires_at: datetime | None
    captured_amount: int | None


@dataclass(slots=True)
class EntryRow:
    """An entry inside a transaction, as a repeat of it is compared."""

    id: UUID
    sequence: int
    reason: str
    refers_to: UUID | None
    reverses: UUID | None


@dataclass(slots=True)
class HeadRow:
    """The journal's head inside a transaction."""

    id: int
    sequence: int
    hash: str


ACCOUNT = cast(Table, Account.__table__)
ENTRY = cast(Table, JournalEntry.__table__)
POSTING = cast(Table, Posting.__table__)
HEAD = cast(Table, JournalHead.__table__)
HOLD = cast(Table, Hold.__table__)

ACCOUNTS = Rows(ACCOUNT, AccountRow, stays=True)
HOLDS = Rows(HOLD, HoldRow)
ENTRIES = Rows(ENTRY, EntryRow, key=ENTRY.c.id)
HEADS = Rows(HEAD, HeadRow, stays=True)

append_only.refuse_changes(ENTRY)
append_only.refuse_changes(POSTING)
