"""Each day's receipts are compared; what is missing comes home by itself, the rest is disputed."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from node.exchange import compare, receipts, rules
from node.exchange.messages import CompareReceipts, FetchReceipts, ReceiptsFound, Summary
from node.exchange.model import Comparison, Dispute, ReceiptRecord
from node.exchange.rules import ComparisonState
from node.kernel import merkle
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Refusal, Sealed
from node.outbox.model import OUTBOX
from node.outbox.service import waiting_count
from tests.node.exchange.acts import (
    agree_back,
    compare_all,
    comparison_at,
    gift_id,
    give,
    hand_out_code,
    offer_back,
    reversal_id,
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

DAY = timedelta(days=1)


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        hand_out_code(district)
        yield district


def today(district: District) -> int:
    return receipts.day_of(district.clock.now())


def next_day(district: District) -> None:
    district.clock.advance(DAY)
    compare_all(district)
    district.drain()


def states(district: District, day: int) -> set[str]:
    return {
        comparison_at(side, peer, day).state
        for side, peer in ((district.home, HOST), (district.host, HOME))
    }


def disputes(side: Side) -> list[str]:
    rows = side.ask(lambda session: session.scalars(select(Dispute)).all())
    return sorted(str(row.our_code or row.their_code) for row in rows)


def backup(side: Side, folder: Path) -> Path:
    """The side's file as it stands, as an operator would copy it."""
    side.database.close()
    copy = folder / f"{side.community}.backup"
    shutil.copyfile(side.url.removeprefix("sqlite:///"), copy)
    side.open()
    return copy


def restore(side: Side, copy: Path) -> None:
    side.database.close()
    file = side.url.removeprefix("sqlite:///")
    for suffix in ("-wal", "-shm"):
        Path(file + suffix).unlink(missing_ok=True)
    shutil.copyfile(copy, file)
    side.open()


def test_books_that_agree_are_found_to(district: District) -> None:
    day = today(district)
    district.help_guest(minutes=60)
    give(district, minutes=30)
    district.drain()
    next_day(district)
    assert states(district, day) == {ComparisonState.SAME}
    assert compare_all(district) == 0, "once a day"


def test_a_day_without_receipts_asks_nothing(district: District) -> None:
    district.clock.advance(DAY)
    assert compare_all(district) == 0
    assert not any(side.ask(waiting_count) for side in district.sides)


def test_days_that_were_missed_are_compared_later(district: District) -> None:
    first = today(district)
    district.help_guest(0, minutes=10)
    district.clock.advance(DAY)
    district.help_guest(1, minutes=20)
    district.clock.advance(3 * DAY)
    assert compare_all(district) == 4
    district.drain()
    assert states(district, first) == states(district, first + 1) == {ComparisonState.SAME}


def test_no_older_day_is_passed_over_when_the_other_side_asks_first(district: District) -> None:
    """After days away a node is asked about yesterday before it has looked at the days before."""
    first = today(district)
    district.help_guest(0, minutes=10)  # this day only home will ask about
    district.clock.advance(2 * DAY)
    nothing, something = Summary(0, 0, merkle.root([])), Summary(1, 5, bytes(32))
    asked = CompareReceipts(first + 1, something, nothing)
    item = district.host.say(asked, to=HOME, message_id=derived_id("asked first"))
    district.home.hear(item, caller=HOST)
    assert comparison_at(district.home, HOST, first).tries == 1


def lose_receipt(district: District, number: int = 0) -> None:
    """An exchange whose answer was lost on the way to the host, and the question with it."""
    district.issue(number, minutes=60)
    district.present(number)
    district.drain()
    district.deliver(number, minutes=60)
    district.confirm(number)

    def forget(session: Session) -> None:
        request = (OUTBOX.c.kind == "RequestCapture", OUTBOX.c.state == "waiting")
        row = session.execute(select(OUTBOX).where(*request)).one()
        asked.append((row.payload, row.signature))
        session.execute(delete(OUTBOX).where(*request))

    asked: list[tuple[bytes, bytes]] = []
    district.host.do(forget)
    district.home.hear(Sealed(*asked[0]), caller=HOST)


def test_a_receipt_the_host_never_got_comes_home(district: District) -> None:
    """The comparison alone can find it."""
    day = today(district)
    lose_receipt(district)
    assert district.host.minutes(VOLUNTEER) == 0
    assert district.home.minutes(ELDER) == -60
    next_day(district)
    assert district.host.minutes(VOLUNTEER) == 60
    assert states(district, day) == {ComparisonState.SAME}
    assert comparison_at(district.host, HOME, day).repaired == 1
    district.check()


