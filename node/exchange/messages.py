"""What two communities say to each other about exchanges, gifts, reversals and disputes."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from node.kernel.messages import Body, Sealed


@dataclass(frozen=True)
class PassSlip(Body):
    """The pass itself, signed by home and carried by hand as QR code or paper slip."""

    pass_id: UUID
    host: str
    minutes_up_to: int
    expires_at: datetime
    code: str


@dataclass(frozen=True)
class PresentPass(Body):
    """Host to home: somebody showed this pass; mark it accepted for this exchange."""

    exchange_id: UUID
    code: str


@dataclass(frozen=True)
class PassAccepted(Body):
    """Home's answer: up to so many minutes, to be captured before `capture_until`."""

    exchange_id: UUID
    pass_id: UUID
    minutes_up_to: int
    capture_until: datetime


@dataclass(frozen=True)
class RequestCapture(Body):
    """Host to home: the help was given and confirmed by both; pay these minutes."""

    exchange_id: UUID
    pass_id: UUID
    minutes: int


@dataclass(frozen=True)
class Receipt(Body):
    """Home's signed word that the minutes are paid."""

    exchange_id: UUID
    pass_id: UUID
    home: str
    host: str
    minutes: int
    captured_at: datetime


@dataclass(frozen=True)
class ReleasePass(Body):
    """Host to home: the help was not given; give the minutes back."""

    exchange_id: UUID
    pass_id: UUID


@dataclass(frozen=True)
class PassReleased(Body):
    """Home's answer: the minutes are back with its resident."""

    exchange_id: UUID


@dataclass(frozen=True)
class GiftOrder(Body):
    """Giver's side: pay these minutes to whoever handed out this code; we hold them for you."""

    gift_id: UUID
    code: str
    minutes: int


@dataclass(frozen=True)
class GiftAccepted(Body):
    """Receiver's side: they are credited already; from `accepted_at` on you owe them to us."""

    gift_id: UUID
    minutes: int
    accepted_at: datetime


@dataclass(frozen=True)
class AskHeadroom(Body):
    """How many more minutes do you let us owe you?"""


@dataclass(frozen=True)
class Headroom(Body):
    """So many, at this moment. A word of information: the limit itself decides when it is used."""

    minutes: int
    at: datetime


@dataclass(frozen=True)
class AskReversal(Body):
    """Payer's side of the exchange: please give these minutes back."""

    reversal_id: UUID
    exchange_id: UUID
    minutes: int


@dataclass(frozen=True)
class OfferReversal(Body):
    """Paid side: we hold these minutes of our resident to give them back; do you agree?"""

    reversal_id: UUID
    exchange_id: UUID
    minutes: int


@dataclass(frozen=True)
class RequestReversal(Body):
    """Payer's side: we agree; pay them back."""

    reversal_id: UUID
    exchange_id: UUID
    minutes: int


@dataclass(frozen=True)
class ReversalReceipt(Body):
    """Paid side's signed word that the minutes went back: a receipt with the debt turned."""

    reversal_id: UUID
    exchange_id: UUID
    debtor: str
    creditor: str
    minutes: int
    captured_at: datetime


@dataclass(frozen=True)
class DeclineReversal(Body):
    """Either side: no, or not any more."""

    reversal_id: UUID
    exchange_id: UUID


@dataclass(frozen=True)
class ReceiptLine:
    """One receipt as both sides must have it."""

    id: UUID
    kind: str
    debtor: str
    creditor: str
    minutes: int
    captured_at: datetime
    refers_to: UUID | None = None  # the exchange that a reversal turns back
    pass_id: UUID | None = field(default=None, compare=False)  # only home knows it, and may tell


@dataclass(frozen=True)
class OpenDispute(Body):
    """It was not so: in our eyes these minutes should go back, and this is why.

    `receipt` is what our books have of it: the arbiters see it, and we are held to it.
    """

    dispute_id: UUID
    exchange_id: UUID
    code: str
    minutes: int
    receipt: ReceiptLine | None = None


@dataclass(frozen=True)
class AnswerDispute(Body):
    """The other side's word: what it says was so, and how many minutes it would give back."""

    dispute_id: UUID
    code: str
    minutes: int
    receipt: ReceiptLine | None = None


@dataclass(frozen=True)
class JudgeDispute(Body):
    """Our arbiter's verdict: these minutes go back. `is_agreed`: it is yours too, so it stands."""

    dispute_id: UUID
    minutes: int
    is_agreed: bool


@dataclass(frozen=True)
class Noted(Body):
    """Written down; people decide now, or nothing more is to be said."""

    about: UUID


@dataclass(frozen=True)
class Summary:
    """All receipts of one direction and day."""

    count: int
    minutes: int
    merkle_root: bytes


@dataclass(frozen=True)
class CompareReceipts(Body):
    """What our books say we owe you, and you owe us, from that day (UTC, days since 1970)."""

    day: int
    we_owe: Summary
    you_owe: Summary
    after: UUID | None = None  # go on behind this id: the last that a cut answer named


@dataclass(frozen=True)
class ReceiptsCompared(Body):
    """What ours say; where they differ, every receipt by name."""

    day: int
    we_owe: Summary
    you_owe: Summary
    lines: tuple[ReceiptLine, ...]
    is_cut: bool  # there are more behind the last of these


@dataclass(frozen=True)
class FetchReceipts(Body):
    """Prove these: they are missing here."""

    ids: tuple[UUID, ...]


@dataclass(frozen=True)
class ReceiptsFound(Body):
    """What our books say of them: our word for what we owe, and signed words for the rest."""

    lines: tuple[ReceiptLine, ...]
    proofs: tuple[Sealed, ...]
