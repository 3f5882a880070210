"""The words that the chain and its users share: what is settled, and how the chain says no.

Plain dataclasses without web3, so that a node can speak of batches while no chain is configured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """Where a community stands with the contract."""

    UNKNOWN = 0
    ACTIVE = 1
    EXITED = 2


@dataclass(frozen=True)
class BatchEntry:
    """One community's share of a batch; `sequence` is its next one, from `Position`."""

    community: int
    delta_minutes: int
    sequence: int
    ledger_head: bytes


@dataclass(frozen=True)
class Batch:
    """What the communities sign: entries strictly ascending by community, summing to zero."""

    round_id: bytes
    merkle_root: bytes
    deadline: int  # seconds since 1970; the contract refuses the batch after it
    entries: tuple[BatchEntry, ...]


@dataclass(frozen=True)
class Position:
    """A community as the contract knows it; its next consent must use `sequence`."""

    community: int
    signer: str
    balance_minutes: int
    debt_limit_minutes: int
    sequence: int
    status: Status


@dataclass(frozen=True)
class BatchSettled:
    """A batch that the chain has taken; final as far as its block is."""

    round_id: bytes
    merkle_root: bytes
    entries: tuple[BatchEntry, ...]
    block_number: int
    block_hash: bytes
    transaction_hash: bytes


@dataclass(frozen=True)
class SignedTransaction:
    """A transaction ready to send: store it before sending, and send only this one again."""

    hash: bytes
    raw: bytes
    nonce: int


@dataclass(frozen=True)
class Receipt:
    """A transaction that is in a block: `succeeded`, or mined and undone."""

    transaction_hash: bytes
    succeeded: bool
    block_number: int
    block_hash: bytes
    gas_used: int
    contract_address: str | None


class ChainUnavailable(Exception):
    """The chain did not answer, or not in time; nothing is known, so ask again later."""

    code = "chain.unavailable"
    retryable = True


class ChainRefused(Exception):
    """The chain said no, for a reason that stays until something changes.

    `code` is stable ("chain.debt_limit_exceeded", "chain.stale_sequence"); `details` holds the
    contract's own figures by the names that HourSettlement.sol gives them.
    """

    retryable = False

    def __init__(
        self, code: str, sentence: str, details: Mapping[str, int | str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.details: dict[str, int | str] = dict(details or {})
