"""The few pieces of cryptography that the protocol is made of, each from a library that is kept.

Keys agree by X25519, everything is derived by HKDF-SHA-256 under a purpose, masks are ChaCha20's
stream, shares travel in ChaCha20-Poly1305, secrets are split by Shamir's scheme over GF(2^128).
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from itertools import chain, combinations, islice

import numpy as np
from Crypto.Protocol.SecretSharing import Shamir
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

Words = NDArray[np.uint64]  # arithmetic modulo 2^64: numpy's own, wrapping silently

SEED_BYTES = 16  # what one Shamir share holds; as strong as X25519
KEY_BYTES = 32
NONCE = bytes(12)  # every key below seals one message or makes one stream: it is never used twice
MENDING_ATTEMPTS_MAX = 200


def new_seed() -> bytes:
    """Sixteen bytes that nobody can guess."""
    return secrets.token_bytes(SEED_BYTES)


def derived(secret: bytes, *, purpose: bytes) -> bytes:
    """A key for one purpose; keys of two purposes say nothing of each other or of the secret."""
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"linli/secagg/v1/" + purpose).derive(
        secret
    )


def committed(seed: bytes) -> bytes:
    """What may be published of a seed, so that a wrong one is noticed."""
    return hashlib.sha256(b"linli/secagg/v1/seed" + seed).digest()


def key_from(seed: bytes) -> X25519PrivateKey:
    """The private key that a seed stands for: sixteen bytes are what is shared."""
    return X25519PrivateKey.from_private_bytes(derived(seed, purpose=b"mask-key"))


def agreed(own: X25519PrivateKey, other: bytes, *, purpose: bytes) -> bytes:
    """The key that two members share for one purpose; ValueError for a key that is none."""
    return derived(own.exchange(X25519PublicKey.from_public_bytes(other)), purpose=purpose)


def mask_stream(key: bytes, words: int) -> Words:
    """As many uniform words as needed from a key of one purpose."""
    stream = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(8 * words))
    return np.frombuffer(stream, dtype="<u8").astype(np.uint64)


def sealed(key: bytes, plain: bytes, *, about: bytes) -> bytes:
    """Readable by whoever holds the key; changed bytes, or other circumstances, are noticed."""
    return ChaCha20Poly1305(key).encrypt(NONCE, plain, about)


def opened(key: bytes, box: bytes, *, about: bytes) -> bytes | None:
    """What was sealed; None if it was not sealed with this key about these circumstances."""
    try:
        return ChaCha20Poly1305(key).decrypt(NONCE, box, about)
    except InvalidTag:
        return None


def split(seed: bytes, *, quorum: int, holders: int) -> list[bytes]:
    """A share for each holder; any `quorum` of them give the seed back, fewer say nothing."""
    return [share for _, share in Shamir.split(quorum, holders, seed, False)]


def recovered(
    shares: Mapping[int, bytes], *, quorum: int, fits: Callable[[bytes], bool]
) -> bytes | None:
    """The seed from shares by holder (0, 1, ...); None if no quorum of them gives one that fits.

    A holder may lie: other quorums are tried, within a limit.
    """
    holders = sorted(shares)
    twice = holders * 2
    neighbours = (tuple(twice[first : first + quorum]) for first in range(len(holders)))
    attempts = chain(neighbours if len(holders) >= quorum else (), combinations(holders, quorum))
    for chosen in islice(attempts, MENDING_ATTEMPTS_MAX):
        seed: bytes = Shamir.combine([(holder + 1, shares[holder]) for holder in chosen], False)
        if fits(seed):
            return seed
    return None
