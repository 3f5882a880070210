"""Two receipts that differ: left out of statements, judged, and made the same, no hour twice."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from node.exchange import claim, judged, receipts
from node.exchange.model import Claim, Dispute, ReceiptRecord
from node.exchange.rules import DisputeState
from node.kernel.ids import derived_id
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.model import Unit
from node.peer import wire
from node.settlement import service
from node.settlement.model import Statement, StatementState
from tests.node.exchange.acts import receipt_at
from tests.node.exchange.test_comparison import next_day
from tests.node.exchange.test_judged import disputed, hear_and_judge, judged_minutes
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

PAID, LOWER = 60, 50  # minutes


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        district.help_guest(minutes=PAID)
        yield district


def lower(side: Side, *, in_books: bool) -> None:
    """The receipt says less at this side, as its accounts do (`in_books`) or the row alone."""
    is_home = side.community == HOME
    resident = ledger.resident_account(ELDER if is_home else VOLUNTEER, Unit.MINUTES)
    clearing = ledger.clearing_account(HOST if is_home else HOME)

    def command(session: Session) -> None:
        same = update(ReceiptRecord).where(ReceiptRecord.exchange_id == exchange_id())
        session.execute(same.values(minutes=LOWER))
        if in_books:
            ledger.transfer(
                session,
                side.clock,
                entry_id=derived_id("as if less had been booked"),
                payer_id=clearing if is_home else resident,
                payee_id=resident if is_home else clearing,
                amount=PAID - LOWER,
                reason="test",
            )

    side.do(command)


def state_debts(district: District) -> None:
    """Home says what it owes and hears the host's answer, as with every heartbeat."""
    sealer = district.home.sealer

    def command(session: Session) -> None:
        service.state_debts(session, district.clock, sealer, wire.encode_statement)
        session.flush()
        service.propose_open(session, district.clock, sealer, wire.decode_statement)

    district.home.do(command)
    district.drain()


def statements(side: Side) -> dict[str, int]:
    """State and minutes of every statement."""
    rows = side.ask(lambda session: session.execute(select(Statement.state, Statement.minutes)))
    return {state: minutes for state, minutes in rows}


def by_name(district: District, name: str) -> Side:
    return district.home if name == HOME else district.host


def judge_and_settle(district: District, *, back: int) -> None:
    """From the difference found to the statement that both signed."""
    next_day(district)
    assert {disputed(side).state for side in district.sides} == {DisputeState.OPENED}
    hear_and_judge(district, back=back)
    for _ in range(3):
        next_day(district)
        state_debts(district)
        for side in district.sides:
            assert side.ask(audit_ledger).ok
            assert side.ask(service.audit_receipts) == ""


@pytest.mark.parametrize("back", [0, 5, 10, 25, PAID])
@pytest.mark.parametrize("name", [HOME, HOST])
def test_a_damaged_row_takes_the_others_figures_and_moves_nothing(
    district: District, name: str, back: int
) -> None:
    lower(by_name(district, name), in_books=False)
    next_day(district)
    hear_and_judge(district, back=back)
    for _ in range(3):
        next_day(district)
        state_debts(district)
    assert {receipt_at(side, exchange_id()).minutes for side in district.sides} == {PAID}
    assert {judged_minutes(side) for side in district.sides} == {0}
    assert -district.home.minutes(ELDER) == district.host.minutes(VOLUNTEER) == PAID - back
    assert statements(district.home) == statements(district.host) == {StatementState.AGREED: PAID}
    district.check()


@pytest.mark.parametrize("back", [0, 5, 10, 25, PAID])
@pytest.mark.parametrize("name", [HOME, HOST])
def test_a_verdict_makes_both_books_the_same(district: District, name: str, back: int) -> None:
    lower(by_name(district, name), in_books=True)
    judge_and_settle(district, back=back)
    kept = PAID - back
    assert {receipt_at(side, exchange_id()).minutes for side in district.sides} == {PAID}
    assert district.home.clearing(HOST) == -district.host.clearing(HOME) == kept
    assert district.host.minutes(VOLUNTEER) == kept
    most = LOWER if name == HOME else PAID
    assert -district.home.minutes(ELDER) == min(most, kept), "never more than they had paid"
    assert -judged_minutes(district.home) == max(0, kept - most)
    assert StatementState.AGREED in statements(district.home)
    assert statements(district.home) == statements(district.host)
    assert district.home.held() == district.host.held() == 0


