"""Signs in the name of this community, and opens what others signed."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.kernel import signing
from node.kernel.messages import Envelope, Sealed
from node.kernel.signing import BadSignature
from node.peer import wire
from node.peer.book import PeerBook


@dataclass(frozen=True)
class Ed25519Sealer:
    """The real Sealer: this community's signing key."""

    community: str
    key: Ed25519PrivateKey

    def seal(self, envelope: Envelope) -> Sealed:
        """Encode and sign."""
        payload = wire.encode(envelope)
        signature = signing.sign(self.key, context=signing.MESSAGE, payload=payload)
        return Sealed(payload, signature)

    def encode(self, envelope: Envelope) -> bytes:
        """The bytes that will be signed and sent."""
        return wire.encode(envelope)

    def sign_many(self, payloads: Sequence[bytes]) -> list[bytes]:
        """A signature for each, at little more than the price of one."""
        return signing.sign_many(self.key, context=signing.MESSAGE, payloads=payloads)

    def sign_statement(self, payload: bytes) -> bytes:
        """This community's word that a statement stands in its books."""
        return signing.sign(self.key, context=signing.STATEMENT, payload=payload)

    def has_signed(self, sealed: Sealed) -> bool:
        """Whether these are our own words, however long ago we said them."""
        own = self.key.public_key().public_bytes_raw()
        return signing.verify(
            own, context=signing.MESSAGE, payload=sealed.payload, signature=sealed.signature
        )


def open_sealed(book: PeerBook, sealed: Sealed, *, sender: str) -> Envelope:
    """The message in `sealed`, once its signature proves that `sender` wrote it.

    Raises UnknownPeer, BadSignature or Unreadable.
    """
    key = book.get(sender).signing_public_key
    is_genuine = signing.verify(
        key, context=signing.MESSAGE, payload=sealed.payload, signature=sealed.signature
    )
    if not is_genuine:
        raise BadSignature(signer=sender)
    envelope = wire.decode(sealed.payload, sealed=sealed)
    if envelope.sender != sender:
        raise BadSignature(signer=sender)
    return envelope