@pytest.mark.parametrize("lost", ["home", "host"])
def test_a_side_restored_from_a_backup_gets_its_receipts_back(
    district: District, tmp_path: Path, lost: str
) -> None:
    """The backup is from before the answers came; the other side kept the signed words."""
    day = today(district)
    district.issue(minutes=60)
    district.present()
    district.drain()
    district.deliver(minutes=60)
    if lost == "host":
        district.confirm()
    side = district.home if lost == "home" else district.host
    copy = backup(side, tmp_path)
    if lost == "home":
        district.confirm()
    district.drain()
    restore(side, copy)
    for _ in range(2):  # what came by itself while we compared is seen the next time
        next_day(district)
    assert district.home.minutes(ELDER) == -60
    assert district.host.minutes(VOLUNTEER) == 60
    assert states(district, day) <= {ComparisonState.SAME}
    district.check()


def test_a_pass_restored_as_issued_is_bound_and_paid_by_homes_own_word(
    district: District, tmp_path: Path
) -> None:
    district.issue(minutes=60)
    copy = backup(district.home, tmp_path)
    district.present()
    district.drain()
    district.deliver(minutes=45)
    district.confirm()
    district.drain()
    restore(district.home, copy)
    next_day(district)
    assert district.pass_state() == "captured"
    assert district.home.minutes(ELDER) == -45
    district.check()


def test_gifts_and_reversals_are_restored_on_either_side(
    district: District, tmp_path: Path
) -> None:
    district.help_guest(minutes=60)
    give(district, minutes=30)
    offer_back(district.host, exchange_id(), minutes=20)
    district.drain()
    agree_back(district.home)
    copies = {side.community: backup(side, tmp_path) for side in district.sides}
    district.drain()
    restore(district.host, copies[HOST])
    next_day(district)
    district.check()
    assert district.host.minutes(VOLUNTEER) == 70
    assert district.home.minutes(ELDER) == -70


def test_a_gift_the_receiver_lost_is_credited_again(district: District, tmp_path: Path) -> None:
    copy = backup(district.host, tmp_path)
    give(district, minutes=30)
    district.drain()
    restore(district.host, copy)
    next_day(district)
    assert district.host.minutes(VOLUNTEER) == 30
    district.check()


def test_what_cannot_be_proven_becomes_a_dispute(district: District) -> None:
    """Home claims that it owes for an exchange of which the host has nothing at all."""
    day = today(district)
    district.help_guest(minutes=60)

    def invent(session: Session) -> None:
        session.add(
            ReceiptRecord(
                exchange_id=derived_id("invented"),
                kind="capture",
                peer=HOST,
                is_debt=True,
                minutes=25,
                captured_at=district.clock.now(),
            )
        )

    district.home.do(invent)
    next_day(district)
    assert disputes(district.host) == ["receipt_missing"]
    assert district.host.minutes(VOLUNTEER) == 60
    assert disputes(district.home) == ["receipt_missing"]
    assert ComparisonState.SAME not in states(district, day)


def test_other_minutes_under_one_id_are_disputed(district: District) -> None:
    district.help_guest(minutes=60)
    district.home.do(
        lambda session: session.execute(update(ReceiptRecord).values(minutes=59)) and None
    )
    next_day(district)
    assert "receipt_differs" in disputes(district.home)
    assert "receipt_differs" in disputes(district.host)


def test_what_the_other_side_never_proves_is_disputed_in_the_end(district: District) -> None:
    day = today(district)
    district.help_guest(minutes=60)
    district.host.do(lambda session: session.execute(delete(ReceiptRecord)) and None)
    for _ in range(rules.COMPARE_TRIES_MAX + 1):
        next_day(district)
    row = comparison_at(district.home, HOST, day)
    assert row.state == ComparisonState.DISPUTED
    assert row.tries == rules.COMPARE_TRIES_MAX
    assert disputes(district.home)


def ask_host(district: District, body: Body) -> Body:
    item = district.home.say(body, to=HOST, message_id=derived_id(str(body)))
    return district.home.read_answer(district.host.hear(item, caller=HOME), sender=HOST)


def test_only_the_peers_own_receipts_are_shown(district: District) -> None:
    district.help_guest(minutes=60)
    district.host.do(
        lambda session: session.execute(update(ReceiptRecord).values(peer="willow-bank")) and None
    )
    answer = ask_host(district, FetchReceipts((exchange_id(),)))
    assert answer == ReceiptsFound((), ())


def test_liars_in_a_comparison_are_refused(district: District) -> None:
    nothing = Summary(0, 0, merkle.root([]))
    tomorrow = today(district) + 1
    for body in (
        CompareReceipts(tomorrow, nothing, nothing),
        CompareReceipts(-1, nothing, nothing),
        FetchReceipts(()),
        FetchReceipts(tuple(derived_id(number) for number in range(rules.FETCH_MAX + 1))),
    ):
        assert isinstance(ask_host(district, body), Refusal)
    rows = district.host.ask(lambda session: session.scalars(select(Comparison)).all())
    assert rows == []


def test_the_operator_sees_what_was_compared(district: District) -> None:
    district.help_guest(minutes=60)
    next_day(district)
    [row] = district.home.ask(compare.comparisons)
    assert (row.peer, row.state, row.tries) == (HOST, "same", 1)
    assert gift_id() != reversal_id()
