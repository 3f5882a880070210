"""Message <-> domain value, both ways, nothing else. Generated classes stop here."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from node.exchange import messages as exchange
from node.kernel.errors import DomainError
from node.kernel.messages import Body, Envelope, Refusal, Sealed
from node.settlement import messages as settlement
from protos import peer_pb2 as pb


class Unreadable(DomainError):
    code = "peer.unreadable"
    message = "A message cannot be read: {problem}"


def timestamp(moment: datetime) -> Timestamp:
    """An aware datetime as the wire has it."""
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC).replace(tzinfo=None))
    return stamp


def moment(stamp: Timestamp) -> datetime:
    """A wire time as an aware datetime in UTC."""
    return stamp.ToDatetime(tzinfo=UTC)


def encode(envelope: Envelope) -> bytes:
    """The bytes that are signed and sent."""
    message = pb.Message(
        message_id=str(envelope.message_id),
        sender=envelope.sender,
        recipient=envelope.recipient,
        sent_at=timestamp(envelope.sent_at),
        in_reply_to=str(envelope.in_reply_to) if envelope.in_reply_to else "",
    )
    field, body = _ENCODERS[type(envelope.body)](envelope.body)
    getattr(message, field).CopyFrom(body)
    return message.SerializeToString(deterministic=True)


def decode(payload: bytes) -> Envelope:
    """The message in these bytes; raises Unreadable."""
    try:
        message = pb.Message.FromString(payload)
        field = message.WhichOneof("body")
        if field is None:
            raise Unreadable(problem="it has no body this version knows")
        return Envelope(
            message_id=UUID(message.message_id),
            sender=message.sender,
            recipient=message.recipient,
            sent_at=moment(message.sent_at),
            body=_DECODERS[field](getattr(message, field)),
            in_reply_to=UUID(message.in_reply_to) if message.in_reply_to else None,
        )
    except (DecodeError, ValueError, OverflowError) as problem:
        raise Unreadable(problem=type(problem).__name__) from problem


def signed(sealed: Sealed) -> pb.Signed:
    """A sealed message for the wire."""
    return pb.Signed(payload=sealed.payload, signature=sealed.signature)


def sealed(item: pb.Signed) -> Sealed:
    """A sealed message from the wire; nothing about it is checked yet."""
    return Sealed(item.payload, item.signature)


def encode_statement(content: settlement.StatementContent) -> bytes:
    """The bytes of a statement that debtor and creditor sign."""
    return pb.Statement(
        statement_id=str(content.statement_id),
        debtor=content.debtor,
        creditor=content.creditor,
        count=content.count,
        minutes=content.minutes,
        merkle_root=content.merkle_root,
        exchange_ids=[exchange_id.bytes for exchange_id in content.exchange_ids],
    ).SerializeToString(deterministic=True)


def decode_statement(payload: bytes) -> settlement.StatementContent:
    """The statement in these bytes; raises Unreadable."""
    try:
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
    except (DecodeError, ValueError) as problem:
        raise Unreadable(problem=type(problem).__name__) from problem


def _propose(message: pb.ProposeStatement) -> settlement.ProposeStatement:
    content = decode_statement(message.statement)
    return settlement.ProposeStatement(content, message.statement, message.debtor_signature)


_ENCODERS: dict[type[Body], Callable[[Any], tuple[str, Any]]] = {
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
}

_DECODERS: dict[str, Callable[[Any], Body]] = {
    "present_pass": lambda m: exchange.PresentPass(UUID(m.exchange_id), m.code),
    "request_capture": lambda m: exchange.RequestCapture(
        UUID(m.exchange_id), UUID(m.pass_id), m.minutes
    ),
    "release_pass": lambda m: exchange.ReleasePass(UUID(m.exchange_id), UUID(m.pass_id)),
    "pass_accepted": lambda m: exchange.PassAccepted(
        UUID(m.exchange_id), UUID(m.pass_id), m.minutes_up_to, moment(m.capture_until)
    ),
    "receipt": lambda m: exchange.Receipt(
        UUID(m.exchange_id),
        UUID(m.pass_id),
        home=m.home,
        host=m.host,
        minutes=m.minutes,
        captured_at=moment(m.captured_at),
    ),
    "pass_released": lambda m: exchange.PassReleased(UUID(m.exchange_id)),
    "pass": lambda m: exchange.PassSlip(
        UUID(m.pass_id), m.host, m.minutes_up_to, moment(m.expires_at), m.code
    ),
    "propose_statement": _propose,
    "statement_agreed": lambda m: settlement.StatementAgreed(
        UUID(m.statement_id), m.creditor_signature
    ),
    "statement_differs": lambda m: settlement.StatementDiffers(
        UUID(m.statement_id), tuple(UUID(bytes=one) for one in m.missing)
    ),
    "refusal": lambda m: Refusal(m.code, m.detail),
}
