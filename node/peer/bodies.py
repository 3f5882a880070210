"""Each kind of body <-> its message on the wire: two tables, nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from node.exchange import messages as exchange
from node.kernel.ids import read_id
from node.kernel.messages import Body, Refusal, Sealed
from node.settlement import messages as settlement
from protos import peer_pb2 as pb

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_SECONDS = 86_400


def timestamp(moment: datetime) -> Timestamp:
    """An aware datetime as the wire has it."""
    since = moment - EPOCH
    return Timestamp(
        seconds=since.days * DAY_SECONDS + since.seconds, nanos=since.microseconds * 1_000
    )


def moment(stamp: Timestamp) -> datetime:
    """A wire time as an aware datetime in UTC."""
    return EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1_000)


def decode_statement(payload: bytes) -> settlement.StatementContent:
    """The statement in these bytes; raises DecodeError or ValueError."""
    statement = pb.Statement.FromString(payload)
    return settlement.StatementContent(
        statement_id=UUID(statement.statement_id),
        debtor=statement.debtor,
        creditor=statement.creditor,
        count=statement.count,
        minutes=statement.minutes,
        merkle_root=statement.merkle_root,
        exchange_ids=tuple(UUID(bytes=one) for one in statement.exchange_ids),
    )


def _propose(message: pb.ProposeStatement) -> settlement.ProposeStatement:
    content = decode_statement(message.statement)
    return settlement.ProposeStatement(content, message.statement, message.debtor_signature)


def _line(line: exchange.ReceiptLine) -> pb.ReceiptLine:
    return pb.ReceiptLine(
        id=line.id.bytes,
        kind=line.kind,
        debtor=line.debtor,
        creditor=line.creditor,
        minutes=line.minutes,
        captured_at=timestamp(line.captured_at),
        refers_to=line.refers_to.bytes if line.refers_to else b"",
        pass_id=line.pass_id.bytes if line.pass_id else b"",
    )


def _read_line(message: pb.ReceiptLine) -> exchange.ReceiptLine:
    return exchange.ReceiptLine(
        id=UUID(bytes=message.id),
        kind=message.kind,
        debtor=message.debtor,
        creditor=message.creditor,
        minutes=message.minutes,
        captured_at=moment(message.captured_at),
        refers_to=UUID(bytes=message.refers_to) if message.refers_to else None,
        pass_id=UUID(bytes=message.pass_id) if message.pass_id else None,
    )


def _claimed(message: pb.OpenDispute | pb.AnswerDispute) -> exchange.ReceiptLine | None:
    return _read_line(message.receipt) if message.HasField("receipt") else None


def _summary(summary: exchange.Summary) -> pb.ReceiptSummary:
    return pb.ReceiptSummary(
        count=summary.count, minutes=summary.minutes, merkle_root=summary.merkle_root
    )


def _read_summary(message: pb.ReceiptSummary) -> exchange.Summary:
    return exchange.Summary(message.count, message.minutes, message.merkle_root)


def _about_reversal(body: Any) -> dict[str, Any]:
    return {
        "reversal_id": str(body.reversal_id),
        "exchange_id": str(body.exchange_id),
        "minutes": body.minutes,
    }


def _read_about_reversal(message: Any) -> tuple[UUID, UUID, int]:
    return UUID(message.reversal_id), UUID(message.exchange_id), message.minutes


ENCODERS: dict[type[Body], Callable[[Any], tuple[str, Any]]] = {
    exchange.PresentPass: lambda b: (
        "present_pass",
        pb.PresentPass(exchange_id=str(b.exchange_id), code=b.code),
    ),
    exchange.RequestCapture: lambda b: (
        "request_capture",
        pb.RequestCapture(
            exchange_id=str(b.exchange_id), pass_id=str(b.pass_id), minutes=b.minutes
        ),
    ),
    exchange.ReleasePass: lambda b: (
        "release_pass",
        pb.ReleasePass(exchange_id=str(b.exchange_id), pass_id=str(b.pass_id)),
    ),
    exchange.PassAccepted: lambda b: (
        "pass_accepted",
        pb.PassAccepted(
            exchange_id=str(b.exchange_id),
            pass_id=str(b.pass_id),
            minutes_up_to=b.minutes_up_to,
            capture_until=timestamp(b.capture_until),
        ),
    ),
    exchange.Receipt: lambda b: (
        "receipt",
        pb.Receipt(
            exchange_id=str(b.exchange_id),
            pass_id=str(b.pass_id),
            home=b.home,
            host=b.host,
            minutes=b.minutes,
            captured_at=timestamp(b.captured_at),
        ),
    ),
    exchange.PassReleased: lambda b: (
        "pass_released",
        pb.PassReleased(exchange_id=str(b.exchange_id)),
    ),
    exchange.PassSlip: lambda b: (
        "pass",
        pb.Pass(
            pass_id=str(b.pass_id),
            host=b.host,
            minutes_up_to=b.minutes_up_to,
            expires_at=timestamp(b.expires_at),
            code=b.code,
        ),
    ),
    settlement.ProposeStatement: lambda b: (
        "propose_statement",
        pb.ProposeStatement(statement=b.payload, debtor_signature=b.debtor_signature),
    ),
    settlement.StatementAgreed: lambda b: (
        "statement_agreed",
        pb.StatementAgreed(
            statement_id=str(b.statement_id), creditor_signature=b.creditor_signature
        ),
    ),
    settlement.StatementDiffers: lambda b: (
        "statement_differs",
        pb.StatementDiffers(
            statement_id=str(b.statement_id), missing=[one.bytes for one in b.missing]
        ),
    ),
    Refusal: lambda b: ("refusal", pb.Refusal(code=b.code, detail=b.detail)),
    exchange.GiftOrder: lambda b: (
        "gift_order",
        pb.GiftOrder(gift_id=str(b.gift_id), code=b.code, minutes=b.minutes),
    ),
    exchange.GiftAccepted: lambda b: (
        "gift_accepted",
        pb.GiftAccepted(
            gift_id=str(b.gift_id), minutes=b.minutes, accepted_at=timestamp(b.accepted_at)
        ),
    ),
    exchange.AskHeadroom: lambda _b: ("ask_headroom", pb.AskHeadroom()),
    exchange.Headroom: lambda b: (
        "headroom",
        pb.Headroom(minutes=b.minutes, at=timestamp(b.at)),
    ),
    exchange.AskReversal: lambda b: ("ask_reversal", pb.AskReversal(**_about_reversal(b))),
    exchange.OfferReversal: lambda b: ("offer_reversal", pb.OfferReversal(**_about_reversal(b))),
    exchange.RequestReversal: lambda b: (
        "request_reversal",
        pb.RequestReversal(**_about_reversal(b)),
    ),
    exchange.ReversalReceipt: lambda b: (
        "reversal_receipt",
        pb.ReversalReceipt(
            **_about_reversal(b),
            debtor=b.debtor,
            creditor=b.creditor,
            captured_at=timestamp(b.captured_at),
        ),
    ),
    exchange.DeclineReversal: lambda b: (
        "decline_reversal",
        pb.DeclineReversal(reversal_id=str(b.reversal_id), exchange_id=str(b.exchange_id)),
    ),
    exchange.OpenDispute: lambda b: (
        "open_dispute",
        pb.OpenDispute(
            dispute_id=str(b.dispute_id),
            exchange_id=str(b.exchange_id),
            code=b.code,
            minutes=b.minutes,
            receipt=_line(b.receipt) if b.receipt else None,
        ),
    ),
    exchange.AnswerDispute: lambda b: (
        "answer_dispute",
        pb.AnswerDispute(
            dispute_id=str(b.dispute_id),
            code=b.code,
            minutes=b.minutes,
            receipt=_line(b.receipt) if b.receipt else None,
        ),
    ),
    exchange.JudgeDispute: lambda b: (
        "judge_dispute",
        pb.JudgeDispute(dispute_id=str(b.dispute_id), minutes=b.minutes, is_agreed=b.is_agreed),
    ),
    exchange.Noted: lambda b: ("noted", pb.Noted(about=str(b.about))),
    exchange.CompareReceipts: lambda b: (
        "compare_receipts",
        pb.CompareReceipts(
            day=b.day,
            we_owe=_summary(b.we_owe),
            you_owe=_summary(b.you_owe),
            after=b.after.bytes if b.after else b"",
        ),
    ),
    exchange.ReceiptsCompared: lambda b: (
        "receipts_compared",
        pb.ReceiptsCompared(
            day=b.day,
            we_owe=_summary(b.we_owe),
            you_owe=_summary(b.you_owe),
            lines=[_line(line) for line in b.lines],
            is_cut=b.is_cut,
        ),
    ),
    exchange.FetchReceipts: lambda b: (
        "fetch_receipts",
        pb.FetchReceipts(ids=[one.bytes for one in b.ids]),
    ),
    exchange.ReceiptsFound: lambda b: (
        "receipts_found",
        pb.ReceiptsFound(
            lines=[_line(line) for line in b.lines],
            proofs=[pb.Signed(payload=one.payload, signature=one.signature) for one in b.proofs],
        ),
    ),
}

DECODERS: dict[str, Callable[[Any], Body]] = {
    "present_pass": lambda m: exchange.PresentPass(read_id(m.exchange_id), m.code),
    "request_capture": lambda m: exchange.RequestCapture(
        read_id(m.exchange_id), read_id(m.pass_id), m.minutes
    ),
    "release_pass": lambda m: exchange.ReleasePass(read_id(m.exchange_id), read_id(m.pass_id)),
    "pass_accepted": lambda m: exchange.PassAccepted(
        read_id(m.exchange_id), read_id(m.pass_id), m.minutes_up_to, moment(m.capture_until)
    ),
    "receipt": lambda m: exchange.Receipt(
        read_id(m.exchange_id),
        read_id(m.pass_id),
        home=m.home,
        host=m.host,
        minutes=m.minutes,
        captured_at=moment(m.captured_at),
    ),
    "pass_released": lambda m: exchange.PassReleased(read_id(m.exchange_id)),
    "pass": lambda m: exchange.PassSlip(
        read_id(m.pass_id), m.host, m.minutes_up_to, moment(m.expires_at), m.code
    ),
    "propose_statement": _propose,
    "statement_agreed": lambda m: settlement.StatementAgreed(
        read_id(m.statement_id), m.creditor_signature
    ),
    "statement_differs": lambda m: settlement.StatementDiffers(
        read_id(m.statement_id), tuple(UUID(bytes=one) for one in m.missing)
    ),
    "refusal": lambda m: Refusal(m.code, m.detail),
    "gift_order": lambda m: exchange.GiftOrder(read_id(m.gift_id), m.code, m.minutes),
    "gift_accepted": lambda m: exchange.GiftAccepted(
        read_id(m.gift_id), m.minutes, moment(m.accepted_at)
    ),
    "ask_headroom": lambda _m: exchange.AskHeadroom(),
    "headroom": lambda m: exchange.Headroom(m.minutes, moment(m.at)),
    "ask_reversal": lambda m: exchange.AskReversal(*_read_about_reversal(m)),
    "offer_reversal": lambda m: exchange.OfferReversal(*_read_about_reversal(m)),
    "request_reversal": lambda m: exchange.RequestReversal(*_read_about_reversal(m)),
    "reversal_receipt": lambda m: exchange.ReversalReceipt(
        read_id(m.reversal_id),
        read_id(m.exchange_id),
        debtor=m.debtor,
        creditor=m.creditor,
        minutes=m.minutes,
        captured_at=moment(m.captured_at),
    ),
    "decline_reversal": lambda m: exchange.DeclineReversal(
        read_id(m.reversal_id), read_id(m.exchange_id)
    ),
    "open_dispute": lambda m: exchange.OpenDispute(
        read_id(m.dispute_id), read_id(m.exchange_id), m.code, m.minutes, _claimed(m)
    ),
    "answer_dispute": lambda m: exchange.AnswerDispute(
        read_id(m.dispute_id), m.code, m.minutes, _claimed(m)
    ),
    "judge_dispute": lambda m: exchange.JudgeDispute(read_id(m.dispute_id), m.minutes, m.is_agreed),
    "noted": lambda m: exchange.Noted(read_id(m.about)),
    "compare_receipts": lambda m: exchange.CompareReceipts(
        m.day,
        _read_summary(m.we_owe),
        _read_summary(m.you_owe),
        UUID(bytes=m.after) if m.after else None,
    ),
    "receipts_compared": lambda m: exchange.ReceiptsCompared(
        m.day,
        _read_summary(m.we_owe),
        _read_summary(m.you_owe),
        tuple(_read_line(line) for line in m.lines),
        m.is_cut,
    ),
    "fetch_receipts": lambda m: exchange.FetchReceipts(tuple(UUID(bytes=one) for one in m.ids)),
    "receipts_found": lambda m: exchange.ReceiptsFound(
        tuple(_read_line(line) for line in m.lines),
        tuple(Sealed(one.payload, one.signature) for one in m.proofs),
    ),
}