def test_who_has_spent_them_is_not_charged(district: District) -> None:
    """The house stands in where the elder has less left than the verdict gives back."""
    lower(district.home, in_books=True)
    account = ledger.resident_account(ELDER, Unit.MINUTES)
    left = district.home.ask(lambda session: ledger.available(session, account))
    district.home.do(
        lambda session: ledger.transfer(
            session,
            district.clock,
            entry_id=derived_id("spent"),
            payer_id=account,
            payee_id=ledger.house_account("settled", Unit.MINUTES),
            amount=left - 4,
            reason="test",
        )
    )
    district.home.do(lambda session: agree_at_once(session, district, back=10))
    assert district.home.ask(lambda session: ledger.available(session, account)) == 0
    assert judged_minutes(district.home) == -6


def agree_at_once(session: Session, district: District, *, back: int) -> None:
    """A verdict of both arbiters over the host's receipt, and what home's books make of it."""
    at = session.get_one(ReceiptRecord, exchange_id()).captured_at
    about = derived_id("judged at once")
    session.add(
        Dispute(
            id=about,
            exchange_id=exchange_id(),
            peer=HOST,
            is_ours=True,
            gives_back=False,
            state=DisputeState.JUDGED,
            verdict_minutes=back,
            opened_at=district.clock.now(),
            changed_at=district.clock.now(),
        )
    )
    session.add(Claim(dispute_id=about, kind="capture", is_debt=True, minutes=PAID, captured_at=at))
    session.flush()
    assert judged.make_same(session, district.clock, district.home.sealer) == 1
    assert judged.make_same(session, district.clock, district.home.sealer) == 0


def test_other_receipts_are_settled_while_one_is_in_dispute(district: District) -> None:
    district.help_guest(1, minutes=30)
    lower(district.home, in_books=True)
    state_debts(district)
    assert statements(district.home) == {StatementState.PROPOSED: LOWER + 30}, "the host refuses"
    next_day(district)
    state_debts(district)
    assert statements(district.home) == {
        StatementState.WITHDRAWN: LOWER + 30,
        StatementState.AGREED: 30,
    }
    assert statements(district.host) == {StatementState.AGREED: 30}
    hear_and_judge(district, back=10)
    for _ in range(2):
        next_day(district)
        state_debts(district)
    agreed = select(Statement.minutes).where(Statement.state == StatementState.AGREED)
    for side in district.sides:
        assert sorted(side.ask(lambda session: session.scalars(agreed).all())) == [30, PAID]


def test_a_statement_that_was_right_is_proposed_again(district: District) -> None:
    """The host's receipt is the lower one: home states the same once the verdict is booked."""
    lower(district.host, in_books=True)
    state_debts(district)
    next_day(district)
    state_debts(district)
    assert statements(district.home) == {StatementState.WITHDRAWN: PAID}
    hear_and_judge(district, back=0)
    next_day(district)
    state_debts(district)
    assert statements(district.home) == statements(district.host) == {StatementState.AGREED: PAID}


def test_a_statement_that_may_be_signed_already_is_not_taken_apart(district: District) -> None:
    lower(district.home, in_books=True)
    next_day(district)
    stated = district.home.ask(claim.unsettleable)
    assert stated == {exchange_id()}

    def command(session: Session) -> None:
        session.add(open_statement(session, district))

    district.home.do(command)
    district.home.do(
        lambda session: service.state_debts(
            session, district.clock, district.home.sealer, wire.encode_statement
        )
    )
    assert statements(district.home) == {StatementState.PROPOSED: LOWER}
    assert receipt_at(district.home, exchange_id()).statement_id == STATED


STATED: UUID = derived_id("asked for, no answer yet")


def open_statement(session: Session, district: District) -> Statement:
    session.get_one(ReceiptRecord, exchange_id()).statement_id = STATED
    return Statement(
        id=STATED,
        debtor=HOME,
        creditor=HOST,
        count=1,
        minutes=LOWER,
        payload=b"",
        debtor_signature=b"",
        state=StatementState.PROPOSED,
        proposals=1,
        is_proposal_open=True,
        made_at=district.clock.now(),
    )


def test_what_was_settled_with_both_signatures_is_not_touched(district: District) -> None:
    state_debts(district)
    assert statements(district.home) == {StatementState.AGREED: PAID}
    lower(district.home, in_books=False)
    next_day(district)
    hear_and_judge(district, back=0)
    next_day(district)
    assert receipt_at(district.home, exchange_id()).minutes == LOWER
    account = receipts.account_of(None)
    assert not district.home.ask(lambda session: ledger.exists(session, account))
