"""What the time bank tells the rest of the node: ids and figures, never words."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from node.kernel.events import Event


@dataclass(frozen=True)
class ExchangeRequested(Event):
    """A resident asks for help, or offers it; the other may answer until `answer_by`."""

    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID
    minutes: int
    answer_by: datetime
    by_provider: bool = False  # the receiver is asked, not the provider


@dataclass(frozen=True)
class ExchangeAccepted(Event):
    """The neighbour promised; the receiver's minutes are held."""

    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID
    minutes: int


@dataclass(frozen=True)
class ExchangeDeclined(Event):
    """The neighbour said no."""

    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID


@dataclass(frozen=True)
class ExchangeCancelled(Event):
    """One side called it off; nothing is held any more. `by_provider`: the one who would help."""

    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID
    by_provider: bool


@dataclass(frozen=True)
class ExchangeExpired(Event):
    """Nobody answered, or nobody came; nothing is held any more."""

    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID


@dataclass(frozen=True)
class ExchangeDelivered(Event):
    """The provider says that the help was given; both are to confirm."""

    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID
    minutes: int


@dataclass(frozen=True)
class ExchangeConfirmed(Event):
    """Both sides confirmed an exchange (or an arbiter settled it) and its minutes are paid."""

    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID
    minutes: int


@dataclass(frozen=True)
class DisputeOpened(Event):
    """One side says that it was not so, or a confirmation never came: a social worker decides."""

    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID
    by_silence: bool


@dataclass(frozen=True)
class DisputeDecided(Event):
    """A social worker has decided how many minutes count; 0: none."""

    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID
    minutes: int


@dataclass(frozen=True)
class ExchangeCorrected(Event):
    """Paid minutes were corrected by a compensating entry, after a decision."""

    exchange_id: UUID
    provider_id: UUID
    receiver_id: UUID
    minutes: int  # that count now
    paid_before: int


@dataclass(frozen=True)
class MinutesGranted(Event):
    """A resident was given minutes from the donation pool."""

    grant_id: UUID
    resident_id: UUID
    minutes: int
