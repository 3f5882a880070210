"""What the outside must offer to the domain, as Protocols; app.py hands the real ones in."""

from datetime import datetime
from typing import Protocol

from contracts.terms import Batch, BatchSettled, Position


class Clock(Protocol):
    """The time now, aware and in UTC."""

    def now(self) -> datetime: ...


class Chain(Protocol):
    """The settlement contract on some chain. Calls block; raise ChainUnavailable, ChainRefused."""

    @property
    def contract_address(self) -> str: ...

    def at(self, contract_address: str) -> "Chain":
        """Another contract on the same chain."""
        ...

    def successor(self) -> str | None:
        """The contract that carries on from here, once this one is retired."""
        ...

    def head(self) -> tuple[int, bytes]: ...

    def block_hash(self, number: int) -> bytes | None: ...

    def position(self, number: int) -> Position: ...

    def recovery(self, number: int) -> tuple[str, int] | None:
        """The key announced for a community that lost its own, and when it takes over."""
        ...

    def settled_batches(self, from_block: int, to_block: int) -> list[BatchSettled]: ...

    def digest(self, batch: Batch) -> bytes: ...

    def sign_batch(self, batch: Batch, private_key: bytes) -> bytes: ...
