"""Check that an hour is in a settled batch, trusting the chain and none of the node's code.

Standard library, `cryptography` for Ed25519, and the contract's own client: nothing of `node`.
What is checked, in this order: the receipt is under its statement's Merkle root; both communities
signed the statement; the statement is under the batch's root; the contract's event has that root.
All of it says no more than the contract and the two keys do, and a file can name any: whoever
checks gives those of the district, or is told that they were taken from the file alone.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.terms import BatchSettled, ChainRefused, ChainUnavailable

COMMAND = "verify-proof"  # of linli-sim
FORMAT = "linli/proof/v1"
STATEMENT_CONTEXT = b"linli/statement/v1\0"
BATCH_CONTEXT = b"linli/batch/v1\0"
SIGNATURE_BYTES = 64
KEY_BYTES = 32
LEAVES_MAX = 4_096  # under one signature
FILE_BYTES_MAX = 4_000_000
EXIT_REFUSED = 2
_VARINT, _BYTES = 0, 2


class ProofWrong(Exception):
    """The file proves nothing, and the sentence says why."""

    code = "proof.wrong"


class CannotAsk(Exception):
    """The chain could not be asked from here, and the sentence says why."""

    code = "proof.cannot_ask"


@dataclass(frozen=True)
class Trusted:
    """What the verifier knows from elsewhere: what is absent here is believed from the file."""

    contract: str | None = None
    signers: Mapping[str, bytes] = field(default_factory=dict)  # Ed25519 keys by community

    def taken_from_file(self, sides: Sequence[str]) -> tuple[str, ...]:
        """What a proof between these communities rests on that only the file says."""
        contract = () if self.contract else ("contract",)
        return contract + tuple(f"signer {one}" for one in sides if one not in self.signers)


@dataclass(frozen=True)
class Proven:
    """What the file proves, what that rests on, and what of it only the file says."""

    kind: str
    receipt_id: str
    debtor: str
    creditor: str
    minutes: int
    captured_at_us: int
    transaction: str
    contract: str
    chain_id: int
    signers: Mapping[str, str]
    taken_from_file: tuple[str, ...]


NOTHING_KNOWN = Trusted()


def verify(proof: Any, event: BatchSettled | None, trusted: Trusted = NOTHING_KNOWN) -> Proven:
    """Check every step of a proof against the contract's event; raises ProofWrong."""
    try:
        return _verify(proof, event, trusted)
    except (KeyError, TypeError, ValueError, IndexError) as problem:
        raise ProofWrong(f"The file is no proof: {type(problem).__name__} {problem}.") from problem


def fetch(proof: Any, rpc: str, trusted: Trusted = NOTHING_KNOWN) -> BatchSettled | None:
    """The contract's event that the proof names; None where the chain has none such."""
    try:
        from contracts.client import SettlementChain  # web3: only when a chain is asked
    except ImportError:
        raise CannotAsk("web3 is not installed: pip install 'linli[chain]'") from None
    try:
        contract, chain_id = str(proof["chain"]["contract"]), int(proof["chain"]["chain_id"])
        block = int(proof["batch"]["block"])
    except (KeyError, TypeError, ValueError) as problem:
        raise ProofWrong(f"The file names no chain: {problem}.") from problem
    if trusted.contract is not None and trusted.contract.lower() != contract.lower():
        raise ProofWrong(f"The file names contract {contract}, not {trusted.contract}.")
    try:
        chain = SettlementChain(rpc, contract_address=contract, chain_id=chain_id)
    except ValueError:
        raise ProofWrong(f"{contract} is no contract's address.") from None
    chain.assert_chain()
    wanted = str(proof["batch"]["transaction"]).lower()
    found = chain.settled_batches(block, block)
    return next((one for one in found if "0x" + one.transaction_hash.hex() == wanted), None)


