"""What the time bank tells the rest of the node."""

from dataclasses import dataclass
from uuid import UUID

from node.kernel.events import Event


@dataclass(frozen=True)
class ExchangeConfirmed(Event):
    """Both sides confirmed an exchange (or an arbiter settled it) and its minutes are paid."""

    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID
    minutes: int
