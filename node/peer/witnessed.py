"""The way to the other communities that keeps what they answered and should not have."""

from collections.abc import Sequence

from node.exchange import evidence
from node.kernel.db import Database
from node.kernel.messages import Envelope, Sealed
from node.kernel.ports import Clock
from node.outbox.relay import BadAnswer, Peers


class WitnessedPeers:
    """Passes everything on; an answer whose signature does not fit is kept as evidence as well.

    It came inside the peer's own TLS, so it is either the peer's doing or somebody has its key.
    """

    def __init__(self, peers: Peers, database: Database, clock: Clock) -> None:
        self._peers = peers
        self._database = database
        self._clock = clock

    async def deliver(self, community: str, items: Sequence[Sealed]) -> list[Sealed]:
        return await self._peers.deliver(community, items)

    def open_answer(self, community: str, answer: Sealed) -> Envelope:
        try:
            return self._peers.open_answer(community, answer)
        except BadAnswer as refusal:
            if answer.payload:  # nothing at all: the peer failed over one item, and says so
                code = refusal.code
                self._database.write(
                    lambda session: evidence.note(
                        session, self._clock, peer=community, kind=code, sealed=answer
                    )
                )
            raise
