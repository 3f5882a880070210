"""A receipt that only one side still has: judged by both arbiters, booked by the house, turned."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import evidence, judged, receipts
from node.exchange.dispute import answer, judge
from node.exchange.messages import JudgeDispute, OpenDispute, ReceiptLine
from node.exchange.model import Dispute, Reversal
from node.exchange.rules import DisputeCode, DisputeState, ReceiptKind
from node.kernel.ids import derived_id
from node.kernel.messages import Refusal, Sealed
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.settlement.service import audit_receipts
from tests.node.exchange.acts import compare_all, receipt_at
from tests.node.exchange.test_comparison import DAY, backup, restore
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

MINUTES = 60


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def lose(district: District, folder: Path, *, by: str) -> Side:
    """One side's disk is restored from before the exchange; it knows nothing of it any more."""
    side = district.home if by == HOME else district.host
    copy = backup(side, folder)
    district.help_guest(minutes=MINUTES)
    restore(side, copy)
    return side


def later(district: District) -> None:
    district.clock.advance(DAY)
    compare_all(district)
    district.drain()


def disputed(side: Side) -> Dispute:
    return side.ask(lambda session: session.scalars(select(Dispute)).one())


def hear_and_judge(district: District, *, back: int) -> None:
    """The dispute that the comparison opened goes its way; both arbiters say the same."""
    for side in district.sides:
        row = disputed(side)
        if not row.is_ours and row.state == DisputeState.OPENED:
            side.do(
                lambda session, side=side, row=row: answer(  # type: ignore[misc]
                    session,
                    district.clock,
                    side.sealer,
                    dispute_id=row.id,
                    code=DisputeCode.AS_RECORDED,
                    minutes=0,
                )
            )
    district.drain()
    for side in district.sides:
        row = disputed(side)
        side.do(
            lambda session, side=side, row=row: judge(  # type: ignore[misc]
                session,
                district.clock,
                side.sealer,
                dispute_id=row.id,
                minutes=back,
                arbiter=None,
            )
        )
        district.drain()


def judged_minutes(side: Side) -> int:
    account = receipts.account_of(None)
    return side.ask(
        lambda session: ledger.balance(session, account) if ledger.exists(session, account) else 0
    )


@pytest.mark.parametrize("back", [0, 25, MINUTES])
@pytest.mark.parametrize("loser", [HOME, HOST])
def test_what_arbiters_said_of_a_one_sided_receipt_is_carried_out(
    district: District, tmp_path: Path, loser: str, back: int
) -> None:
    side = lose(district, tmp_path, by=loser)
    later(district)
    assert {disputed(one).state for one in district.sides} == {DisputeState.OPENED}
    hear_and_judge(district, back=back)
    assert {disputed(one).state for one in district.sides} == {DisputeState.JUDGED}
    for _ in range(2):
        later(district)
    kept = MINUTES - back
    assert receipt_at(side, exchange_id()).minutes == MINUTES
    assert judged_minutes(side) == (-kept if loser == HOME else kept)
    assert district.home.minutes(ELDER) == (0 if loser == HOME else -kept)
    assert district.host.minutes(VOLUNTEER) == (0 if loser == HOST else kept)
    assert district.home.clearing(HOST) == -district.host.clearing(HOME) == kept
    assert district.home.held() == district.host.held() == 0
    for one in district.sides:
        states = one.ask(lambda session: session.scalars(select(Reversal.state)).all())
        assert set(states) == ({"reversed"} if back else set())
        assert one.ask(audit_ledger).ok
        assert one.ask(audit_receipts) == ""


def test_nothing_is_booked_before_both_arbiters_have_spoken(
    district: District, tmp_path: Path
) -> None:
    side = lose(district, tmp_path, by=HOME)
    for _ in range(3):
        later(district)
    assert district.home.clearing(HOST) == 0
    assert judged_minutes(side) == 0


def test_the_house_books_it_once(district: District, tmp_path: Path) -> None:
    side = lose(district, tmp_path, by=HOST)
    later(district)
    hear_and_judge(district, back=0)
    for _ in range(3):
        later(district)
    assert judged_minutes(side) == MINUTES
    assert compare_all(district) == 0, "nothing is left to ask"


