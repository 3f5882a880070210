"""A real devchain process: durable, shared, careful about who and what it listens to."""

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from contracts.client import address_of
from contracts.connection import Connection
from contracts.devchain import BATCH_CALLS_MAX, CHAIN_ID, REQUEST_BYTES_MAX
from contracts.evm import ChainFileError
from contracts.rpc import METHODS
from contracts.terms import ChainUnavailable, SignedTransaction
from tests.contracts.district import (
    OFFICE_KEY,
    STRANGER_KEY,
    District,
    LocalChain,
    Moment,
    community_key,
    found_district,
)

START_TIMEOUT_SECONDS = 30
KILLS = 4
SENDERS, SENDS_EACH = 4, 5


@dataclass
class Served:
    """A devchain in its own process; `found_district` needs only its address."""

    process: subprocess.Popen[str]
    url: str

    def ask(self, method: str, *params: Any) -> dict[str, Any]:
        body: Any = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return cast(dict[str, Any], requests.post(self.url, json=body, timeout=10).json())


def command(data: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "contracts.devchain", "--data", str(data), *options]


@contextmanager
def devchain(data: Path, *, fund: Sequence[bytes] = ()) -> Iterator[Served]:
    options = [part for key in fund for part in ("--fund", address_of(key))]
    process = subprocess.Popen(
        command(data, "--rpc", "127.0.0.1:0", *options), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        assert ready["chain_id"] == CHAIN_ID
        yield Served(process, ready["rpc"])
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_SECONDS)


def refused_start(data: Path, *options: str) -> str:
    done = subprocess.run(
        command(data, *options), capture_output=True, text=True, timeout=START_TIMEOUT_SECONDS
    )
    assert done.returncode == 2
    assert done.stdout == ""
    return done.stderr.split(":")[0]


def settled_district(served: Served) -> District:
    local = LocalChain(Path("served by another process"))
    local.url = served.url
    district = found_district(local)
    now = int(served.ask("eth_getBlockByNumber", "latest", False)["result"]["timestamp"], 16)
    district.clock = Moment(now)
    for number in (1, 2):
        district.register(number)
    district.settle({1: -90, 2: 90})
    return district


def facts(served: Served, transaction: str) -> list[object]:
    asked: list[tuple[Any, ...]] = [
        ("eth_getBlockByNumber", "latest", True),
        ("eth_getTransactionReceipt", transaction),
        ("eth_getTransactionByHash", transaction),
        ("eth_getBalance", address_of(OFFICE_KEY), "latest"),
        ("eth_getBalance", address_of(OFFICE_KEY), "0x1"),
        ("eth_getTransactionCount", address_of(OFFICE_KEY), "latest"),
        ("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"}),
    ]
    return [served.ask(*question)["result"] for question in asked]


def test_kill_minus_nine_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    data = tmp_path / "chain.sqlite"
    with devchain(data, fund=[OFFICE_KEY, STRANGER_KEY]) as served:
        district = settled_district(served)
        settled = district.chain.settled_batches(0, 100)
        transaction = "0x" + settled[0].transaction_hash.hex()
        before = facts(served, transaction)
        os.kill(served.process.pid, signal.SIGKILL)
        served.process.wait(START_TIMEOUT_SECONDS)
    with devchain(data) as served:
        assert facts(served, transaction) == before
        again = found_chain(district, served)
        assert again.chain.settled_batches(0, 100) == settled
        assert again.balances(1, 2) == [-90, 90]
        again.settle({1: -10, 2: 10})
        assert again.balances(1, 2) == [-100, 100]


def found_chain(district: District, served: Served) -> District:
    """The same district at the address where its chain came back."""
    from contracts.client import SettlementChain

    chain = SettlementChain(
        served.url, contract_address=district.chain.contract_address, chain_id=CHAIN_ID
    )
    chain.assert_chain()
    return District(chain, district.clock, served.url)


def test_killed_at_random_moments_it_keeps_every_acknowledged_block(tmp_path: Path) -> None:
    """Method: seed 11; a sender writes while the process dies four times; every block is read."""
    chance = random.Random(11)  # noqa: S311 dice, not keys
    data, acknowledged = tmp_path / "chain.sqlite", list[SignedTransaction]()
    for _ in range(KILLS):
        with devchain(data, fund=[OFFICE_KEY]) as served:
            chain = Connection(served.url, chain_id=CHAIN_ID)
            for sent in acknowledged:
                chain.send(sent)  # known already: the chain would refuse it if it had forgotten
                assert chain.wait(sent.hash, 5).succeeded
            killer = threading.Timer(chance.uniform(0.05, 0.4), served.process.kill)
            answered = len(acknowledged)
            try:
                while True:
                    if len(acknowledged) == answered + 1:  # however slow the machine is
                        killer.start()
                    prepared = chain.prepare(
                        to=address_of(STRANGER_KEY), data=b"", sender_key=OFFICE_KEY
                    )
                    chain.send(prepared)
                    acknowledged.append(prepared)
            except ChainUnavailable:
                killer.join()
            served.process.wait(START_TIMEOUT_SECONDS)
    assert len(acknowledged) >= KILLS
    with devchain(data) as served:
        blocks = [
            served.ask("eth_getBlockByNumber", hex(n), False)["result"]
            for n in range(int(served.ask("eth_blockNumber")["result"], 16) + 1)
        ]
    assert all(child["parentHash"] == parent["hash"] for parent, child in pairwise(blocks))
    assert {"0x" + one.hash.hex() for one in acknowledged} <= {
        transaction for block in blocks for transaction in block["transactions"]
    }