def read(path: Path) -> Any:
    """The proof in a file; raises ProofWrong."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ProofWrong(f"{path} is larger than any proof.")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ProofWrong(f"{path} cannot be read: {problem}") from problem


def _verify(proof: Any, event: BatchSettled | None, trusted: Trusted) -> Proven:
    if proof["format"] != FORMAT:
        raise ProofWrong(f"This is not a proof of the form {FORMAT}.")
    kind, receipt_id, debtor, creditor, minutes, at_us = _leaf(proof["leaf"])
    payload = bytes.fromhex(proof["statement"]["payload"])
    statement = _statement(payload)
    if (statement["debtor"], statement["creditor"]) != (debtor, creditor):
        raise ProofWrong("The statement is between other communities than the receipt.")
    root = _climb(proof["leaf"].encode(), proof["receipt_path"])
    if root != statement["merkle_root"]:
        raise ProofWrong("The receipt is not under the statement's Merkle root.")
    signers: dict[str, str] = {}
    for side, name in (("debtor", debtor), ("creditor", creditor)):
        key = trusted.signers.get(name) or bytes.fromhex(proof["signing_keys"][name])
        signature = bytes.fromhex(proof["statement"][f"{side}_signature"])
        _check_signature(name, key, signature=signature, payload=payload)
        signers[name] = key.hex()
    if event is None:
        raise ProofWrong("The chain has no such batch in that transaction and block.")
    if "0x" + event.round_id.hex() != proof["batch"]["round_id"]:
        raise ProofWrong("The chain's batch is of another round.")
    if _climb(payload, proof["statement_path"]) != event.merkle_root:
        raise ProofWrong("The statement is not under the Merkle root that the chain has.")
    return Proven(
        kind=kind,
        receipt_id=receipt_id,
        debtor=debtor,
        creditor=creditor,
        minutes=minutes,
        captured_at_us=at_us,
        transaction="0x" + event.transaction_hash.hex(),
        contract=str(proof["chain"]["contract"]),
        chain_id=int(proof["chain"]["chain_id"]),
        signers=signers,
        taken_from_file=trusted.taken_from_file((debtor, creditor)),
    )


def _leaf(text: str) -> tuple[str, str, str, str, int, int]:
    parts = text.split("|")
    if len(parts) != 7 or parts[0] != "linli/receipt/v1":
        raise ProofWrong("The leaf is not a receipt.")
    _form, kind, receipt_id, debtor, creditor, minutes, at_us = parts
    return kind, receipt_id, debtor, creditor, int(minutes), int(at_us)


def _climb(content: bytes, path: Sequence[Any]) -> bytes:
    """The Merkle root that a leaf and its path lead to (RFC 6962's prefixes)."""
    current = hashlib.sha256(b"\x00" + content).digest()
    for step in path:
        neighbour = bytes.fromhex(step["hash"])
        if len(neighbour) != 32 or step["side"] not in ("left", "right"):
            raise ProofWrong("A step of a path is not a hash with a side.")
        pair = neighbour + current if step["side"] == "left" else current + neighbour
        current = hashlib.sha256(b"\x01" + pair).digest()
    return current


def _check_signature(name: str, key: bytes, *, signature: bytes, payload: bytes) -> None:
    signed = STATEMENT_CONTEXT + payload
    if len(signature) > SIGNATURE_BYTES:  # one signature over many: its root, and the way there
        signed = BATCH_CONTEXT + _root_above(signed, signature[SIGNATURE_BYTES:])
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature[:SIGNATURE_BYTES], signed)
    except InvalidSignature:
        raise ProofWrong(f"{name} has not signed the statement with key {key.hex()}.") from None


def _root_above(leaf: bytes, path: bytes) -> bytes:
    """Where a signature over many leads from one: leaf number, tree's width, hashes upwards."""
    index, width = int.from_bytes(path[:2], "big"), int.from_bytes(path[2:4], "big")
    hashes = [path[at : at + 32] for at in range(4, len(path), 32)]
    if not 0 <= index < width <= LEAVES_MAX or any(len(one) != 32 for one in hashes):
        raise ProofWrong("A signature over many leads nowhere.")
    current = hashlib.sha256(b"\x00" + leaf).digest()
    while width > 1:
        if index ^ 1 < width:
            neighbour = hashes.pop(0)  # an IndexError says that the path is too short
            pair = neighbour + current if index & 1 else current + neighbour
            current = hashlib.sha256(b"\x01" + pair).digest()
        index, width = index // 2, (width + 1) // 2
    if hashes:
        raise ProofWrong("A signature over many has more hashes than its tree.")
    return current


