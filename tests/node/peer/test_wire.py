"""Every message survives the wire unchanged, and what is no message is said to be none."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.exchange import messages as exchange
from node.kernel.messages import Body, Envelope, Refusal, Sealed
from node.peer import wire
from node.peer.bodies import DECODERS, ENCODERS
from node.settlement import messages as settlement
from protos import peer_pb2 as pb

ids = st.uuids()
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
minutes = st.integers(-(2**63), 2**63 - 1)
moments = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 (hypothesis adds the time zone)
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
)
statements = st.builds(
    settlement.StatementContent,
    statement_id=ids,
    debtor=words,
    creditor=words,
    count=minutes,
    minutes=minutes,
    merkle_root=st.binary(max_size=32),
    exchange_ids=st.lists(ids, max_size=4).map(tuple),
)


summaries = st.builds(exchange.Summary, minutes, minutes, st.binary(max_size=32))
lines = st.lists(
    st.builds(
        exchange.ReceiptLine, ids, words, words, words, minutes, moments, st.one_of(st.none(), ids)
    ),
    max_size=3,
).map(tuple)
proofs = st.lists(
    st.builds(Sealed, st.binary(max_size=40), st.binary(max_size=64)), max_size=3
).map(tuple)


def proposed(content: settlement.StatementContent, signature: bytes) -> settlement.ProposeStatement:
    return settlement.ProposeStatement(content, wire.encode_statement(content), signature)


BODIES: dict[type[Body], st.SearchStrategy[Body]] = {
    exchange.PassSlip: st.builds(exchange.PassSlip, ids, words, minutes, moments, words),
    exchange.PresentPass: st.builds(exchange.PresentPass, ids, words),
    exchange.PassAccepted: st.builds(exchange.PassAccepted, ids, ids, minutes, moments),
    exchange.RequestCapture: st.builds(exchange.RequestCapture, ids, ids, minutes),
    exchange.Receipt: st.builds(exchange.Receipt, ids, ids, words, words, minutes, moments),
    exchange.ReleasePass: st.builds(exchange.ReleasePass, ids, ids),
    exchange.PassReleased: st.builds(exchange.PassReleased, ids),
    settlement.ProposeStatement: st.builds(proposed, statements, st.binary(max_size=64)),
    settlement.StatementAgreed: st.builds(settlement.StatementAgreed, ids, st.binary(max_size=64)),
    settlement.StatementDiffers: st.builds(
        settlement.StatementDiffers, ids, st.lists(ids, max_size=4).map(tuple)
    ),
    exchange.GiftOrder: st.builds(exchange.GiftOrder, ids, words, minutes),
    exchange.GiftAccepted: st.builds(exchange.GiftAccepted, ids, minutes, moments),
    exchange.AskHeadroom: st.builds(exchange.AskHeadroom),
    exchange.Headroom: st.builds(exchange.Headroom, minutes, moments),
    exchange.AskReversal: st.builds(exchange.AskReversal, ids, ids, minutes),
    exchange.OfferReversal: st.builds(exchange.OfferReversal, ids, ids, minutes),
    exchange.RequestReversal: st.builds(exchange.RequestReversal, ids, ids, minutes),
    exchange.ReversalReceipt: st.builds(
        exchange.ReversalReceipt, ids, ids, words, words, minutes, moments
    ),
    exchange.DeclineReversal: st.builds(exchange.DeclineReversal, ids, ids),
    exchange.OpenDispute: st.builds(exchange.OpenDispute, ids, ids, words, minutes),
    exchange.AnswerDispute: st.builds(exchange.AnswerDispute, ids, words, minutes),
    exchange.JudgeDispute: st.builds(exchange.JudgeDispute, ids, minutes, st.booleans()),
    exchange.Noted: st.builds(exchange.Noted, ids),
    exchange.CompareReceipts: st.builds(
        exchange.CompareReceipts, minutes, summaries, summaries, st.one_of(st.none(), ids)
    ),
    exchange.ReceiptsCompared: st.builds(
        exchange.ReceiptsCompared, minutes, summaries, summaries, lines, st.booleans()
    ),
    exchange.FetchReceipts: st.builds(exchange.FetchReceipts, st.lists(ids, max_size=4).map(tuple)),
    exchange.ReceiptsFound: st.builds(exchange.ReceiptsFound, lines, proofs),
    Refusal: st.builds(Refusal, words, words),
}
envelopes = st.builds(
    Envelope,
    message_id=ids,
    sender=words,
    recipient=words,
    sent_at=moments,
    body=st.one_of(*BODIES.values()),
    in_reply_to=st.one_of(st.none(), ids),
)


def test_no_body_is_left_out() -> None:
    """A new message must be added to the table above, to the encoders and to the decoders."""
    assert set(BODIES) == set(ENCODERS)
    fields = pb.Message.DESCRIPTOR.oneofs_by_name["body"].fields
    assert {field.name for field in fields} == set(DECODERS)
    assert len(DECODERS) == len(BODIES)


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_each_body_round_trips(kind: type[Body], data: st.DataObject) -> None:
    body = data.draw(BODIES[kind])
    message_id, sent_at = data.draw(ids), data.draw(moments)
    envelope = Envelope(message_id, "plum-court", "jade-garden", sent_at, body)
    assert wire.decode(wire.encode(envelope)) == envelope


@given(envelopes)
def test_the_same_message_is_the_same_bytes(envelope: Envelope) -> None:
    payload = wire.encode(envelope)
    assert wire.decode(payload) == envelope
    assert wire.encode(wire.decode(payload)) == payload


@given(statements)
def test_a_statement_round_trips(content: settlement.StatementContent) -> None:
    assert wire.decode_statement(wire.encode_statement(content)) == content


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_unreadable(payload: bytes) -> None:
    for read in (wire.decode, wire.decode_statement):
        with suppress(wire.Unreadable):
            read(payload)


@given(envelopes, st.data())
def test_broken_bytes_never_surprise(envelope: Envelope, data: st.DataObject) -> None:
    payload = bytearray(wire.encode(envelope))
    position = data.draw(st.integers(0, len(payload) - 1))
    payload[position] ^= data.draw(st.integers(1, 255))
    with suppress(wire.Unreadable):
        wire.decode(bytes(payload))


@pytest.mark.parametrize(
    "message",
    [
        pb.Message(message_id="x", refusal=pb.Refusal()),
        pb.Message(),
        pb.Message(message_id="00000000-0000-0000-0000-000000000000"),
        pb.Message(
            message_id="00000000-0000-0000-0000-000000000000",
            in_reply_to="not an id",
            refusal=pb.Refusal(),
        ),
        pb.Message(
            message_id="00000000-0000-0000-0000-000000000000",
            statement_differs=pb.StatementDiffers(
                statement_id="00000000-0000-0000-0000-000000000000", missing=[b"short"]
            ),
        ),
    ],
)
def test_a_message_without_its_parts_is_unreadable(message: pb.Message) -> None:
    with pytest.raises(wire.Unreadable):
        wire.decode(message.SerializeToString())
