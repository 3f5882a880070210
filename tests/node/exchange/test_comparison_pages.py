"""A day with more receipts than one answer can name is compared to its end, a page at a time."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from node.exchange import compare, receipts, rules
from node.exchange.messages import CompareReceipts, ReceiptLine, ReceiptsCompared
from node.exchange.model import ReceiptRecord
from node.exchange.rules import ComparisonState
from node.kernel.messages import Body, Envelope
from tests.node.exchange.acts import comparison_at
from tests.node.exchange.test_comparison import (
    DAY,
    disputes,
    lose_receipt,
    next_day,
    states,
    today,
)
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


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def test_receipts_that_do_not_fit_one_answer_are_compared_page_by_page(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing stands behind what the first answers can name."""
    monkeypatch.setattr(rules, "COMPARE_LINES_MAX", 2)
    day = today(district)
    first, *others, last = sorted(range(6), key=exchange_id)
    for number in (first, *others[:-1]):
        district.help_guest(number, minutes=10)
    for number in (others[-1], last):
        lose_receipt(district, number)
    next_day(district)
    assert states(district, day) == {ComparisonState.SAME}
    assert district.host.minutes(VOLUNTEER) == 160
    assert comparison_at(district.host, HOME, day).repaired == 2
    assert disputes(district.home) == disputes(district.host) == []
    district.check()


def test_differences_on_all_pages_are_counted_together(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "COMPARE_LINES_MAX", 1)
    day = today(district)
    for number in range(4):
        district.help_guest(number, minutes=10)
    wrong, lost, *_rest = sorted(exchange_id(number) for number in range(4))

    def break_books(session: Session) -> None:
        changed = update(ReceiptRecord).where(ReceiptRecord.exchange_id == wrong)
        session.execute(changed.values(minutes=9))
        session.execute(delete(ReceiptRecord).where(ReceiptRecord.exchange_id == lost))

    district.host.do(break_books)
    next_day(district)
    row = comparison_at(district.home, HOST, day)
    assert (row.missing_here, row.missing_there, row.differing) == (0, 1, 1)
    row = comparison_at(district.host, HOME, day)
    assert (row.missing_here, row.missing_there, row.differing) == (1, 0, 1)
    assert disputes(district.host) == ["receipt_differs", "receipt_missing"]


def says_other_sums(host: Side, question: Envelope, answer: ReceiptsCompared) -> ReceiptsCompared:
    """A liar: every receipt as ours has it, and sums that are not theirs."""
    [known] = host.ask(lambda session: session.scalars(select(ReceiptRecord)).all())
    sums = replace(answer.you_owe, minutes=answer.you_owe.minutes + 1)
    return replace(answer, you_owe=sums, lines=(receipts.line_of(known, HOST),))


def does_not_page(host: Side, question: Envelope, answer: ReceiptsCompared) -> ReceiptsCompared:
    """An older program: it names the first receipts again and again."""
    known = host.ask(lambda session: session.scalars(select(ReceiptRecord)).all())
    lines = tuple(receipts.line_of(record, HOST) for record in known)
    sums = replace(answer.you_owe, minutes=answer.you_owe.minutes + 1)
    return replace(answer, you_owe=sums, lines=lines, is_cut=True)


@pytest.mark.parametrize("said", [says_other_sums, does_not_page])
def test_a_difference_that_no_receipt_explains_puts_the_day_in_dispute(
    district: District,
    monkeypatch: pytest.MonkeyPatch,
    said: Callable[[Side, Envelope, ReceiptsCompared], ReceiptsCompared],
) -> None:
    day = today(district)
    district.help_guest(minutes=60)
    answer = district.host.answers.answer

    def lie(session: Session, question: Envelope) -> Body:
        body = answer(session, question)
        if isinstance(body, ReceiptsCompared):
            return said(district.host, question, body)
        return body

    monkeypatch.setattr(district.host.inbox, "_answer", lie)
    for _ in range(rules.COMPARE_TRIES_MAX):
        assert disputes(district.home) == []
        district.clock.advance(DAY)
        ask_peers(district.home)
    row = comparison_at(district.home, HOST, day)
    assert (row.state, row.tries) == (ComparisonState.DISPUTED, rules.COMPARE_TRIES_MAX)
    district.drain()
    assert disputes(district.home) == disputes(district.host) == ["receipt_differs"]
    assert district.home.minutes(ELDER) == -60


def test_a_peer_that_invents_receipts_without_end_is_not_followed(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "COMPARE_MISSING_MAX", 3)
    district.help_guest(minutes=60)
    answer = district.host.answers.answer

    def invent(session: Session, question: Envelope) -> Body:
        body = answer(session, question)
        if not isinstance(body, ReceiptsCompared):
            return body
        assert isinstance(question.body, CompareReceipts)
        after = question.body.after or UUID(int=0)
        line = ReceiptLine(UUID(int=after.int + 1), "capture", HOME, HOST, 5, question.sent_at)
        sums = replace(body.you_owe, count=10**9)
        return replace(body, you_owe=sums, lines=(line,), is_cut=True)

    monkeypatch.setattr(district.host.inbox, "_answer", invent)
    district.clock.advance(DAY)
    ask_peers(district.home)
    row = comparison_at(district.home, HOST, today(district) - 1)
    assert (row.state, row.missing_here) == (ComparisonState.DIFFERS, 3)


def ask_peers(side: Side) -> None:
    """The side compares, and takes what it is answered; the other side asks nothing."""

    async def drain() -> None:
        while await side.relay.drain_once():
            pass

    side.do(lambda session: compare.compare_due(session, side.clock, side.sealer))
    asyncio.run(drain())
