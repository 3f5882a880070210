"""A chain with the contract and a few communities on it, for the tests of this folder."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from contracts.client import SettlementChain, address_of
from contracts.deploy import deploy
from contracts.devchain import DevchainServer
from contracts.evm import DurableChain
from contracts.rpc import Rpc
from contracts.terms import Batch, BatchEntry, Receipt, SignedTransaction

CHAIN_ID = 20260
START_SECONDS = 1_790_000_000
OFFICE_KEY = b"\x01" * 32
STRANGER_KEY = b"\x02" * 32
LIMIT_MINUTES = 600
GUARANTOR_LIMIT_MINUTES = 1_000


def community_key(number: int, *, generation: int = 0) -> bytes:
    """The same key for the same community in every run, so that gas figures repeat."""
    return bytes([generation + 3]) * 28 + number.to_bytes(4, "big")


@dataclass
class Moment:
    """A clock that tests move."""

    seconds: float = START_SECONDS

    def __call__(self) -> float:
        return self.seconds


@dataclass
class LocalChain:
    """A devchain in this process, on a free port, under a clock that tests move."""

    path: Path
    clock: Moment = field(default_factory=Moment)

    def __enter__(self) -> Self:
        funded = [bytes.fromhex(address_of(key)[2:]) for key in (OFFICE_KEY, STRANGER_KEY)]
        self._chain = DurableChain(self.path, chain_id=CHAIN_ID, funded=funded, clock=self.clock)
        self._server = DevchainServer(("127.0.0.1", 0), rpc=Rpc(self._chain))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        with self._server.lock:
            self._chain.close()


@dataclass
class District:
    """The contract, its office, and communities by number."""

    chain: SettlementChain
    clock: Moment
    url: str

    def register(self, number: int, *, limit: int = LIMIT_MINUTES) -> None:
        signer = address_of(community_key(number))
        self.apply(self.chain.prepare_register(number, signer, limit, sender_key=OFFICE_KEY))

    def batch(self, deltas: Mapping[int, int], *, label: int = 1) -> Batch:
        """A batch as it should be: right sequences, ascending, an hour to run."""
        entries = [
            BatchEntry(number, delta, self.chain.position(number).sequence, bytes([number]) * 32)
            for number, delta in deltas.items()
        ]
        deadline = int(self.clock()) + 3600
        return Batch(bytes([label]) * 32, bytes([label + 1]) * 32, deadline, tuple(entries))

    def signatures(self, batch: Batch) -> list[bytes]:
        return [self.chain.sign_batch(batch, community_key(one.community)) for one in batch.entries]

    def prepare(self, batch: Batch, signatures: list[bytes] | None = None) -> SignedTransaction:
        signed = self.signatures(batch) if signatures is None else signatures
        return self.chain.prepare_settle(batch, signed, sender_key=STRANGER_KEY)

    def settle(self, deltas: Mapping[int, int]) -> Receipt:
        return self.apply(self.prepare(self.batch(deltas)))

    def apply(self, transaction: SignedTransaction) -> Receipt:
        self.chain.send(transaction)
        return self.chain.wait(transaction.hash, 10)

    def balances(self, *numbers: int) -> list[int]:
        return [self.chain.position(number).balance_minutes for number in numbers]


def found_district(local: LocalChain) -> District:
    """Deploys the contract; nobody is registered yet."""
    address, _ = deploy(
        local.url, chain_id=CHAIN_ID, sender_key=OFFICE_KEY, admin=address_of(OFFICE_KEY)
    )
    chain = SettlementChain(local.url, contract_address=address, chain_id=CHAIN_ID)
    return District(chain, local.clock, local.url)
