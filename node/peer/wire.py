"""Message <-> domain value, both ways, nothing else. Generated classes stop here."""

from google.protobuf.message import DecodeError

from node.kernel.errors import DomainError
from node.kernel.ids import read_id
from node.kernel.messages import Envelope, Sealed
from node.peer import bodies
from node.peer.bodies import DECODERS, ENCODERS, moment, timestamp
from node.settlement import messages as settlement
from protos import peer_pb2 as pb


class Unreadable(DomainError):
    code = "peer.unreadable"
    message = "A message cannot be read: {problem}"


def encode(envelope: Envelope) -> bytes:
    """The bytes that are signed and sent."""
    field, body = ENCODERS[type(envelope.body)](envelope.body)
    message = pb.Message(
        message_id=str(envelope.message_id),
        sender=envelope.sender,
        recipient=envelope.recipient,
        sent_at=timestamp(envelope.sent_at),
        in_reply_to=str(envelope.in_reply_to) if envelope.in_reply_to else "",
        **{field: body},
    )
    return message.SerializeToString(deterministic=True)


def decode(payload: bytes, *, sealed: Sealed | None = None) -> Envelope:
    """The message in these bytes, which may have come `sealed`; raises Unreadable."""
    try:
        message = pb.Message.FromString(payload)
        field = message.WhichOneof("body")
        if field is None:
            raise Unreadable(problem="it has no body this version knows")
        return Envelope(
            message_id=read_id(message.message_id),
            sender=message.sender,
            recipient=message.recipient,
            sent_at=moment(message.sent_at),
            body=DECODERS[field](getattr(message, field)),
            in_reply_to=read_id(message.in_reply_to) if message.in_reply_to else None,
            sealed=sealed,
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
        return bodies.decode_statement(payload)
    except (DecodeError, ValueError) as problem:
        raise Unreadable(problem=type(problem).__name__) from problem
