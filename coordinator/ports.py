"""What the outside must offer to the office: contracts.client and superlink.py have it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from contracts.terms import Batch, BatchSettled, Position, Receipt, SignedTransaction
from coordinator.superlink import TrainingPlan, TrainingResult


class Chain(Protocol):
    """One HourSettlement contract. Calls block; they raise ChainUnavailable and ChainRefused."""

    def head(self) -> tuple[int, bytes]: ...

    def block_hash(self, number: int) -> bytes | None: ...

    def position(self, number: int) -> Position: ...

    def signer_of(self, batch: Batch, signature: bytes) -> str: ...

    def prepare_settle(
        self, batch: Batch, signatures: Sequence[bytes], *, sender_key: bytes
    ) -> SignedTransaction: ...

    def prepare_register(
        self, number: int, signer: str, debt_limit_minutes: int, *, sender_key: bytes
    ) -> SignedTransaction: ...

    def send(self, signed: SignedTransaction) -> None: ...

    def receipt(self, transaction_hash: bytes) -> Receipt | None: ...

    def settled_batches(self, from_block: int, to_block: int) -> list[BatchSettled]: ...


class Trainer(Protocol):
    """Flower's service. A refusal of it is a DomainError."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def register_supernode(self, public_key_path: Path) -> None: ...

    async def run_training(self, plan: TrainingPlan) -> TrainingResult: ...
