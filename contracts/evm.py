"""One EVM chain in one SQLite file: a transaction in, a durable block out.

The machine is py-evm (Prague rules); this module adds what py-evm leaves out: a store that
survives kill -9, blocks stamped with the time at which they are made, and reverts as bytes.
"""

import fcntl
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from eth.abc import BlockAPI, BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI
from eth.chains.base import MiningChain
from eth.constants import BLANK_ROOT_HASH, ZERO_ADDRESS
from eth.db.atomic import AtomicDB
from eth.db.backends.base import BaseDB
from eth.exceptions import CanonicalHeadNotFound, Revert, TransactionNotFound
from eth.vm.forks.prague import PragueVM
from eth.vm.spoof import SpoofTransaction
from eth_typing import Address, BlockNumber, Hash32
from eth_utils.exceptions import ValidationError

GENESIS_BALANCE_WEI = 10**24
BLOCK_GAS_MAX = 30_000_000
# EIP-150 keeps back a 64th of the gas at every call; an estimate must leave room for it.
ESTIMATE_ROOM = 1.05


class ChainFileError(Exception):
    """The file cannot carry this chain: in use, unreadable, or another chain's."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class CallReverted(Exception):
    """The contract said no; `data` is its encoded error."""

    def __init__(self, data: bytes) -> None:
        super().__init__("execution reverted")
        self.data = data


class TransactionRefused(Exception):
    """A transaction that no block can take: wrong nonce, no funds, wrong chain."""


@dataclass(frozen=True)
class Call:
    """What eth_call and eth_estimateGas ask: a transaction that nobody signed."""

    sender: bytes
    to: bytes
    data: bytes
    value: int = 0
    gas: int = BLOCK_GAS_MAX


class SqliteStore(BaseDB):
    """py-evm's key-value store, in one table."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __getitem__(self, key: bytes) -> bytes:
        row = self.connection.execute("SELECT value FROM node WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return cast(bytes, row[0])

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.connection.execute(
            "INSERT INTO node VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (key, value),
        )

    def __delitem__(self, key: bytes) -> None:
        if self.connection.execute("DELETE FROM node WHERE key = ?", (key,)).rowcount == 0:
            raise KeyError(key)

    def _exists(self, key: bytes) -> bool:
        found = self.connection.execute("SELECT 1 FROM node WHERE key = ?", (key,)).fetchone()
        return found is not None


class _Chain(MiningChain):
    vm_configuration = ((BlockNumber(0), PragueVM),)


class DurableChain:
    """Makes a block per transaction, and has it on disk before the sender hears of it.

    Not safe for several threads: the server holds one lock around every call.
    """

    def __init__(
        self, path: Path, *, chain_id: int, funded: Iterable[bytes], clock: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._lock_file = _lock(path)
        try:
            self._connection = _open(path)
        except ChainFileError:
            self._lock_file.close()
            raise
        self.chain_id = chain_id
        self._kind = type("Chain", (_Chain,), {"chain_id": chain_id})
        self._base = AtomicDB(SqliteStore(self._connection))
        if held := self._connection.execute("SELECT chain_id FROM chain").fetchone():
            self._chain = self._resume(path, held=held[0])
        else:
            with self._transaction():  # the file is a chain's from its first block on
                self._connection.execute("INSERT INTO chain VALUES (?)", (chain_id,))
                self._chain = self._begin(funded)

    def close(self) -> None:
        """Lets another process have the file; the SQLite log is folded in."""
        self._connection.close()
        self._lock_file.close()

    def head(self) -> BlockAPI:
        return self.block_at(self._head_header().block_number)

    def block_at(self, number: int) -> BlockAPI:
        """The block with that number; py-evm's HeaderNotFound when there is none."""
        return self._chain.get_canonical_block_by_number(BlockNumber(number))

    def block_by_hash(self, block_hash: bytes) -> BlockAPI:
        """The block with that hash; py-evm's HeaderNotFound when there is none."""
        return self._chain.get_block_by_hash(Hash32(block_hash))

    def header_at(self, number: int) -> BlockHeaderAPI:
        """The header alone, much cheaper than its block."""
        return self._chain.get_canonical_block_header_by_number(BlockNumber(number))

    def receipts(self, block: BlockAPI) -> tuple[ReceiptAPI, ...]:
        return tuple(block.get_receipts(self._chain.chaindb))

    def find(self, transaction_hash: bytes) -> tuple[BlockAPI, int] | None:
        """The block that holds a transaction and the place in it."""
        try:
            number, index = self._chain.get_canonical_transaction_index(Hash32(transaction_hash))
        except TransactionNotFound:
            return None
        return self.block_at(number), index

    def state(self, number: int) -> Any:
        """The accounts as they stood after that block (py-evm's StateAPI)."""
        return self._chain.get_vm(self._next_header(self.header_at(number))).state

    def send(self, raw: bytes) -> SignedTransactionAPI:
        """Puts a signed transaction into a block of its own, on disk before this returns.

        A transaction that reverts is mined too, with status 0, as on every chain.
        """
        try:
            transaction = self._chain.get_vm().get_transaction_builder().decode(raw)
            transaction.validate()
            expected = self.state(self._head_header().block_number).get_nonce(transaction.sender)
        except Exception as error:  # py-evm and rlp share no base class for bytes they cannot read
            raise TransactionRefused(f"invalid transaction: {error}") from error
        if transaction.chain_id != self.chain_id:
            raise TransactionRefused(f"signed for chain {transaction.chain_id}")
        if self.find(transaction.hash) is not None:
            raise TransactionRefused("already known")
        if transaction.nonce != expected:
            side = "low" if transaction.nonce < expected else "high"
            raise TransactionRefused(
                f"nonce too {side}: next nonce {expected}, transaction nonce {transaction.nonce}"
            )
        try:
            with self._transaction():
                self._chain.header = self._next_header(self._head_header())
                self._chain.mine_all([transaction])
        except ValidationError as error:
            raise TransactionRefused(str(error)) from error
        return transaction

    def call(self, call: Call, *, number: int) -> bytes:
        """What the contract would answer after that block; CallReverted when it says no."""
        return cast(bytes, self._execute(call, number=number).output)

    def estimate(self, call: Call, *, number: int) -> int:
        """Gas that suffices, tried out; CallReverted when no amount would."""
        most = self._execute(call, number=number)
        state = self._execute_state(number)
        transaction = self._spoof(call, nonce=state.get_nonce(Address(call.sender)))
        needed = call.gas - most.get_gas_remaining()
        candidate = int(max(needed, transaction.intrinsic_gas) * ESTIMATE_ROOM)
        # EIP-7623: calldata sets a floor under the whole transaction.
        tokens = 4 * len(call.data) - 3 * call.data.count(0)
        candidate = max(candidate, 21_000 + 10 * tokens)
        while candidate < call.gas:
            attempt = Call(call.sender, call.to, call.data, call.value, candidate)
            try:
                self._execute(attempt, number=number)
            except CallReverted:
                candidate = candidate * 3 // 2
            else:
                return candidate
        return call.gas

    def _execute_state(self, number: int) -> Any:
        # Base fee zero: a question costs nothing, so its asker need own nothing.
        header = self._next_header(self.header_at(number)).copy(base_fee_per_gas=0)
        return self._chain.get_vm(header).state

    def _execute(self, call: Call, *, number: int) -> Any:
        state = self._execute_state(number)
        transaction = self._spoof(call, nonce=state.get_nonce(Address(call.sender)))
        try:
            computation = state.apply_transaction(transaction)
        except ValidationError as error:
            raise TransactionRefused(str(error)) from error
        if not computation.is_error:
            return computation
        if isinstance(computation.error, Revert):
            raise CallReverted(bytes(computation.error.args[0]) if computation.error.args else b"")
        raise CallReverted(b"")

    def _spoof(self, call: Call, *, nonce: int) -> Any:
        builder: Any = self._chain.get_vm().get_transaction_builder()
        unsigned = builder.new_unsigned_dynamic_fee_transaction(
            chain_id=self.chain_id,
            nonce=nonce,
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=call.gas,
            to=Address(call.to),
            value=call.value,
            data=call.data,
            access_list=(),
        )
        return SpoofTransaction(unsigned, from_=Address(call.sender))

    def _head_header(self) -> BlockHeaderAPI:
        return self._chain.get_canonical_head()

    def _next_header(self, parent: BlockHeaderAPI) -> BlockHeaderAPI:
        """The header after `parent`, stamped now: py-evm would keep the parent's moment."""
        return self._chain.create_header_from_parent(
            parent,
            timestamp=max(int(self._clock()), parent.timestamp + 1),
            gas_limit=parent.gas_limit,
        )

    def _resume(self, path: Path, *, held: int) -> MiningChain:
        if held != self.chain_id:
            raise ChainFileError(
                "devchain.other_chain", f"{path} holds chain {held}, not chain {self.chain_id}."
            )
        try:
            return cast(MiningChain, self._kind(self._base))
        except CanonicalHeadNotFound as error:
            raise ChainFileError(
                "devchain.file_unreadable", f"{path} has lost its head."
            ) from error

    def _begin(self, funded: Iterable[bytes]) -> MiningChain:
        account = {"balance": GENESIS_BALANCE_WEI, "nonce": 0, "code": b"", "storage": {}}
        genesis = {
            "coinbase": ZERO_ADDRESS,
            "gas_limit": BLOCK_GAS_MAX,
            "receipt_root": BLANK_ROOT_HASH,
            "transaction_root": BLANK_ROOT_HASH,
            "timestamp": int(self._clock()),
        }
        state = {Address(address): account for address in funded}
        return cast(MiningChain, self._kind.from_genesis(self._base, genesis, state))  # type: ignore[attr-defined]  # the class is made at run time

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of a block, or nothing of it: one SQLite transaction, synced at its end."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _lock(path: Path) -> IO[str]:
    """One process per file: the head is held in memory, so two would overwrite each other."""
    try:
        file = open(f"{path}.lock", "w")  # noqa: SIM115 held for the life of the chain
    except OSError as error:
        raise ChainFileError(
            "devchain.file_unreadable", f"{path} cannot be opened: {error.strerror}."
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise ChainFileError(
            "devchain.file_in_use", f"{path} is already served by another devchain."
        ) from error
    return file


def _open(path: Path) -> sqlite3.Connection:
    """The file's connection, after a look at every page: a cut file must not start a new chain."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not tables <= {"node", "chain"}:
            raise sqlite3.DatabaseError("it is another program's")
        for (finding,) in connection.execute("PRAGMA quick_check(1)"):
            if finding != "ok":
                raise sqlite3.DatabaseError(finding)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS node (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"
        )
        connection.execute("CREATE TABLE IF NOT EXISTS chain (chain_id INTEGER NOT NULL)")
    except sqlite3.Error as error:
        raise ChainFileError(
            "devchain.file_unreadable", f"{path} is not a chain's database: {error}."
        ) from error
    return connection
