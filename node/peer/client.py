"""Outbound: the real Peers, one open channel to each community."""

from collections.abc import Sequence

import grpc

from node.kernel.messages import Envelope, Sealed
from node.kernel.signing import BadSignature
from node.outbox.relay import BadAnswer, PeerUnreachable
from node.peer import wire
from node.peer.book import KnownPeer, PeerBook, UnknownPeer
from node.peer.seal import open_sealed
from node.peer.tls import TlsMaterial, channel_credentials
from node.peer.wire import Unreadable
from protos import peer_pb2 as pb
from protos.peer_pb2_grpc import PeerStub

CALL_SECONDS_MAX = 20.0
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
SIZE_OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
)
CHANNEL_OPTIONS = (
    *SIZE_OPTIONS,
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


class GrpcPeers:
    """Peers over gRPC inside mTLS. Channels open when first needed and stay open."""

    def __init__(self, book: PeerBook, material: TlsMaterial) -> None:
        self._book = book
        self._credentials = channel_credentials(material)
        self._channels: dict[KnownPeer, tuple[grpc.aio.Channel, PeerStub]] = {}

    async def deliver(self, community: str, items: Sequence[Sealed]) -> list[Sealed]:
        """Hand over the items, get one answer each; raises PeerUnreachable."""
        try:
            stub = self._stub(self._book.get(community))
            request = pb.DeliverRequest(items=[wire.signed(item) for item in items])
            response = await stub.Deliver(request, timeout=CALL_SECONDS_MAX)
        except UnknownPeer as unknown:
            raise PeerUnreachable(str(unknown)) from unknown
        except grpc.aio.AioRpcError as failure:
            raise PeerUnreachable(f"{failure.code().name}: {failure.details()}") from failure
        return [wire.sealed(answer) for answer in response.answers]

    def open_answer(self, community: str, answer: Sealed) -> Envelope:
        """The answer, its signature checked; raises BadAnswer."""
        try:
            return open_sealed(self._book, answer, sender=community)
        except (BadSignature, Unreadable) as problem:
            raise BadAnswer(peer=community, problem=problem.code) from problem

    def use(self, material: TlsMaterial) -> None:
        """Go on with a renewed certificate; calls under way finish with the old one."""
        self._credentials = channel_credentials(material)
        self._channels.clear()

    async def close(self) -> None:
        """Let go of all channels."""
        for channel, _ in self._channels.values():
            await channel.close()

    def _stub(self, peer: KnownPeer) -> PeerStub:
        if peer not in self._channels:
            name = ("grpc.ssl_target_name_override", peer.certificate_name)
            channel = grpc.aio.secure_channel(
                peer.address, self._credentials, options=(*CHANNEL_OPTIONS, name)
            )
            stub = PeerStub(channel)  # type: ignore[no-untyped-call]  # grpc generates it untyped
            self._channels[peer] = channel, stub
        return self._channels[peer][1]
