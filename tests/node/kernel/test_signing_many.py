"""One signature for many messages: each is provable alone, and nothing else is."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.kernel import signing
from node.kernel.signing import MESSAGE, SIGNATURE_BYTES, STATEMENT

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()
OTHER = Ed25519PrivateKey.generate().public_key().public_bytes_raw()


def verify(
    payload: bytes, signature: bytes, *, key: bytes = PUBLIC, context: bytes = MESSAGE
) -> bool:
    return signing.verify(key, context=context, payload=payload, signature=signature)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 255])
def test_each_is_proven_alone(count: int) -> None:
    payloads = [b"message %d" % number for number in range(count)]
    signatures = signing.sign_many(KEY, context=MESSAGE, payloads=payloads)
    assert all(map(verify, payloads, signatures))
    assert (len(signatures[0]) == SIGNATURE_BYTES) == (count == 1)


def test_nothing_else_is() -> None:
    payloads = [b"message %d" % number for number in range(5)]
    signatures = signing.sign_many(KEY, context=MESSAGE, payloads=payloads)
    for payload, signature in zip(payloads, signatures, strict=True):
        assert not verify(payload + b"!", signature)
        assert not verify(payload, signature, key=OTHER)
        assert not verify(payload, signature, context=STATEMENT)
        assert not any(verify(other, signature) for other in payloads if other != payload)
        for bit in range(len(signature)):
            torn = bytearray(signature)
            torn[bit] ^= 1
            assert not verify(payload, bytes(torn)), bit
        for end in range(len(signature)):
            assert not verify(payload, signature[:end])
        assert not verify(payload, signature + bytes(32))


def test_a_node_of_the_tree_is_no_message() -> None:
    """A leaf and a node are hashed under different prefixes, a root under another purpose."""
    [signature, _] = signing.sign_many(KEY, context=MESSAGE, payloads=[b"a", b"b"])
    assert not verify(signature[SIGNATURE_BYTES:], signature[:SIGNATURE_BYTES])
