"""Transactions: signed, stored, sent until their fate is known, and only then signed again."""

import asyncio
from collections.abc import Callable

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from contracts.terms import ChainRefused, Receipt, SignedTransaction
from coordinator.model import Transaction, TransactionState
from coordinator.ports import Chain
from node.kernel.db import Database
from node.kernel.ports import Clock

NONCE_USED = "chain.nonce_used"

log = structlog.get_logger()

Prepare = Callable[[], SignedTransaction]
OnStored = Callable[[Session, SignedTransaction], None]


class Sender:
    """Sends for the relay key, one transaction at a time: whoever uses it takes turns.

    Each purpose ("register/3", "settle/<round id>") has at most one transaction whose fate is
    open. After a crash it is found in the database and sent again, the very same bytes.
    """

    def __init__(self, database: Database, clock: Clock, chain: Chain, *, confirmations: int):
        self._database = database
        self._clock = clock
        self._chain = chain
        self._confirmations = confirmations

    def stored(self, purpose: str) -> SignedTransaction | None:
        """The transaction for this purpose whose fate is open."""
        with self._database.read() as session:
            row = session.scalars(
                select(Transaction).where(
                    Transaction.purpose == purpose, Transaction.state == TransactionState.STORED
                )
            ).first()
            return SignedTransaction(row.hash, row.raw, row.nonce) if row else None

    def count(self, purpose: str) -> int:
        """How many transactions were ever signed for this purpose."""
        with self._database.read() as session:
            return session.scalars(
                select(func.count()).select_from(Transaction).where(Transaction.purpose == purpose)
            ).one()

    async def store(
        self, purpose: str, prepare: Prepare, on_stored: OnStored | None = None
    ) -> SignedTransaction:
        """Sign and keep; what else becomes true with it happens in the same database transaction.

        ChainRefused if the call would fail: then nothing is kept.
        """
        signed = await asyncio.to_thread(prepare)

        def keep(session: Session) -> None:
            session.add(
                Transaction(
                    hash=signed.hash,
                    purpose=purpose,
                    raw=signed.raw,
                    nonce=signed.nonce,
                    state=TransactionState.STORED,
                    stored_at=self._clock.now(),
                )
            )
            if on_stored is not None:
                on_stored(session, signed)

        await self._database.run(keep)
        return signed

    async def advance(self, signed: SignedTransaction) -> Receipt | None:
        """Send, and look how it went; None while that is open, so call it again.

        A transaction whose nonce went to another one is marked dead: `stored` has none then.
        """
        receipt = await asyncio.to_thread(self._chain.receipt, signed.hash)
        if receipt is None:
            try:
                await asyncio.to_thread(self._chain.send, signed)
            except ChainRefused as refused:
                if refused.code != NONCE_USED:
                    raise
                await self._mark(signed, TransactionState.DEAD)
                log.warning("transaction_dead", hash=signed.hash.hex(), nonce=signed.nonce)
                return None
            receipt = await asyncio.to_thread(self._chain.receipt, signed.hash)
        if receipt is None or not await self._is_deep_enough(receipt):
            return None
        state = TransactionState.MINED if receipt.succeeded else TransactionState.UNDONE
        await self._mark(signed, state, block_number=receipt.block_number)
        return receipt

    async def give_up(self, signed: SignedTransaction) -> None:
        """The caller knows that the contract would undo it: let another one take its place."""
        await self._mark(signed, TransactionState.DEAD)

    @staticmethod
    def reopen(session: Session, purpose: str) -> None:
        """The block that had it is gone: the same bytes may be sent again."""
        mined = (Transaction.purpose == purpose, Transaction.state == TransactionState.MINED)
        for row in session.scalars(select(Transaction).where(*mined)):
            row.state, row.block_number = TransactionState.STORED, None

    async def _is_deep_enough(self, receipt: Receipt) -> bool:
        if self._confirmations <= 1:
            return True
        head, _ = await asyncio.to_thread(self._chain.head)
        return head - receipt.block_number + 1 >= self._confirmations

    async def _mark(
        self, signed: SignedTransaction, state: TransactionState, block_number: int | None = None
    ) -> None:
        def mark(session: Session) -> None:
            row = session.get_one(Transaction, signed.hash)
            row.state = state
            row.block_number = block_number

        await self._database.run(mark)
