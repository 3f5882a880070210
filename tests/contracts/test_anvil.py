"""The same client on another EVM, one that reorganises and stalls: nothing is devchain's alone."""

import asyncio
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from contracts import connection
from contracts.artifact import FILE
from contracts.client import SettlementChain, address_of
from contracts.terms import Batch, ChainUnavailable
from coordinator.rules import RoundState
from node.kernel.evm_address import checksummed
from tests.contracts.district import (
    CHAIN_ID,
    OFFICE_KEY,
    STRANGER_KEY,
    District,
    LocalChain,
    Moment,
    found_district,
)
from tests.contracts.refusals import refused
from tests.coordinator.fakes import FakeMember, found_office

pytestmark = pytest.mark.npm

PACKAGE = "@foundry-rs/anvil-linux-amd64"
START_TIMEOUT_SECONDS = 20


@dataclass
class Anvil:
    """A foreign EVM with the tests' tricks: `ask` reaches its own methods."""

    process: subprocess.Popen[bytes]
    url: str

    def ask(self, method: str, *params: Any) -> Any:
        body: Any = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return requests.post(self.url, json=body, timeout=10).json()["result"]


@pytest.fixture
def anvil(tmp_path: Path) -> Iterator[Anvil]:
    packaged = FILE.parent / "node_modules" / PACKAGE / "bin" / "anvil"
    program = str(packaged) if packaged.exists() else shutil.which("anvil")
    if program is None:
        pytest.skip(f"anvil is missing; `npm install --no-save {PACKAGE}` in contracts/ brings it")
    log = tmp_path / "anvil.log"
    options = ("--host", "127.0.0.1", "--port", "0", "--hardfork", "prague")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, *options, "--chain-id", str(CHAIN_ID)], stdout=output, stderr=output
        )
    try:
        served = Anvil(process, f"http://{_listening(log)}")
        for key in (OFFICE_KEY, STRANGER_KEY):
            served.ask("anvil_setBalance", address_of(key), hex(10**21))
        yield served
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(START_TIMEOUT_SECONDS)


