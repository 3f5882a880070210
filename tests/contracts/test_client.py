"""The client tells the truth about a chain that repeats, undoes, differs or does not answer."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from contracts import deploy as deployment
from contracts.artifact import SENTENCES, artifact, refusal
from contracts.client import SettlementChain, address_of, new_settlement_key
from contracts.terms import ChainUnavailable, SignedTransaction
from tests.contracts.district import CHAIN_ID, OFFICE_KEY, STRANGER_KEY, District, LocalChain
from tests.contracts.refusals import refused


def test_sending_twice_settles_once(district: District) -> None:
    prepared = district.prepare(district.batch({1: -90, 2: 90}))
    assert district.chain.receipt(prepared.hash) is None
    for _ in range(3):
        district.chain.send(prepared)
    assert district.chain.wait(prepared.hash, 5).succeeded
    assert district.balances(1, 2) == [-90, 90]
    assert len(district.chain.settled_batches(0, 10**9)) == 1


def test_a_transaction_that_was_undone_in_its_block_surfaces(district: District) -> None:
    """Two senders carry the same batch: both look fine alone, the second is mined and undone."""
    batch = district.batch({1: -90, 2: 90})
    signatures = district.signatures(batch)
    mine, theirs = (
        district.chain.prepare_settle(batch, signatures, sender_key=key)
        for key in (OFFICE_KEY, STRANGER_KEY)
    )
    district.apply(mine)
    district.chain.send(theirs)
    receipt = district.chain.receipt(theirs.hash)
    assert receipt is not None
    assert not receipt.succeeded
    code, details = refused(lambda: district.chain.wait(theirs.hash, 5))
    assert (code, details["expected"]) == ("chain.stale_sequence", 1)
    assert len(district.chain.settled_batches(0, 10**9)) == 1


def test_a_nonce_that_went_to_another_transaction(district: District) -> None:
    first = district.chain.prepare_pause(sender_key=OFFICE_KEY)
    second = district.chain.prepare_register(8, address_of(STRANGER_KEY), 1, sender_key=OFFICE_KEY)
    assert first.nonce == second.nonce
    district.apply(first)
    code, details = refused(lambda: district.chain.send(second))
    assert (code, details["nonce"]) == ("chain.nonce_used", second.nonce)


def test_a_sender_without_gas_money_is_told(district: District) -> None:
    batch = district.batch({1: -90, 2: 90})
    poor = new_settlement_key()
    prepared = district.chain.prepare_settle(batch, district.signatures(batch), sender_key=poor)
    assert refused(lambda: district.chain.send(prepared))[0] == "chain.transaction_refused"
    assert district.balances(1, 2) == [0, 0]


def test_a_silent_chain_is_unavailable_and_asked_once() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"  # bound, but nobody listens
        chain = SettlementChain(url, contract_address=address_of(STRANGER_KEY), chain_id=CHAIN_ID)
        with pytest.raises(ChainUnavailable):
            chain.head()


def test_a_proxy_for_other_machines_is_not_asked_for_loopback(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    here = district.chain.contract_address
    SettlementChain(district.url, contract_address=here, chain_id=CHAIN_ID).assert_chain()


class SignedBlocks(BaseHTTPRequestHandler):
    """A network whose validators sign in extraData, as Besu's QBFT does; one block only."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        block = {"number": "0x7", "hash": "0x" + "07" * 32, "extraData": "0x" + "51" * 300}
        body = json.dumps({"jsonrpc": "2.0", "id": 0, "result": block}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def test_blocks_signed_by_validators_are_read() -> None:
    with HTTPServer(("127.0.0.1", 0), SignedBlocks) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        chain = SettlementChain(url, contract_address=address_of(STRANGER_KEY), chain_id=CHAIN_ID)
        assert chain.head() == (7, b"\x07" * 32)
        thread.join()


def test_the_words_of_settlement_need_no_web3() -> None:
    """A node without a chain, and the devchain itself, do not pay for what they do not use."""
    modules = "contracts.terms, contracts.consent, contracts.rpc, contracts.devchain"
    program = f"import sys, {modules}; sys.exit('web3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 0


def test_waiting_ends(district: District) -> None:
    with pytest.raises(ChainUnavailable):
        district.chain.wait(b"\x07" * 32, 0.0)


def test_the_contract_is_recognised_and_a_wrong_one_is_not(district: District) -> None:
    def at(address: str, chain_id: int = CHAIN_ID) -> SettlementChain:
        return SettlementChain(district.url, contract_address=address, chain_id=chain_id)

    here = district.chain.contract_address
    at(here).assert_chain()
    code, details = refused(at(here, chain_id=1).assert_chain)
    assert (code, details) == ("chain.other_chain", {"actual": CHAIN_ID, "expected": 1})
    nowhere = at(address_of(STRANGER_KEY))
    assert refused(nowhere.assert_chain)[0] == "chain.no_contract"
    assert refused(lambda: nowhere.position(1))[0] == "chain.no_contract"
    made = district.apply(
        district.chain.prepare(
            to=None, data=bytes.fromhex("6001600a5f3960015ff300"), sender_key=STRANGER_KEY
        )
    )
    assert made.contract_address is not None
    assert refused(at(made.contract_address).assert_chain)[0] == "chain.other_code"


def test_deploying_again_with_the_stored_transaction_finds_the_first(local: LocalChain) -> None:
    kept: list[SignedTransaction] = []

    def run(signed: SignedTransaction | None = None) -> tuple[str, SignedTransaction]:
        return deployment.deploy(
            local.url,
            chain_id=CHAIN_ID,
            sender_key=OFFICE_KEY,
            admin=address_of(OFFICE_KEY),
            signed=signed,
            store=kept.append,
        )

    address, signed = run()
    assert kept == [signed]
    assert run(kept[0]) == (address, signed)
    assert deployment.contract_address(signed) == address
    chain = SettlementChain(local.url, contract_address=address, chain_id=CHAIN_ID)
    chain.assert_chain()
    assert chain.head()[0] == 1


def test_a_contract_without_an_administrator_is_not_made(local: LocalChain) -> None:
    def run(admin: str) -> object:
        return deployment.deploy(local.url, chain_id=CHAIN_ID, sender_key=OFFICE_KEY, admin=admin)

    assert refused(lambda: run("0x" + "00" * 20))[0] == "chain.last_admin"
    assert refused(lambda: run("0x1234"))[0] == "chain.unencodable"


def test_blocks_are_known_by_number_and_hash(district: District) -> None:
    number, block_hash = district.chain.head()
    assert district.chain.block_hash(number) == block_hash
    assert district.chain.block_hash(number + 1) is None
    assert district.chain.settled_batches(number + 1, number + 100) == []


def test_every_page_of_blocks_is_read(district: District, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts.client.LOG_PAGE_BLOCKS", 2)
    receipts = [district.settle({1: -minutes, 2: minutes}) for minutes in (10, 20, 30)]
    blocks = [receipt.block_number for receipt in receipts]
    found = district.chain.settled_batches(0, 10**9)
    assert [one.block_number for one in found] == blocks
    assert [one.entries[0].delta_minutes for one in found] == [-10, -20, -30]
    assert len(district.chain.settled_batches(blocks[1], blocks[1])) == 1


def test_arguments_that_the_contract_cannot_take(district: District) -> None:
    wide = replace(district.batch({1: -90, 2: 90}), deadline=2**64)
    assert refused(lambda: district.prepare(wide, [b"", b""]))[0] == "chain.unencodable"
    assert (
        refused(lambda: district.chain.prepare_register(2**32, "nobody", 1, sender_key=OFFICE_KEY))[
            0
        ]
        == "chain.unencodable"
    )


def test_every_error_of_the_contract_has_a_sentence() -> None:
    named = {item["name"]: item["inputs"] for item in artifact().abi if item["type"] == "error"}
    unreachable = {
        "ECDSAInvalidSignature",
        "ECDSAInvalidSignatureLength",
        "ECDSAInvalidSignatureS",
        "InvalidShortString",
        "StringTooLong",
    }
    assert set(SENTENCES) == set(named) - unreachable
    for name, inputs in named.items():
        names: Sequence[str] = [one["name"] for one in inputs]
        if name in SENTENCES:
            SENTENCES[name].format(**dict.fromkeys(names, 1))


def test_reverts_that_we_do_not_know_stay_refusals() -> None:
    for data in (b"", b"\x01\x02\x03\x04", bytes(40)):
        assert refusal(data).code == "chain.reverted"