INVENTED = derived_id("an exchange that never was")


def invented(district: District, *, minutes: int) -> ReceiptLine:
    """What a lying host says home owes it."""
    at = district.clock.now()
    return ReceiptLine(INVENTED, ReceiptKind.CAPTURE, HOME, HOST, minutes, at)


def open_by_liar(district: District, claimed: ReceiptLine | None) -> str:
    """The host opens a dispute about a receipt that home has not; why home refuses, if it does."""
    body = OpenDispute(INVENTED, INVENTED, DisputeCode.RECEIPT_MISSING, 0, claimed)
    item = district.host.say(body, to=HOME, message_id=derived_id(claimed))
    answered = district.host.read_answer(district.home.hear(item, caller=HOST), sender=HOME)
    return answered.code if isinstance(answered, Refusal) else ""


def judge_nothing_back(district: District) -> None:
    """Home answers and judges, as it does in good faith; the host says the same."""
    home, shared = district.home, (district.clock, district.home.sealer)
    as_recorded = DisputeCode.AS_RECORDED
    home.do(lambda s: answer(s, *shared, dispute_id=INVENTED, code=as_recorded, minutes=0))
    home.do(lambda s: judge(s, *shared, dispute_id=INVENTED, minutes=0, arbiter=None))
    body = JudgeDispute(INVENTED, 0, is_agreed=True)
    home.hear(district.host.say(body, to=HOME, message_id=derived_id("agree")), caller=HOST)
    assert disputed(home).state == DisputeState.JUDGED


def book(district: District, line: ReceiptLine) -> bool:
    """Home has fetched this line; the bytes stand for the answer that it came in."""
    home, sealed = district.home, Sealed(b"as fetched", b"signed")

    def command(session: Session) -> bool:
        return judged.book(session, district.clock, home.sealer, HOST, line, sealed)

    return home.do(command)


def test_only_the_minutes_that_the_arbiters_saw_are_booked(district: District) -> None:
    shown = invented(district, minutes=MINUTES)
    assert open_by_liar(district, shown) == ""
    judge_nothing_back(district)
    turned = {"debtor": shown.creditor, "creditor": shown.debtor}
    later_on = {"captured_at": shown.captured_at.replace(year=2001)}
    for other in ({"minutes": 61}, {"minutes": 10**6}, turned, {"kind": "gift"}, later_on):
        assert not book(district, replace(shown, **other))
    assert district.home.clearing(HOST) == 0
    kinds = {piece.kind for piece in district.home.ask(evidence.latest)}
    assert kinds == {"exchange.receipt_differs"}, "it signed both"
    assert book(district, shown)
    assert district.home.clearing(HOST) == MINUTES
    assert judged_minutes(district.home) == -MINUTES


def test_a_receipt_that_was_never_shown_is_not_booked(district: District) -> None:
    assert open_by_liar(district, None) == ""
    judge_nothing_back(district)
    assert not book(district, invented(district, minutes=MINUTES))
    assert district.home.clearing(HOST) == 0


@pytest.mark.parametrize("minutes", [-1, 481, 10**6, 2**62])
def test_no_dispute_is_about_more_than_an_exchange_can_be(district: District, minutes: int) -> None:
    claimed = invented(district, minutes=minutes)
    assert open_by_liar(district, claimed) == "exchange.reversal_too_large"
    assert not district.home.ask(lambda session: session.scalars(select(Dispute)).all())
    kinds = {piece.kind for piece in district.home.ask(evidence.latest)}
    assert kinds == {"exchange.reversal_too_large"}


def test_a_dispute_names_no_receipt_of_others(district: District) -> None:
    claimed = invented(district, minutes=MINUTES)
    for other in (
        replace(claimed, id=derived_id("another")),
        replace(claimed, debtor="elm"),
        replace(claimed, kind="loan"),
        replace(claimed, minutes=0),
    ):
        assert open_by_liar(district, other) == "kernel.bad_input"
