"""Whom we know: the other communities' addresses and keys, from the district's signed directory."""

from collections.abc import Iterable
from dataclasses import dataclass

from node.kernel.errors import DomainError


class UnknownPeer(DomainError):
    code = "peer.unknown"
    message = "{community} is not in the district's directory."


@dataclass(frozen=True)
class KnownPeer:
    """One other community, as the directory has it."""

    community: str
    name: str
    address: str  # HOST:PORT of its peer service
    certificate_name: str  # DNS name in its certificate, wherever it is served
    signing_public_key: bytes  # Ed25519, 32 bytes


class PeerBook:
    """The current directory, replaced as a whole when a newer one comes."""

    def __init__(self, peers: Iterable[KnownPeer] = ()) -> None:
        self._peers: dict[str, KnownPeer] = {}
        self.replace(peers)

    def replace(self, peers: Iterable[KnownPeer]) -> None:
        """From now on these are the peers."""
        self._peers = {peer.community: peer for peer in peers}

    def get(self, community: str) -> KnownPeer:
        """The peer of this id; raises UnknownPeer."""
        if community not in self._peers:
            raise UnknownPeer(community=community)
        return self._peers[community]

    def all(self) -> list[KnownPeer]:
        """Every peer, ordered by id."""
        return [self._peers[community] for community in sorted(self._peers)]
