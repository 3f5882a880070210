"""The compiled contract as the Python side needs it: abi, code, and its errors by selector."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from contracts.terms import ChainRefused

FILE = Path(__file__).with_name("HourSettlement.json")


@dataclass(frozen=True)
class Artifact:
    """HourSettlement.json, read once."""

    abi: list[dict[str, Any]]
    bytecode: bytes
    deployed_bytecode: bytes
    immutables: tuple[tuple[int, int], ...]

    def is_code(self, deployed: bytes) -> bool:
        """Whether a chain's code is this contract's, whatever its immutables hold."""
        return self._masked(deployed) == self._masked(self.deployed_bytecode)

    def _masked(self, code: bytes) -> bytes:
        masked = bytearray(code)
        for start, length in self.immutables:
            if start + length <= len(masked):
                masked[start : start + length] = bytes(length)
        return bytes(masked)


@cache
def artifact() -> Artifact:
    """The committed artifact; `node compile.mjs --check` proves that it is the source's."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return Artifact(
        abi=content["abi"],
        bytecode=bytes.fromhex(content["bytecode"][2:]),
        deployed_bytecode=bytes.fromhex(content["deployedBytecode"][2:]),
        immutables=tuple((one["start"], one["length"]) for one in content["immutables"]),
    )


SENTENCES: Mapping[str, str] = {
    "AccessControlBadConfirmation": "A role can be given up only by its holder.",
    "AccessControlUnauthorizedAccount": "{account} does not hold the role that this needs.",
    "AlreadyRegistered": "Community {community} is registered already.",
    "AlreadyRetired": "The contract was retired; {successor} carries on.",
    "BadSignature": "The signature for community {community} is not one of {signer}.",
    "BalanceNotZero": "Community {community} stands at {balanceMinutes} min; it leaves at zero.",
    "CoverExceedsDebt": "Community {community} owes {debtMinutes} min, not {minutesCovered} min.",
    "DebtLimitExceeded": "Community {community} would stand at {balanceMinutes} min; its limit is "
    "{debtLimitMinutes} min of debt.",
    "EmptyBatch": "The batch has no entries.",
    "EnforcedPause": "The contract is paused.",
    "Expired": "The deadline {deadline} was over at {timestamp}.",
    "ExpectedPause": "The contract is not paused.",
    "IncompleteCarryOver": "All {expected} communities carry over together, not {communities}.",
    "LastAdmin": "{account} is the last administrator; name another one first.",
    "LimitCutTooEarly": "The cut for community {community} takes effect at {effectiveAt}; the "
    "chain's clock says {timestamp}.",
    "NoLimitCut": "No cut of a limit waits for community {community}.",
    "NoRecovery": "No recovery waits for community {community}.",
    "NotActive": "Community {community} is not active on the chain (status {status}).",
    "NotAscending": "Entry {community} follows {previous}; entries must ascend, each once.",
    "NotTheSuccessor": "The old contract names {successor} as its successor, not this one.",
    "NotZeroSum": "The batch sums to {sumMinutes} min instead of zero.",
    "RecoveryTooEarly": "The recovery of community {community} takes effect at {effectiveAt}; "
    "the chain's clock says {timestamp}.",
    "SignatureCountMismatch": "The batch has {entries} entries and {signatures} signatures.",
    "SignerUnusable": "{signer} cannot sign for community {community}: zero, or used before.",
    "StaleSequence": "Community {community} is at sequence {expected}; {sequence} was given.",
    "ZeroMinutes": "The amount for community {community} is zero.",
}


@cache
def _errors() -> dict[bytes, dict[str, Any]]:
    found = {}
    for item in artifact().abi:
        if item["type"] == "error":
            signature = f"{item['name']}({','.join(one['type'] for one in item['inputs'])})"
            found[keccak(text=signature)[:4]] = item
    return found


def refusal(data: bytes) -> ChainRefused:
    """The contract's own words for revert data: a stable code, a sentence and the figures."""
    error = _errors().get(data[:4])
    if error is None:
        shown = "0x" + data[:36].hex()
        return ChainRefused(
            "chain.reverted", f"The contract refused without a known reason ({shown})."
        )
    try:
        values = decode([one["type"] for one in error["inputs"]], data[4:])
    except DecodingError:
        return ChainRefused("chain.reverted", f"The contract refused: {error['name']}.")
    details: dict[str, int | str] = {
        one["name"]: "0x" + value.hex() if isinstance(value, bytes) else value
        for one, value in zip(error["inputs"], values, strict=True)
    }
    sentence = SENTENCES.get(error["name"], error["name"]).format(**details)
    return ChainRefused(f"chain.{_snake(error['name'])}", sentence, details)


def _snake(name: str) -> str:
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name).lstrip("_")