def _listening(log: Path) -> str:
    give_up_at = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < give_up_at:
        _, found, rest = log.read_text(encoding="utf-8").partition("Listening on ")
        if found and rest.endswith("\n"):
            return rest.strip()
        time.sleep(0.05)
    raise TimeoutError(log.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class AbroadMember(FakeMember):
    """Signs for the contract with its real key."""

    chain: SettlementChain

    def sign_batch(self, batch: Batch) -> bytes:
        return self.chain.sign_batch(batch, self.keys.settlement_private_key)


@pytest.fixture
def abroad(anvil: Anvil, tmp_path: Path) -> District:
    """Communities 1 and 2 on the foreign EVM."""
    local = LocalChain(tmp_path / "unused", Moment(time.time()))
    local.url = anvil.url
    district = found_district(local)
    for number in (1, 2):
        district.register(number)
    return district


def test_settling_and_refusing_are_the_same_here(abroad: District) -> None:
    batch = abroad.batch({1: -90, 2: 90})
    prepared = abroad.prepare(batch)
    assert abroad.chain.receipt(prepared.hash) is None
    for _ in range(3):
        abroad.chain.send(prepared)
    assert abroad.chain.wait(prepared.hash, 10).succeeded
    abroad.chain.assert_chain()
    (settled,) = abroad.chain.settled_batches(0, 10**9)
    assert settled.entries == batch.entries
    assert refused(lambda: abroad.prepare(batch)) == (
        "chain.stale_sequence",
        {"community": 1, "sequence": 0, "expected": 1},
    )
    assert refused(lambda: abroad.prepare(abroad.batch({1: -90, 2: 91}))) == (
        "chain.not_zero_sum",
        {"sumMinutes": 1},
    )
    assert abroad.chain.block_hash(10**6) is None


def test_after_a_reorganisation_the_same_signatures_settle_again(
    abroad: District, anvil: Anvil
) -> None:
    batch = abroad.batch({1: -90, 2: 90})
    signatures = abroad.signatures(batch)
    receipt = abroad.apply(abroad.prepare(batch, signatures))
    anvil.ask("anvil_reorg", 1, [])
    assert abroad.chain.block_hash(receipt.block_number) != receipt.block_hash
    assert abroad.chain.receipt(receipt.transaction_hash) is None
    assert abroad.chain.settled_batches(0, 10**9) == []
    assert abroad.balances(1, 2) == [0, 0]
    abroad.apply(abroad.prepare(batch, signatures))
    assert abroad.balances(1, 2) == [-90, 90]


def test_the_office_sends_again_what_was_undone(anvil: Anvil, tmp_path: Path) -> None:
    """A round that was settled when its block went: open again, and once on the chain."""
    local = LocalChain(tmp_path / "unused", Moment(time.time()))
    local.url = anvil.url
    chain = found_district(local).chain
    office = found_office(tmp_path / "office")
    for number, name in enumerate("AB", 1):
        member = office.admit(name, tmp_path)
        signer = checksummed(member.keys.settlement_address)
        chain.send(chain.prepare_register(number, signer, 600, sender_key=OFFICE_KEY))
        office.members[name] = AbroadMember(name, member.keys, chain)
    office.clock.moment = datetime.now(UTC)  # the foreign EVM goes by it
    office.chain = chain  # type: ignore[assignment]  # a real one in the fake's place
    office.open_round()
    office.state("A", office.statement("A", "B", minutes=90))
    office.state("B")
    asyncio.run(office.work())
    office.sign("A", "B")
    asyncio.run(office.work())
    first = office.round()
    assert first.state is RoundState.SETTLED
    anvil.ask("anvil_reorg", 1, [])
    assert chain.settled_batches(0, 10**9) == []
    asyncio.run(office.work())
    again = office.round()
    assert (again.state, again.transaction_hash) == (RoundState.SETTLED, first.transaction_hash)
    assert len(chain.settled_batches(0, 10**9)) == 1
    assert chain.position(1).balance_minutes == -90
    office.database.close()


def test_what_was_sent_into_a_stall_lands_once(
    abroad: District, anvil: Anvil, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = abroad.prepare(abroad.batch({1: -90, 2: 90}))
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT_SECONDS", 0.5)
    impatient = SettlementChain(
        anvil.url, contract_address=abroad.chain.contract_address, chain_id=CHAIN_ID
    )
    anvil.process.send_signal(signal.SIGSTOP)
    for _ in range(2):
        with pytest.raises(ChainUnavailable):
            impatient.send(prepared)
    anvil.process.send_signal(signal.SIGCONT)
    abroad.chain.send(prepared)
    assert abroad.chain.wait(prepared.hash, 10).succeeded
    assert abroad.balances(1, 2) == [-90, 90]
    assert len(abroad.chain.settled_batches(0, 10**9)) == 1


def test_two_relays_race_with_the_same_batch_and_one_lands(abroad: District, anvil: Anvil) -> None:
    batch = abroad.batch({1: -90, 2: 90})
    signatures = abroad.signatures(batch)
    anvil.ask("evm_setAutomine", False)
    both = [
        abroad.chain.prepare_settle(batch, signatures, sender_key=key)
        for key in (OFFICE_KEY, STRANGER_KEY)
    ]
    for prepared in both:
        abroad.chain.send(prepared)
    anvil.ask("evm_mine")
    receipts = [abroad.chain.receipt(prepared.hash) for prepared in both]
    assert sorted(one.succeeded for one in receipts if one is not None) == [False, True]
    anvil.ask("evm_setAutomine", True)
    assert abroad.balances(1, 2) == [-90, 90]
    (settled,) = abroad.chain.settled_batches(0, 10**9)
    assert settled.round_id == batch.round_id, "the one that lost sees it here"
    assert refused(lambda: abroad.prepare(batch, signatures))[0] == "chain.stale_sequence"
