"""A new settlement key: made here, agreed to by old and new, put in place by the office.

Nothing is used before the chain knows it: the new key waits in a file of its own beside the old.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from node.enrolment.keys import SETTLEMENT_FILE, Keys
from node.kernel.errors import DomainError
from node.kernel.evm_address import address_of, checksummed
from node.kernel.files import write_new_file

FORMAT = "linli/rotate/v1"
NEXT_FILE = f"{SETTLEMENT_FILE}.next"
CONSENT_TIME = timedelta(days=7)  # within which the office has to put it in place


class NoNextKey(DomainError):
    code = "settlement.no_next_key"
    message = "There is no new settlement key in {folder}. Say first: rotate-settlement-key --out"


class NotRotatedYet(DomainError):
    code = "settlement.not_rotated_yet"
    message = "The chain still knows this community by {signer}: has the office said rotate-key?"
    retryable = True


def signers(keys: Keys) -> tuple[str, ...]:
    """The addresses by which the chain may know us: the present key's, and the next one's."""
    present = checksummed(keys.settlement_address)
    following = _next(keys.folder)
    return (present,) if following is None else (present, _address(following))


def make_next(keys: Keys) -> tuple[str, bytes]:
    """The address and the 32 bytes of the key that is to come; made once, closed to others."""
    if _next(keys.folder) is None:
        made = ec.generate_private_key(ec.SECP256K1())
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_new_file(keys.folder / NEXT_FILE, pem, is_private=True)
    found = _next(keys.folder)
    assert found is not None, "it was written just now"
    return _address(found), found.private_numbers().private_value.to_bytes(32, "big")


def consent(
    keys: Keys, *, number: int, sequence: int, now: datetime, contract: str, chain_id: int
) -> dict[str, Any]:
    """What the office needs: both keys say yes to the new one. It holds no secret."""
    from contracts.consent import Consents  # the chain's library: only where it is used

    address, secret = make_next(keys)
    deadline = int((now + CONSENT_TIME).timestamp())
    consents = Consents(contract, chain_id)
    signatures = [
        consents.sign_rotation(
            key, community=number, new_signer=address, sequence=sequence, deadline=deadline
        )
        for key in (keys.settlement_private_key, secret)
    ]
    return {
        "format": FORMAT,
        "number": number,
        "new_signer": address,
        "deadline": deadline,
        "old_signature": signatures[0].hex(),
        "new_signature": signatures[1].hex(),
        "contract": contract,
        "chain_id": chain_id,
    }


def adopt(keys: Keys, *, signer_on_chain: str) -> str:
    """Use the new key from the next start on; the old one is kept beside it. Its address."""
    following = _next(keys.folder)
    if following is None:
        raise NoNextKey(folder=str(keys.folder))
    address = _address(following)
    if signer_on_chain.lower() != address.lower():
        raise NotRotatedYet(signer=signer_on_chain)
    present = keys.folder / SETTLEMENT_FILE
    old = keys.folder / f"{SETTLEMENT_FILE}.{checksummed(keys.settlement_address)}"
    write_new_file(old, present.read_bytes(), is_private=True)
    os.replace(keys.folder / NEXT_FILE, present)
    return address


def _next(folder: Path) -> ec.EllipticCurvePrivateKey | None:
    file = folder / NEXT_FILE
    if not file.exists():
        return None
    found = load_pem_private_key(file.read_bytes(), password=None)
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    return found


def _address(key: ec.EllipticCurvePrivateKey) -> str:
    return checksummed(address_of(key.public_key()))
