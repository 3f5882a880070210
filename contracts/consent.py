"""What a community signs (EIP-712), with its settlement key and no connection to any chain."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_abi.exceptions import EncodingError
from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from contracts.terms import Batch, ChainRefused

SIGNATURE_BYTES = 65
S_MAX = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0  # half the curve's order

ENTRY = [
    {"name": "community", "type": "uint32"},
    {"name": "deltaMinutes", "type": "int32"},
    {"name": "sequence", "type": "uint24"},
    {"name": "ledgerHead", "type": "bytes32"},
]
BATCH = [
    {"name": "roundId", "type": "bytes32"},
    {"name": "merkleRoot", "type": "bytes32"},
    {"name": "deadline", "type": "uint64"},
    {"name": "entries", "type": "Entry[]"},
]
CONSENT_TAIL = [{"name": "sequence", "type": "uint24"}, {"name": "deadline", "type": "uint64"}]
COMMUNITY = {"name": "community", "type": "uint32"}
COVER = [COMMUNITY, {"name": "minutesCovered", "type": "uint32"}, *CONSENT_TAIL]
ROTATE = [COMMUNITY, {"name": "newSigner", "type": "address"}, *CONSENT_TAIL]
EXIT = [COMMUNITY, *CONSENT_TAIL]


def new_settlement_key() -> bytes:
    """A fresh secp256k1 key; the caller keeps it (0600) and never sends it anywhere."""
    return bytes(Account.create().key)


def address_of(private_key: bytes) -> str:
    """The EVM address by which the contract knows a key."""
    return str(Account.from_key(private_key).address)


@dataclass(frozen=True)
class Consents:
    """Signs and checks consents for one contract on one chain; they serve nowhere else."""

    contract_address: str
    chain_id: int

    def batch_digest(self, batch: Batch) -> bytes:
        """The 32 bytes that every community in a batch signs."""
        return _digest(self._batch(batch))

    def sign_batch(self, batch: Batch, private_key: bytes) -> bytes:
        """A community's yes to the whole batch: 65 bytes."""
        return _sign(self._batch(batch), private_key)

    def signer_of(self, batch: Batch, signature: bytes) -> str:
        """The address whose key made a signature; compare it with `Position.signer`.

        It takes no more than the contract does: one form of each signature, and no wallet's.
        """
        if not _is_canonical(signature):
            raise ChainRefused(
                "chain.unreadable_signature", "The signature is not 65 bytes of a real one."
            )
        try:
            return str(Account.recover_message(self._batch(batch), signature=signature))
        except (BadSignature, ValidationError, ValueError) as error:
            raise ChainRefused(
                "chain.unreadable_signature", "The signature is not 65 bytes of a real one."
            ) from error

    def sign_cover(
        self,
        private_key: bytes,
        *,
        community: int,
        minutes_covered: int,
        sequence: int,
        deadline: int,
    ) -> bytes:
        """A community's yes to the guarantor taking over part of its debt."""
        message = {
            "community": community,
            "minutesCovered": minutes_covered,
            "sequence": sequence,
            "deadline": deadline,
        }
        return _sign(self._message("Cover", {"Cover": COVER}, message), private_key)

    def sign_rotation(
        self, private_key: bytes, *, community: int, new_signer: str, sequence: int, deadline: int
    ) -> bytes:
        """A signature for a new signer: the old key's and the new key's for a rotation, the new
        key's alone for a recovery.
        """
        message = {
            "community": community,
            "newSigner": new_signer,
            "sequence": sequence,
            "deadline": deadline,
        }
        return _sign(self._message("Rotate", {"Rotate": ROTATE}, message), private_key)

    def sign_exit(
        self, private_key: bytes, *, community: int, sequence: int, deadline: int
    ) -> bytes:
        """A community's wish to leave."""
        message = {"community": community, "sequence": sequence, "deadline": deadline}
        return _sign(self._message("Exit", {"Exit": EXIT}, message), private_key)

    def _batch(self, batch: Batch) -> SignableMessage:
        message = {
            "roundId": batch.round_id,
            "merkleRoot": batch.merkle_root,
            "deadline": batch.deadline,
            "entries": [
                {
                    "community": entry.community,
                    "deltaMinutes": entry.delta_minutes,
                    "sequence": entry.sequence,
                    "ledgerHead": entry.ledger_head,
                }
                for entry in batch.entries
            ],
        }
        return self._message("Batch", {"Batch": BATCH, "Entry": ENTRY}, message)

    def _message(
        self, primary: str, types: Mapping[str, Any], message: Mapping[str, Any]
    ) -> SignableMessage:
        domain = {
            "name": "HourSettlement",
            "version": "1",
            "chainId": self.chain_id,
            "verifyingContract": self.contract_address,
        }
        try:
            return encode_typed_data(domain, dict(types), dict(message))
        except (EncodingError, ValueError, TypeError, OverflowError) as error:
            raise ChainRefused(
                "chain.unencodable", f"The {primary.lower()} does not fit the contract: {error}."
            ) from error


def _is_canonical(signature: bytes) -> bool:
    """Whether the contract would look at it: r, the lower s, and 27 or 28."""
    s = int.from_bytes(signature[32:64], "big")
    return len(signature) == SIGNATURE_BYTES and s <= S_MAX and signature[64] in (27, 28)


def _digest(message: SignableMessage) -> bytes:
    return keccak(b"\x19" + message.version + message.header + message.body)


def _sign(message: SignableMessage, private_key: bytes) -> bytes:
    return bytes(Account.sign_message(message, private_key).signature)
