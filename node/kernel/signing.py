"""Ed25519 signatures over bytes as they travel, each purpose under its own name.

What is signed is what is sent: the receiver checks the bytes before it reads them, so there is no
canonical form to get wrong. The purpose (context) is part of what is signed, so that a signature
given for one thing is worthless for another.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from node.kernel.errors import DomainError

MESSAGE = b"linli/message/v1\0"  # between two communities
STATEMENT = b"linli/statement/v1\0"  # a pair's position, signed by both
ENROLMENT = b"linli/enrolment/v1\0"  # a community's request to the district's office


class BadSignature(DomainError):
    code = "kernel.bad_signature"
    message = "The signature of {signer} does not fit what was sent."


def sign(key: Ed25519PrivateKey, *, context: bytes, payload: bytes) -> bytes:
    """The 64 bytes that prove who sent `payload` for this purpose."""
    return key.sign(context + payload)


def verify(public_key: bytes, *, context: bytes, payload: bytes, signature: bytes) -> bool:
    """Whether the owner of this key (32 bytes) signed exactly these bytes for this purpose."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, context + payload)
    except (InvalidSignature, ValueError):
        return False
    return True
