"""What people do besides passes and visits: gifts, reversals, disputes, between the two nodes."""

from uuid import UUID

from node.exchange import compare, dispute, gift, reversal
from node.exchange.model import Comparison, Dispute, Gift, ReceiptRecord, Reversal
from node.kernel.ids import derived_id
from node.ledger import service as ledger
from tests.node.two_nodes import DEBT_LIMIT_MINUTES, ELDER, HOST, VOLUNTEER, District, Side

GIFT_CODE = "WXYZ234567"


def gift_id(number: int = 0) -> UUID:
    return derived_id("test gift", number)


def reversal_id(number: int = 0) -> UUID:
    return derived_id("test reversal", number)


def dispute_id(number: int = 0) -> UUID:
    return derived_id("test dispute", number)


def hand_out_code(district: District, code: str = GIFT_CODE) -> str:
    """The volunteer at the host makes a gift code; its full form, as it is handed out."""
    district.host.do(
        lambda session: gift.make_code(
            session, district.clock, code=code, resident_id=VOLUNTEER, made_by=None
        )
    )
    return f"{HOST}-{code}"


def give(district: District, number: int = 0, *, minutes: int = 60, code: str = "") -> Gift:
    """The elder at home gives minutes to whoever handed out the code."""
    return district.home.do(
        lambda session: gift.send_gift(
            session,
            district.clock,
            district.home.sealer,
            gift_id=gift_id(number),
            resident_id=ELDER,
            recorded_by=None,
            code=code or f"{HOST}-{GIFT_CODE}",
            minutes=minutes,
            debt_limit_minutes=DEBT_LIMIT_MINUTES,
        )
    )


def gift_at(side: Side, number: int = 0) -> Gift:
    return side.ask(lambda session: session.get_one(Gift, gift_id(number)))


def receipt_at(side: Side, receipt_id: UUID) -> ReceiptRecord:
    return side.ask(lambda session: session.get_one(ReceiptRecord, receipt_id))


def ask_back(side: Side, exchange_id: UUID, *, minutes: int, number: int = 0) -> Reversal:
    return side.do(
        lambda session: reversal.ask(
            session,
            side.clock,
            side.sealer,
            reversal_id=reversal_id(number),
            exchange_id=exchange_id,
            minutes=minutes,
            decided_by=None,
        )
    )


def offer_back(side: Side, exchange_id: UUID, *, minutes: int, number: int = 0) -> Reversal:
    return side.do(
        lambda session: reversal.offer(
            session,
            side.clock,
            side.sealer,
            reversal_id=reversal_id(number),
            exchange_id=exchange_id,
            minutes=minutes,
            decided_by=None,
        )
    )


def agree_back(side: Side, number: int = 0) -> Reversal:
    return side.do(
        lambda session: reversal.agree(
            session, side.clock, side.sealer, reversal_id=reversal_id(number), decided_by=None
        )
    )


def decline_back(side: Side, number: int = 0) -> Reversal:
    return side.do(
        lambda session: reversal.decline(
            session, side.clock, side.sealer, reversal_id=reversal_id(number), decided_by=None
        )
    )


def reversal_at(side: Side, number: int = 0) -> Reversal:
    return side.ask(lambda session: session.get_one(Reversal, reversal_id(number)))


def open_dispute(side: Side, exchange_id: UUID, *, minutes: int, number: int = 0) -> Dispute:
    return side.do(
        lambda session: dispute.open_dispute(
            session,
            side.clock,
            side.sealer,
            dispute_id=dispute_id(number),
            exchange_id=exchange_id,
            code="fewer_minutes",
            minutes=minutes,
            words="it took half an hour",
        )
    )


def answer_dispute(side: Side, *, minutes: int, number: int = 0) -> Dispute:
    return side.do(
        lambda session: dispute.answer(
            session,
            side.clock,
            side.sealer,
            dispute_id=dispute_id(number),
            code="as_recorded",
            minutes=minutes,
        )
    )


def judge(side: Side, *, minutes: int, number: int = 0, arbiter: UUID | None = None) -> Dispute:
    return side.do(
        lambda session: dispute.judge(
            session,
            side.clock,
            side.sealer,
            dispute_id=dispute_id(number),
            minutes=minutes,
            arbiter=arbiter,
        )
    )


def dispute_at(side: Side, number: int = 0) -> Dispute:
    return side.ask(lambda session: session.get_one(Dispute, dispute_id(number)))


def set_floor(side: Side, account_id: UUID, floor: int) -> None:
    side.do(lambda session: ledger.set_floor(session, account_id=account_id, floor=floor))


def compare_all(district: District) -> int:
    """Both sides compare every day that is over."""
    return sum(
        side.do(lambda session, side=side: compare.compare_due(session, side.clock, side.sealer))  # type: ignore[misc]  # the default binds the loop's value
        for side in district.sides
    )


def comparison_at(side: Side, peer: str, day: int) -> Comparison:
    return side.ask(lambda session: session.get_one(Comparison, (peer, day)))
