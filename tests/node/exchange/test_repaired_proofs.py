"""A receipt that came home by a comparison proves the debt as well as one that came in time."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from node.exchange import rules
from node.exchange.messages import FetchReceipts, ReceiptLine, ReceiptsFound
from node.exchange.model import ReceiptRecord
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Envelope, Refusal, Sealed
from node.outbox.model import OUTBOX
from node.peer import wire
from tests.node.backup.test_returning import ask, copied, finish, restored
from tests.node.exchange.acts import agree_back, offer_back, receipt_at, reversal_id
from tests.node.exchange.test_comparison import DAY, disputes, lose_receipt, next_day
from tests.node.two_nodes import (
    ELDER,
    HOME,
    HOST,
    VOLUNTEER,
    District,
    Side,
    exchange_id,
    two_nodes,
)

Change = Callable[[ReceiptLine], ReceiptLine]


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def restore(district: District, side: Side, peer: str, copy: Path, folder: Path) -> None:
    """The side starts again from yesterday's copy, and asks before it answers."""
    district.clock.moment -= DAY
    returning = restored(side, copy, folder)
    district.clock.advance(DAY)
    assert ask(returning, side, peer) > 0
    district.drain()
    assert finish(returning, side, peer)
    district.drain()


def kept(side: Side, receipt_id: UUID) -> ReceiptsFound:
    """The words that this side keeps as the receipt's proof."""
    payload = receipt_at(side, receipt_id).payload
    assert payload is not None
    body = wire.decode(payload).body
    assert isinstance(body, ReceiptsFound)
    return body


@pytest.mark.parametrize("since", ["issued", "accepted"])
def test_a_debtor_that_lost_its_books_is_shown_its_own_answer(
    district: District, tmp_path: Path, since: str
) -> None:
    district.issue(minutes=60)
    copy = copied(district.home)
    if since == "accepted":
        district.present()
        district.drain()
        copy = copied(district.home)
    lose_receipt(district)
    next_day(district)
    assert district.host.minutes(VOLUNTEER) == 60
    restore(district, district.home, HOST, copy, tmp_path)
    assert district.pass_state() == "captured"
    assert district.home.minutes(ELDER) == -60
    assert disputes(district.home) == disputes(district.host) == []
    district.check()


def test_minutes_that_went_back_are_proven_by_a_repaired_receipt(
    district: District, tmp_path: Path
) -> None:
    """The host paid them back, home learnt it by the comparison, the host lost its books of it."""
    district.help_guest(minutes=60)
    offer_back(district.host, exchange_id(), minutes=20)
    district.drain()
    copy = copied(district.host)
    agree_back(district.home)
    asked = forget(district.home, "RequestReversal")
    district.host.hear(asked, caller=HOME)
    next_day(district)
    assert district.home.minutes(ELDER) == -40
    assert kept(district.home, reversal_id()).lines[0].kind == "reversal"
    restore(district, district.host, HOME, copy, tmp_path)
    assert district.host.minutes(VOLUNTEER) == 40
    district.check()


def forget(side: Side, kind: str) -> Sealed:
    """What waits in the outbox is gone; it arrived, and the answer did not."""
    waiting = (OUTBOX.c.kind == kind, OUTBOX.c.state == "waiting")

    def command(session: Session) -> Sealed:
        row = session.execute(select(OUTBOX).where(*waiting)).one()
        session.execute(OUTBOX.delete().where(*waiting))
        return Sealed(row.payload, row.signature)

    return side.do(command)


def test_each_proof_says_one_receipt_and_nothing_else(district: District) -> None:
    for number in range(3):
        lose_receipt(district, number)
    next_day(district)
    for number in range(3):
        said = kept(district.host, exchange_id(number))
        assert [line.id for line in said.lines] == [exchange_id(number)]
        assert said.proofs == ()


def with_other_minutes(line: ReceiptLine) -> ReceiptLine:
    return replace(line, minutes=line.minutes - 1)


def of_another_day(line: ReceiptLine) -> ReceiptLine:
    return replace(line, captured_at=line.captured_at - DAY)


def of_another_kind(line: ReceiptLine) -> ReceiptLine:
    return replace(line, kind="gift")


def for_another_exchange(line: ReceiptLine) -> ReceiptLine:
    return replace(line, id=derived_id("another"))


def by_another_pass(line: ReceiptLine) -> ReceiptLine:
    return replace(line, pass_id=derived_id("another pass"))


def as_it_was(line: ReceiptLine) -> ReceiptLine:
    return line


@pytest.mark.parametrize(
    ("changed", "signer", "recipient"),
    [
        (with_other_minutes, HOME, HOST),
        (of_another_day, HOME, HOST),
        (of_another_kind, HOME, HOST),
        (for_another_exchange, HOME, HOST),
        (by_another_pass, HOME, HOST),
        (as_it_was, HOME, "willow-bank"),
        (as_it_was, HOST, HOME),
    ],
)
def test_only_the_debtors_own_words_about_this_very_receipt_prove_it(
    district: District, tmp_path: Path, changed: Change, signer: str, recipient: str
) -> None:
    district.issue(minutes=60)
    district.present()
    district.drain()
    copy = copied(district.home)
    lose_receipt(district)
    next_day(district)
    [line] = kept(district.host, exchange_id()).lines
    body = ReceiptsFound((changed(line),), ())
    said = Envelope(derived_id("said"), signer, recipient, district.clock.now(), body)
    proof = district.network.sides[signer].sealer.seal(said)
    words = {"payload": proof.payload, "signature": proof.signature}
    district.host.do(
        lambda session: session.execute(update(ReceiptRecord).values(**words)) and None
    )
    restore(district, district.home, HOST, copy, tmp_path)
    assert district.home.minutes(ELDER) == 0
    assert disputes(district.home) == ["receipt_missing"]


def pad(district: District, monkeypatch: pytest.MonkeyPatch, *, only_many: bool) -> None:
    """Home's answers are longer than what proves a receipt."""
    answer = district.home.answers.answer

    def padded(session: Session, question: Envelope) -> Body:
        body, asked = answer(session, question), question.body
        if not isinstance(body, ReceiptsFound) or not isinstance(asked, FetchReceipts):
            return body
        if only_many and len(asked.ids) == 1:
            return body
        junk = Sealed(bytes(rules.PROOF_BYTES_MAX), bytes(64))
        return replace(body, proofs=(*body.proofs, junk))

    monkeypatch.setattr(district.home.inbox, "_answer", padded)


def test_an_answer_too_long_to_keep_proves_nothing(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_receipt(district)
    pad(district, monkeypatch, only_many=False)
    next_day(district)
    assert district.host.minutes(VOLUNTEER) == 0
    assert disputes(district.host) == ["receipt_missing"]


def test_what_was_asked_for_together_is_asked_for_again_alone(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question of an older program, answered after the change."""
    for number in range(2):
        lose_receipt(district, number)
    pad(district, monkeypatch, only_many=True)
    together = FetchReceipts((exchange_id(0), exchange_id(1)))
    item = district.host.say(together, to=HOME, message_id=derived_id("together"))
    answer = district.home.hear(item, caller=HOST)
    said = wire.decode(answer.payload)
    assert not isinstance(said.body, Refusal)
    district.host.do(
        lambda session: district.host.answers.apply(
            session, wire.decode(item.payload), said, answer
        )
    )
    assert district.host.minutes(VOLUNTEER) == 0
    district.drain()
    assert district.host.minutes(VOLUNTEER) == 120
    assert disputes(district.host) == []
    district.check()