def _statement(payload: bytes) -> dict[str, Any]:
    """The fields of a serialized peer.proto Statement that matter here."""
    names = {2: "debtor", 3: "creditor", 6: "merkle_root"}
    found: dict[str, Any] = {"debtor": "", "creditor": "", "merkle_root": b""}
    for number, value in _fields(payload):
        if number in names and isinstance(value, bytes):
            name = names[number]
            found[name] = value if name == "merkle_root" else value.decode()
    return found


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of each field on a protobuf message's top level."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        value, position = _varint(message, position)
        if wire_type == _VARINT:
            yield number, value
        elif wire_type == _BYTES:
            if position + value > len(message):
                raise ProofWrong("The statement is cut off.")
            yield number, message[position : position + value]
            position += value
        else:
            raise ProofWrong("The statement is not one of ours.")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ProofWrong("The statement is not one of ours.")


def main(arguments: Sequence[str] | None = None, *, program: str | None = None) -> int:
    """0 and what the file proves, or 2 and the reason; also `python -m simulation.verify_proof`."""
    parser = argparse.ArgumentParser(
        prog=program, description="Check a file of linli-node prove on the chain."
    )
    parser.add_argument("file", type=Path, help="what linli-node prove wrote")
    parser.add_argument("--rpc", required=True, help="JSON-RPC address of the chain")
    parser.add_argument("--contract", metavar="ADDRESS", help="the district's contract")
    parser.add_argument(
        "--signer",
        action="append",
        default=[],
        metavar="COMMUNITY=KEY",
        help="a community's signing key in hex; once for each side",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    try:
        trusted = Trusted(given.contract, dict(_signer(one) for one in given.signer))
    except ValueError as problem:
        parser.error(str(problem))
    return run(given.file, given.rpc, as_json=given.json, trusted=trusted)


def run(file: Path, rpc: str, *, as_json: bool, trusted: Trusted = NOTHING_KNOWN) -> int:
    """Check a file and say what it proves; the exit status."""
    try:
        proof = read(file)
        proven = verify(proof, fetch(proof, rpc, trusted), trusted)
    except (ProofWrong, CannotAsk, ChainRefused, ChainUnavailable) as problem:
        sys.stderr.write(f"{problem} ({problem.code})\n")
        return EXIT_REFUSED
    if as_json:
        sys.stdout.write(json.dumps({"proven": True, **asdict(proven)}) + "\n")
    else:
        sys.stdout.write("\n".join(_in_words(proven)) + "\n")
    return 0


def _signer(text: str) -> tuple[str, bytes]:
    community, _, key = text.partition("=")
    try:
        raw = bytes.fromhex(key)
    except ValueError:
        raw = b""
    if not community or len(raw) != KEY_BYTES:
        raise ValueError(f"--signer {text}: COMMUNITY=KEY is needed, KEY being 64 hex digits")
    return community, raw


def _in_words(proven: Proven) -> Iterator[str]:
    yield (
        f"Proven: {proven.debtor} owed {proven.creditor} {proven.minutes} minutes "
        f"({proven.kind} {proven.receipt_id}), settled by {proven.transaction}."
    )
    yield f"It rests on contract {proven.contract} on chain {proven.chain_id}"
    for name, key in proven.signers.items():
        yield f"  and on {name}'s signing key {key}."
    if proven.taken_from_file:
        yield (
            f"Taken from the file alone: {', '.join(proven.taken_from_file)}. Anybody can write "
            "a file that names a contract and keys of their own. Compare these with what the "
            "district's office says, or give them: --contract ADDRESS --signer COMMUNITY=KEY."
        )


if __name__ == "__main__":
    sys.exit(main())
