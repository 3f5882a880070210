"""Who checks a proof loads no code of the node, and is told what the proof rests on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.kernel import merkle, signing
from node.peer import wire
from node.settlement.messages import StatementContent
from simulation import verify_proof
from tests.contracts.district import CHAIN_ID, LocalChain, found_district

HOME, HOST = "pine-court", "elm-garden"
RECEIPT = UUID(int=7)
OTHER_ADDRESS = "0x" + "ab" * 20
ANSWER_SECONDS_MAX = 60
OURS = ("node", "coordinator", "federation", "protos")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalChain]:
    with LocalChain(tmp_path_factory.mktemp("chain") / "chain.sqlite") as chain:
        yield chain


@pytest.fixture(scope="module")
def proof(local: LocalChain) -> dict[str, Any]:
    """Of an hour whose contract and keys are whoever's who wrote this: it all fits together."""
    chain = found_district(local)
    for number in (1, 2):
        chain.register(number)
    leaf = f"linli/receipt/v1|capture|{RECEIPT}|{HOME}|{HOST}|60|1".encode()
    payload = wire.encode_statement(
        StatementContent(
            statement_id=UUID(int=8),
            debtor=HOME,
            creditor=HOST,
            count=1,
            minutes=60,
            merkle_root=merkle.root([leaf]),
            exchange_ids=(RECEIPT,),
        )
    )
    batch = replace(chain.batch({1: -60, 2: 60}), merkle_root=merkle.root([payload]))
    mined = chain.apply(chain.prepare(batch))
    keys = {name: Ed25519PrivateKey.generate() for name in (HOME, HOST)}
    signatures = {
        name: signing.sign(key, context=signing.STATEMENT, payload=payload).hex()
        for name, key in keys.items()
    }
    return {
        "format": verify_proof.FORMAT,
        "leaf": leaf.decode(),
        "receipt_path": [],
        "statement": {
            "payload": payload.hex(),
            "debtor_signature": signatures[HOME],
            "creditor_signature": signatures[HOST],
        },
        "statement_path": [],
        "signing_keys": {
            name: key.public_key().public_bytes_raw().hex() for name, key in keys.items()
        },
        "batch": {
            "round_id": "0x" + batch.round_id.hex(),
            "transaction": "0x" + mined.transaction_hash.hex(),
            "block": mined.block_number,
        },
        "chain": {"contract": chain.chain.contract_address, "chain_id": CHAIN_ID},
    }


@pytest.fixture
def file(proof: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(proof), encoding="utf-8")
    return path


def pins(proof: dict[str, Any]) -> list[str]:
    """The options of somebody who has contract and keys from elsewhere."""
    signers = [f"--signer={name}={key}" for name, key in proof["signing_keys"].items()]
    return ["--contract", proof["chain"]["contract"], *signers]


@pytest.mark.parametrize(
    "program",
    [
        [str(Path(sys.executable).parent / "linli-sim"), verify_proof.COMMAND],
        ["-m", "simulation.verify_proof"],
    ],
    ids=["linli-sim", "module"],
)
def test_no_module_of_the_node_is_loaded(
    local: LocalChain, proof: dict[str, Any], file: Path, program: list[str]
) -> None:
    """-X importtime names every module that the process loaded, to the end of its work."""
    call = [sys.executable, "-X", "importtime", *program, str(file), "--rpc", local.url]
    done = subprocess.run(
        [*call, *pins(proof), "--json"],
        capture_output=True,
        text=True,
        timeout=ANSWER_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert json.loads(done.stdout)["minutes"] == 60
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"web3", "contracts.client"} <= loaded
    assert not [name for name in loaded if name.partition(".")[0] in OURS]


def test_what_only_the_file_says_is_said_to_be_so(
    local: LocalChain, proof: dict[str, Any], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [str(file), "--rpc", local.url]
    assert verify_proof.main(asked) == 0
    said = capsys.readouterr().out
    for relied_on in (proof["chain"]["contract"], str(CHAIN_ID), *proof["signing_keys"].values()):
        assert relied_on in said
    assert f"file alone: contract, signer {HOME}, signer {HOST}." in said
    assert verify_proof.main([*asked, "--contract", proof["chain"]["contract"].lower()]) == 0
    assert f"file alone: signer {HOME}, signer {HOST}." in capsys.readouterr().out


def test_with_contract_and_keys_given_nothing_is_taken_from_the_file(
    local: LocalChain, proof: dict[str, Any], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify_proof.main([str(file), "--rpc", local.url, *pins(proof)]) == 0
    said = capsys.readouterr().out
    assert "file alone" not in said
    assert proof["chain"]["contract"] in said
    assert verify_proof.main([str(file), "--rpc", local.url, *pins(proof), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["taken_from_file"] == []
    assert told["signers"] == proof["signing_keys"]


@pytest.mark.parametrize("pin", ["contract", HOME, HOST])
def test_a_file_with_a_contract_or_key_of_its_own_proves_nothing(
    local: LocalChain,
    proof: dict[str, Any],
    file: Path,
    pin: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The district has another contract, or knows the community under another key."""
    options = (
        ["--contract", OTHER_ADDRESS] if pin == "contract" else [f"--signer={pin}={'11' * 32}"]
    )
    assert verify_proof.main([str(file), "--rpc", local.url, *options]) == 2
    refused = capsys.readouterr()
    assert refused.out == ""
    assert "proof.wrong" in refused.err


@pytest.mark.parametrize("signer", ["", HOME, f"{HOME}=12", f"={'11' * 32}", f"{HOME}=no hex"])
def test_a_signer_that_is_none_is_refused(
    file: Path, signer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        verify_proof.main([str(file), "--rpc", "http://127.0.0.1:1", f"--signer={signer}"])
    assert "64 hex digits" in capsys.readouterr().err


def test_a_contract_that_is_no_address_is_said_to_be_none(
    proof: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {**proof, "chain": {**proof["chain"], "contract": "elsewhere"}}
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(changed), encoding="utf-8")
    assert verify_proof.main([str(file), "--rpc", "http://127.0.0.1:1"]) == 2
    assert "no contract's address" in capsys.readouterr().err
