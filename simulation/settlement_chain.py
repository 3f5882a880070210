"""HourSettlement's rules on a chain in memory that stops, forgets blocks, and is asked by all.

It stands at the ports of node and office. Signatures are the real ones (EIP-712, secp256k1); what
HourSettlement.sol checks when it settles is checked here, refusal by refusal.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from contracts.consent import Consents
from contracts.terms import (
    Batch,
    BatchEntry,
    BatchSettled,
    ChainRefused,
    ChainUnavailable,
    Position,
    Receipt,
    SignedTransaction,
    Status,
)

CONTRACT_ADDRESS = "0x" + "51" * 20
CHAIN_ID = 31_337
NOBODY = "0x" + "00" * 20
GAS_USED = 100_000

Settle = tuple[Batch, tuple[bytes, ...]]


@dataclass(frozen=True)
class Block:
    """A block, and what the contract's storage was after it."""

    hash: bytes
    transactions: tuple[SignedTransaction, ...]
    receipts: tuple[Receipt, ...]
    events: tuple[BatchSettled, ...]
    positions: dict[int, Position]


@dataclass
class SimulatedChain:
    """One contract on one chain. A transaction waits in the pool until `mine`."""

    timestamp: Callable[[], int]
    on_send: Callable[[], None]
    is_down: bool = False
    consents: Consents = field(default_factory=lambda: Consents(CONTRACT_ADDRESS, CHAIN_ID))
    blocks: list[Block] = field(default_factory=list)
    pool: list[SignedTransaction] = field(default_factory=list)
    calls: dict[bytes, Settle] = field(default_factory=dict)
    forks: int = 0

    def found(self, signers: Sequence[str], *, debt_limit_minutes: int) -> None:
        """The first block: communities 1, 2, 3… in the order of their signers."""
        positions = {
            number: Position(number, signer, 0, debt_limit_minutes, 0, Status.ACTIVE)
            for number, signer in enumerate(signers, 1)
        }
        self.blocks = [Block(b"\0" * 32, (), (), (), positions)]

    contract_address = CONTRACT_ADDRESS

    def at(self, contract_address: str) -> "SimulatedChain":
        """There is only this one."""
        assert contract_address == CONTRACT_ADDRESS
        return self

    def successor(self) -> str | None:
        self._answer()
        return None

    def head(self) -> tuple[int, bytes]:
        self._answer()
        return len(self.blocks) - 1, self.blocks[-1].hash

    def block_hash(self, number: int) -> bytes | None:
        self._answer()
        return self.blocks[number].hash if 0 <= number < len(self.blocks) else None

    def position(self, number: int) -> Position:
        self._answer()
        unknown = Position(number, NOBODY, 0, 0, 0, Status.UNKNOWN)
        return self.blocks[-1].positions.get(number, unknown)

    def recovery(self, number: int) -> tuple[str, int] | None:
        self._answer()
        return None

    def settled_batches(self, from_block: int, to_block: int) -> list[BatchSettled]:
        self._answer()
        span = self.blocks[max(0, from_block) : to_block + 1]
        return [event for block in span for event in block.events]

    def digest(self, batch: Batch) -> bytes:
        return self.consents.batch_digest(batch)

    def sign_batch(self, batch: Batch, private_key: bytes) -> bytes:
        return self.consents.sign_batch(batch, private_key)

    def signer_of(self, batch: Batch, signature: bytes) -> str:
        return self.consents.signer_of(batch, signature)

    def prepare_settle(
        self, batch: Batch, signatures: Sequence[bytes], *, sender_key: bytes
    ) -> SignedTransaction:
        self._answer()
        self._settled(self.blocks[-1].positions, batch, signatures)  # raises, as eth_call does
        nonce = self._mined_count() + len(self.pool)
        content = [nonce, batch.round_id.hex(), [one.hex() for one in signatures], len(self.calls)]
        raw = json.dumps(content).encode()
        transaction = SignedTransaction(hashlib.sha256(raw).digest(), raw, nonce)
        self.calls[transaction.hash] = (batch, tuple(signatures))
        return transaction

    def prepare_register(
        self, number: int, signer: str, debt_limit_minutes: int, *, sender_key: bytes
    ) -> SignedTransaction:
        raise ChainRefused("chain.already_registered", "Everybody was here from the first block.")

    def send(self, signed: SignedTransaction) -> None:
        self._answer()
        if self._receipt(signed.hash) is not None or signed in self.pool:
            return
        if signed.nonce < self._mined_count():
            raise ChainRefused("chain.nonce_used", "That nonce went to another transaction.")
        self.pool.append(signed)
        self.on_send()

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        self._answer()
        return self._receipt(transaction_hash)

    def mine(self) -> None:
        """The next block: everything in the pool whose nonce is next."""
        positions, nonce = dict(self.blocks[-1].positions), self._mined_count()
        number, taken = len(self.blocks), list[SignedTransaction]()
        content = f"{number}/{self.blocks[-1].hash.hex()}/{self.forks}"
        block_hash = hashlib.sha256(content.encode()).digest()
        receipts, events = [], []
        for transaction in sorted(self.pool, key=lambda one: one.nonce):
            if transaction.nonce != nonce + len(taken):
                continue
            taken.append(transaction)
            batch, signatures = self.calls[transaction.hash]
            try:
                positions = self._settled(positions, batch, signatures)
            except ChainRefused:
                succeeded = False
            else:
                succeeded = True
                where = (number, block_hash, transaction.hash)
                events.append(
                    BatchSettled(batch.round_id, batch.merkle_root, batch.entries, *where)
                )
            at = (number, block_hash, GAS_USED, None)
            receipts.append(Receipt(transaction.hash, succeeded, *at))
        self.pool = [one for one in self.pool if one not in taken]
        block = Block(block_hash, tuple(taken), tuple(receipts), tuple(events), positions)
        self.blocks.append(block)

    def reorganise(self, depth: int, *, forgets: bool) -> None:
        """Another branch replaces the last blocks, as long; `forgets`: its pool is empty."""
        gone = self.blocks[-depth:]
        del self.blocks[-depth:]
        self.forks += 1
        if not forgets:
            self.pool += [one for block in gone for one in block.transactions]
        for _ in gone:
            waiting, self.pool = self.pool, []  # the new branch was made elsewhere
            self.mine()
            self.pool = waiting

    def balances(self) -> dict[int, int]:
        """What the contract says at the head, for the one who checks."""
        return {one.community: one.balance_minutes for one in self.blocks[-1].positions.values()}

    def _settled(
        self, positions: dict[int, Position], batch: Batch, signatures: Sequence[bytes]
    ) -> dict[int, Position]:
        """The storage after this batch; raises ChainRefused as the contract reverts, in its order.

        tests/contracts/test_simulated_chain.py holds it against the contract itself.
        """
        now, count = self.timestamp(), len(batch.entries)
        if batch.deadline < now:
            raise _refusal("expired", deadline=batch.deadline, timestamp=now)
        if not batch.entries:
            raise _refusal("empty_batch", roundId="0x" + batch.round_id.hex())
        if count != len(signatures):
            raise _refusal("signature_count_mismatch", entries=count, signatures=len(signatures))
        after, last, total = dict(positions), -1, 0
        for entry, signature in zip(batch.entries, signatures, strict=True):
            if entry.community <= last:
                raise _refusal("not_ascending", previous=last, community=entry.community)
            signer = self._recovered(batch, signature)
            after[entry.community] = _moved(positions.get(entry.community), entry, signer)
            last, total = entry.community, total + entry.delta_minutes
        if total != 0:
            raise _refusal("not_zero_sum", sumMinutes=total)
        return after

    def _recovered(self, batch: Batch, signature: bytes) -> str:
        try:
            return self.consents.signer_of(batch, signature)
        except ChainRefused:  # no key has made it
            return NOBODY

    def _receipt(self, transaction_hash: bytes) -> Receipt | None:
        receipts = (one for block in reversed(self.blocks) for one in block.receipts)
        return next((one for one in receipts if one.transaction_hash == transaction_hash), None)

    def _mined_count(self) -> int:
        return sum(len(block.transactions) for block in self.blocks)

    def _answer(self) -> None:
        if self.is_down:
            raise ChainUnavailable("The chain does not answer.")


def _moved(old: Position | None, entry: BatchEntry, signer: str) -> Position:
    """A community's position after its entry; raises ChainRefused as the contract reverts."""
    who = entry.community
    if old is None or old.status is not Status.ACTIVE:
        raise _refusal("not_active", community=who, status=old.status if old else Status.UNKNOWN)
    if entry.sequence != old.sequence:
        said = entry.sequence
        raise _refusal("stale_sequence", community=who, sequence=said, expected=old.sequence)
    if signer != old.signer:
        raise _refusal("bad_signature", community=who, signer=old.signer.lower())
    if entry.delta_minutes == 0:
        raise _refusal("zero_minutes", community=who)
    balance, limit = old.balance_minutes + entry.delta_minutes, old.debt_limit_minutes
    if entry.delta_minutes < 0 and balance < -limit:
        figures = {"balanceMinutes": balance, "debtLimitMinutes": limit}
        raise _refusal("debt_limit_exceeded", community=who, **figures)
    return replace(old, balance_minutes=balance, sequence=old.sequence + 1)


def _refusal(name: str, **figures: int | str) -> ChainRefused:
    """What the client makes of the contract's custom error of that name."""
    return ChainRefused(f"chain.{name}", f"The contract refused: {name} {figures}", figures)