SENDER = """
import sys
from contracts.client import address_of
from contracts.connection import Connection
chain, key = Connection(sys.argv[1], chain_id=int(sys.argv[2])), bytes.fromhex(sys.argv[3])
for _ in range(int(sys.argv[4])):
    sent = chain.prepare(to=address_of(key), data=b"", sender_key=key)
    chain.send(sent)
    assert chain.wait(sent.hash, 20).succeeded
"""


def test_several_processes_share_it(tmp_path: Path) -> None:
    keys = [community_key(number) for number in range(SENDERS)]
    with devchain(tmp_path / "chain.sqlite", fund=keys) as served:
        senders = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    SENDER,
                    served.url,
                    str(CHAIN_ID),
                    key.hex(),
                    str(SENDS_EACH),
                ]
            )
            for key in keys
        ]
        assert [sender.wait(60) for sender in senders] == [0] * SENDERS
        head = int(served.ask("eth_blockNumber")["result"], 16)
        assert head == SENDERS * SENDS_EACH


def test_it_serves_what_web3_asks_and_nothing_more(tmp_path: Path) -> None:
    with devchain(tmp_path / "chain.sqlite", fund=[OFFICE_KEY]) as served:
        assert served.ask("eth_accounts")["result"] == []
        fees = served.ask("eth_feeHistory", "0x5", "latest", [10, 50])["result"]
        assert fees["oldestBlock"] == "0x0"
        assert len(fees["baseFeePerGas"]) == len(fees["reward"]) + 1 == 2
        for method in ("eth_sendTransaction", "evm_mine", "personal_unlockAccount", "nonsense"):
            assert method not in METHODS
            assert served.ask(method, {})["error"]["code"] == -32601
        for method, *params in (
            ("eth_getBalance", "0x12"),
            ("eth_getBalance", 7),
            ("eth_sendRawTransaction", "0xzz"),
            ("eth_getBlockByNumber", "soon"),
            ("eth_call", "0x"),
            ("eth_chainId", "too", "many"),
        ):
            assert served.ask(method, *params)["error"]["code"] == -32602
        assert served.ask("eth_sendRawTransaction", "0x02")["error"]["code"] == -32000
        assert (
            served.ask("eth_sendRawTransaction", "0x" + "00" * 200_000)["error"]["code"] == -32000
        )
        assert served.ask("eth_getBlockByNumber", "0x63")["result"] is None
        assert served.ask("eth_getBalance", "0x" + "00" * 20, "0x63")["error"]["code"] == -32000
        assert served.ask("eth_chainId")["result"] == hex(CHAIN_ID)  # alive after all that


def test_it_limits_and_distrusts_requests(tmp_path: Path) -> None:
    with devchain(tmp_path / "chain.sqlite") as served:
        call: Any = {"jsonrpc": "2.0", "id": 5, "method": "eth_chainId", "params": []}
        batch = requests.post(served.url, json=[call, call], timeout=10).json()
        assert [one["result"] for one in batch] == [hex(CHAIN_ID)] * 2
        many = requests.post(served.url, json=[call] * (BATCH_CALLS_MAX + 1), timeout=10).json()
        assert many["error"]["code"] == -32600
        page = {"Origin": "http://a.page"}
        assert requests.post(served.url, json=call, headers=page, timeout=10).status_code == 403
        assert requests.post(served.url, data=b"{", timeout=10).status_code == 400
        port = int(served.url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            length = REQUEST_BYTES_MAX + 1
            raw.settimeout(10)
            raw.sendall(f"POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
            assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_it_does_not_start_in_the_wrong_place(tmp_path: Path) -> None:
    data = tmp_path / "chain.sqlite"
    with devchain(data) as served:
        port = served.url.rsplit(":", 1)[1]
        other = tmp_path / "other.sqlite"
        assert refused_start(other, "--rpc", f"127.0.0.1:{port}") == "devchain.port_in_use"
        assert refused_start(data, "--rpc", "127.0.0.1:0") == "devchain.file_in_use"
    assert refused_start(data, "--rpc", "127.0.0.1:0", "--chain-id", "7") == "devchain.other_chain"
    assert refused_start(data, "--rpc", "0.0.0.0:0") == "devchain.not_loopback"
    garbage = tmp_path / "garbage.sqlite"
    garbage.write_bytes(b"not a database at all" * 100)
    assert refused_start(garbage, "--rpc", "127.0.0.1:0") == "devchain.file_unreadable"
    ledger = tmp_path / "ledger.sqlite"
    with sqlite3.connect(ledger) as database:
        database.execute("CREATE TABLE account (id INTEGER)")
    assert refused_start(ledger, "--rpc", "127.0.0.1:0") == "devchain.file_unreadable"
    missing = tmp_path / "no" / "folder.sqlite"
    assert refused_start(missing, "--rpc", "127.0.0.1:0") == "devchain.file_unreadable"


def test_a_clean_stop_takes_a_second(tmp_path: Path) -> None:
    with devchain(tmp_path / "chain.sqlite") as served:
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(5) == 0


@pytest.mark.parametrize("cut_at", [100, 4096, 9000])
def test_a_cut_file_is_refused(tmp_path: Path, cut_at: int) -> None:
    data = tmp_path / "chain.sqlite"
    with LocalChain(data):
        pass
    assert data.stat().st_size > cut_at
    data.write_bytes(data.read_bytes()[:cut_at])
    with pytest.raises(ChainFileError) as refused:
        LocalChain(data).__enter__()
    assert refused.value.code == "devchain.file_unreadable"
