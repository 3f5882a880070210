"""What the office remembers: communities, certificates, models, rounds. Never a resident."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, UniqueConstraint, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from coordinator.rules import RoundState
from node.kernel.db import Moment


class OfficeBase(DeclarativeBase):
    """Parent of every table of the office."""

    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy's own form)
        datetime: Moment(),
        UUID: Uuid(),
        bytes: LargeBinary(),
    }


class CommunityState(StrEnum):
    INVITED = "invited"
    ACTIVE = "active"
    REVOKED = "revoked"


class TransactionState(StrEnum):
    STORED = "stored"  # may or may not have been sent
    MINED = "mined"
    UNDONE = "undone"  # mined, and reverted by the contract
    DEAD = "dead"  # its nonce went to another transaction


class TrainingState(StrEnum):
    REQUESTED = "requested"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class OfficeFact(OfficeBase):
    """One thing the office knows about itself: an address it listens on, its contract."""

    __tablename__ = "office_fact"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Community(OfficeBase):
    """A member of the district, with the public halves of its keys. `number` is the chain's."""

    __tablename__ = "community"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    state: Mapped[CommunityState]
    number: Mapped[int | None] = mapped_column(unique=True)
    peer_address: Mapped[str | None]
    signing_public_key: Mapped[bytes | None] = mapped_column(unique=True)
    settlement_address: Mapped[bytes | None] = mapped_column(unique=True)
    flower_public_key: Mapped[str | None]
    approved_at: Mapped[datetime | None]
    on_chain_at: Mapped[datetime | None]
    in_training_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    adopted_arm: Mapped[str | None]  # what the node chooses to tell
    model_sha256: Mapped[str | None]


class Invitation(OfficeBase):
    """A one-time secret, kept as its hash, and the one application that it was used for."""

    __tablename__ = "invitation"
    secret_sha256: Mapped[bytes] = mapped_column(primary_key=True)
    community_id: Mapped[str] = mapped_column(ForeignKey("community.id"), index=True)
    invited_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
    fingerprint: Mapped[bytes | None]
    csr_pem: Mapped[str | None]
    peer_address: Mapped[str | None]
    signing_public_key: Mapped[bytes | None]
    settlement_address: Mapped[bytes | None]
    flower_public_key: Mapped[str | None]
    approved_at: Mapped[datetime | None]
    certificate_serial: Mapped[str | None]


class Certificate(OfficeBase):
    """A member certificate. Calls are accepted only under one that stands here unrevoked."""

    __tablename__ = "certificate"
    serial: Mapped[str] = mapped_column(primary_key=True)
    community_id: Mapped[str] = mapped_column(ForeignKey("community.id"), index=True)
    pem: Mapped[str]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class TrainingRun(OfficeBase):
    """A training of the forecaster, and the model it left in DIR/models/<sha256>."""

    __tablename__ = "training_run"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[TrainingState]
    rounds: Mapped[int]
    min_nodes: Mapped[int]
    local_steps: Mapped[int]
    seed: Mapped[int]
    attempt: Mapped[int]
    requested_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    flower_run: Mapped[str | None]
    sha256: Mapped[str | None] = mapped_column(index=True)
    card_json: Mapped[str | None]
    failure: Mapped[str | None]


class ModelWithdrawn(OfficeBase):
    """A model that is not offered any more; the one before it is the district's latest again."""

    __tablename__ = "model_withdrawn"
    sha256: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    withdrawn_at: Mapped[datetime]


class TrainingSchedule(OfficeBase):
    """When trainings begin by themselves. One row, or none."""

    __tablename__ = "training_schedule"
    id: Mapped[int] = mapped_column(primary_key=True)
    next_at: Mapped[datetime]
    every_days: Mapped[int]
    rounds: Mapped[int]
    min_nodes: Mapped[int]  # 0: more than half of the members
    local_steps: Mapped[int]


class ToldError(OfficeBase):
    """A community's own error under one arm, where its operator chose to tell it."""

    __tablename__ = "told_error"
    community_id: Mapped[str] = mapped_column(ForeignKey("community.id"), primary_key=True)
    model_sha256: Mapped[str] = mapped_column(primary_key=True)
    arm: Mapped[str] = mapped_column(primary_key=True)
    total_mae: Mapped[float]
    data_from: Mapped[str]
    data_to: Mapped[str]
    told_at: Mapped[datetime]


class Round(OfficeBase):
    """A settlement round. `round_id` and the batch belong to the present attempt."""

    __tablename__ = "round"
    number: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[RoundState]
    attempt: Mapped[int]
    round_id: Mapped[bytes] = mapped_column(unique=True)
    opened_at: Mapped[datetime]
    closes_at: Mapped[datetime]  # of the present state
    signing_seconds: Mapped[int]
    ended_at: Mapped[datetime | None]
    batch: Mapped[bytes | None]  # a serialized BatchProposal
    left_out_json: Mapped[str]  # {community id: why it is not in the batch}
    minutes: Mapped[int]
    transaction_hash: Mapped[bytes | None]
    failure: Mapped[str | None]


class SubmittedPosition(OfficeBase):
    """What a community says it owes, both-signed; serialized as it came."""

    __tablename__ = "submitted_position"
    round_number: Mapped[int] = mapped_column(ForeignKey("round.number"), primary_key=True)
    community_id: Mapped[str] = mapped_column(ForeignKey("community.id"), primary_key=True)
    ledger_head: Mapped[bytes]
    statements: Mapped[bytes]
    submitted_at: Mapped[datetime]


class SubmittedSignature(OfficeBase):
    """A community's yes to the batch of one attempt."""

    __tablename__ = "submitted_signature"
    round_id: Mapped[bytes] = mapped_column(primary_key=True)
    community_id: Mapped[str] = mapped_column(ForeignKey("community.id"), primary_key=True)
    signature: Mapped[bytes]
    submitted_at: Mapped[datetime]


class Transaction(OfficeBase):
    """A signed transaction, here before it is sent, and sent until its fate is known."""

    __tablename__ = "transaction"
    __table_args__ = (
        UniqueConstraint("purpose", "nonce"),
        CheckConstraint("length(hash) = 32"),
    )
    hash: Mapped[bytes] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(index=True)
    raw: Mapped[bytes]
    nonce: Mapped[int]
    state: Mapped[TransactionState] = mapped_column(index=True)
    stored_at: Mapped[datetime]
    block_number: Mapped[int | None]


class SettledStatement(OfficeBase):
    """A statement that is in a settled batch; it is never put into another one."""

    __tablename__ = "settled_statement"
    debtor: Mapped[str] = mapped_column(primary_key=True)
    statement_id: Mapped[str] = mapped_column(primary_key=True)
    round_number: Mapped[int] = mapped_column(ForeignKey("round.number"), index=True)


class BatchSeen(OfficeBase):
    """A settled batch as the chain tells it."""

    __tablename__ = "batch_seen"
    transaction_hash: Mapped[bytes] = mapped_column(primary_key=True)
    round_id: Mapped[bytes] = mapped_column(index=True)
    block_number: Mapped[int]
    block_hash: Mapped[bytes]
    communities: Mapped[int]
    minutes: Mapped[int]
    seen_at: Mapped[datetime]
