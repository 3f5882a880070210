"""A captured exchange is turned back by consent: both books get a mirror entry, none is edited."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from node.exchange import receipts, rules
from node.exchange.messages import DeclineReversal, OfferReversal, RequestReversal
from node.exchange.refusals import (
    ReceiptUnknown,
    ReversalExists,
    ReversalNotOffered,
    ReversalTooLarge,
)
from node.exchange.rules import REVERSAL_STEPS, ReversalState, StepRefused
from node.kernel.errors import BadInput, IdReused
from node.kernel.ids import derived_id
from node.kernel.messages import Refusal
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.ledger.refusals import InsufficientBalance, LimitReached
from node.peer import wire
from node.settlement import service as settlement
from node.settlement.model import Statement
from tests.node.exchange.acts import (
    agree_back,
    ask_back,
    decline_back,
    gift_id,
    give,
    hand_out_code,
    offer_back,
    receipt_at,
    reversal_at,
    reversal_id,
    set_floor,
)
from tests.node.two_nodes import (
    ELDER,
    HOME,
    HOST,
    VOLUNTEER,
    District,
    Fault,
    Side,
    exchange_id,
    two_nodes,
)

FAULTS = [fault for fault in Fault if fault is not Fault.NONE]


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        district.help_guest(minutes=90)
        yield district


def states(district: District) -> set[str]:
    return {reversal_at(side).state for side in district.sides}


def refusal_of(district: District, side: Side, body: object) -> str:
    """What the other side answers to a lie, as a code."""
    other = district.host if side is district.home else district.home
    item = side.say(body, to=other.community, message_id=derived_id(body))  # type: ignore[arg-type]  # a body
    answer = side.read_answer(other.hear(item, caller=side.community), sender=other.community)
    assert isinstance(answer, Refusal)
    return answer.code


def test_the_payers_side_asks_and_the_paid_side_gives_back(district: District) -> None:
    ask_back(district.home, exchange_id(), minutes=30)
    district.drain()
    assert states(district) == {ReversalState.ASKED}
    offer_back(district.host, exchange_id(), minutes=30)
    assert district.host.held() == 30
    district.drain()
    assert states(district) == {ReversalState.REVERSED}
    assert district.home.minutes(ELDER) == -60
    assert district.host.minutes(VOLUNTEER) == 60
    assert district.home.clearing(HOST) == 60
    assert district.home.held() == district.host.held() == 0
    district.check()


def test_the_paid_side_offers_and_the_payers_side_agrees(district: District) -> None:
    offer_back(district.host, exchange_id(), minutes=90)
    district.drain()
    assert states(district) == {ReversalState.OFFERED}
    agree_back(district.home)
    assert district.home.held() == 90, "our limit for that community is reserved"
    district.drain()
    assert states(district) == {ReversalState.REVERSED}
    assert district.home.minutes(ELDER) == district.host.minutes(VOLUNTEER) == 0
    assert district.home.clearing(HOST) == 0
    district.check()


def test_its_receipt_is_one_with_the_debt_turned(district: District) -> None:
    offer_back(district.host, exchange_id(), minutes=40)
    district.drain()
    agree_back(district.home)
    district.drain()
    owed, kept = (receipt_at(side, reversal_id()) for side in (district.host, district.home))
    assert (owed.is_debt, kept.is_debt) == (True, False)
    assert (owed.kind, owed.refers_to) == ("reversal", exchange_id())
    assert kept.payload is not None, "the host's signed word"
    lines = [receipts.line_of(owed, HOST), receipts.line_of(kept, HOME)]
    assert lines[0] == lines[1]
    assert receipts.leaf_of(lines[0]) == receipts.leaf_of(lines[1])


def test_both_compute_the_same_statements_in_both_directions(district: District) -> None:
    offer_back(district.host, exchange_id(), minutes=40)
    district.drain()
    agree_back(district.home)
    district.drain()

    def state(side: Side) -> None:
        def command(session: Session) -> None:
            settlement.state_debts(session, side.clock, side.sealer, wire.encode_statement)
            session.flush()
            settlement.propose_open(session, side.clock, side.sealer, wire.decode_statement)

        side.do(command)

    for side in district.sides:
        state(side)
    district.drain()
    for side in district.sides:
        rows = side.ask(lambda session: session.query(Statement).all())
        assert {(row.debtor, row.minutes, row.state) for row in rows} == {
            (HOME, 90, "agreed"),
            (HOST, 40, "agreed"),
        }


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("parity", [0, 1])
def test_a_reversal_survives(tmp_path: Path, parity: int, fault: Fault) -> None:
    """Every other call of the whole story suffers the fault."""
    start: list[int] = []

    def plan(number: int) -> Fault:
        return fault if start and (number - start[0]) % 2 == parity else Fault.NONE

    with two_nodes(tmp_path, plan) as district:
        district.help_guest(minutes=60)
        start.append(district.network.calls)
        ask_back(district.home, exchange_id(), minutes=60)
        district.drain()
        offer_back(district.host, exchange_id(), minutes=60)
        district.drain()
        assert states(district) == {ReversalState.REVERSED}
        assert district.home.minutes(ELDER) == 0
        assert district.home.held() == district.host.held() == 0
        district.check()


def test_a_gift_can_go_back_too(district: District) -> None:
    hand_out_code(district)
    give(district, minutes=60)
    district.drain()
    offer_back(district.host, gift_id(), minutes=60)
    district.drain()
    agree_back(district.home)
    district.drain()
    assert district.home.minutes(ELDER) == -90, "only the help is paid"
    district.check()


def test_who_was_asked_can_say_no(district: District) -> None:
    ask_back(district.home, exchange_id(), minutes=30)
    district.drain()
    for _ in range(2):
        decline_back(district.host)
    district.drain()
    assert states(district) == {ReversalState.DECLINED}
    ask_back(district.home, exchange_id(), minutes=10, number=1)  # it may be asked anew
    district.check()


def test_an_offer_taken_back_frees_the_minutes(district: District) -> None:
    offer_back(district.host, exchange_id(), minutes=30)
    district.drain()
    decline_back(district.host)
    agree_back(district.home)  # at the same moment
    district.drain()
    assert states(district) == {ReversalState.DECLINED}
    assert district.home.held() == district.host.held() == 0
    district.check()


def test_an_offer_refused_frees_the_minutes(district: District) -> None:
    offer_back(district.host, exchange_id(), minutes=30)
    district.drain()
    decline_back(district.home)
    district.drain()
    assert states(district) == {ReversalState.DECLINED}
    assert district.host.held() == 0


def test_whoever_agreed_waits_for_the_answer(district: District) -> None:
    offer_back(district.host, exchange_id(), minutes=30)
    district.drain()
    agree_back(district.home)
    with pytest.raises(StepRefused):
        decline_back(district.home)
    district.drain()
    with pytest.raises(StepRefused):
        decline_back(district.host)


def test_nobody_gives_back_what_they_have_spent(district: District) -> None:
    account = ledger.resident_account(VOLUNTEER, Unit.MINUTES)
    district.host.do(
        lambda session: ledger.transfer(
            session,
            district.clock,
            entry_id=derived_id("spent"),
            payer_id=account,
            payee_id=ledger.house_account("settled", Unit.MINUTES),
            amount=80,
            reason="test",
        )
    )
    with pytest.raises(InsufficientBalance):
        offer_back(district.host, exchange_id(), minutes=11)


def test_the_payers_side_keeps_its_limit_for_the_other(district: District) -> None:
    set_floor(district.home, ledger.clearing_account(HOST), 0)

    def settled(session: Session) -> None:  # the chain has paid what home owed
        ledger.transfer(
            session,
            district.clock,
            entry_id=derived_id("settled"),
            payer_id=ledger.clearing_account(HOST),
            payee_id=ledger.house_account("settled", Unit.MINUTES),
            amount=90,
            reason="test",
        )

    district.home.do(settled)
    offer_back(district.host, exchange_id(), minutes=30)
    district.drain()
    with pytest.raises(LimitReached):
        agree_back(district.home)


def test_one_offer_of_an_exchange_is_open_at_a_time(district: District) -> None:
    offer_back(district.host, exchange_id(), minutes=30)
    with pytest.raises(ReversalExists):
        offer_back(district.host, exchange_id(), minutes=30, number=1)
    with pytest.raises(IdReused):
        offer_back(district.host, exchange_id(), minutes=31)
    district.drain()
    agree_back(district.home)
    district.drain()
    with pytest.raises(ReceiptUnknown):
        ask_back(district.host, reversal_id(), minutes=10, number=3)


def test_no_more_goes_back_than_was_paid(district: District) -> None:
    with pytest.raises(ReversalTooLarge):
        ask_back(district.home, exchange_id(), minutes=91)
    with pytest.raises(BadInput):
        ask_back(district.home, exchange_id(), minutes=0)
    with pytest.raises(ReceiptUnknown):
        ask_back(district.home, derived_id("no such"), minutes=1)
    with pytest.raises(ReceiptUnknown):
        ask_back(district.host, exchange_id(), minutes=1)


def test_liars_about_reversals_gain_nothing(district: District) -> None:
    home, host = district.home, district.host
    request = RequestReversal(reversal_id(), exchange_id(), 30)
    assert refusal_of(district, home, request) == "exchange.reversal_not_offered"
    too_much = OfferReversal(reversal_id(), exchange_id(), 91)
    assert refusal_of(district, host, too_much) == "exchange.reversal_too_large"


def test_minutes_are_paid_as_offered_or_not_at_all(district: District) -> None:
    offer_back(district.host, exchange_id(), minutes=30)
    district.drain()
    more = RequestReversal(reversal_id(), exchange_id(), 31)
    assert refusal_of(district, district.home, more) == "kernel.id_reused"
    agree_back(district.home)
    district.drain()
    late = DeclineReversal(reversal_id(), exchange_id())
    assert refusal_of(district, district.home, late) == ReversalNotOffered.code
    assert district.home.clearing(HOST) == 60
    district.check()


def test_every_pair_of_reversal_states_is_decided_by_the_table() -> None:
    for now in ReversalState:
        for to in ReversalState:
            if to in REVERSAL_STEPS[now]:
                rules.check_reversal_step(now=now, to=to)
            else:
                with pytest.raises(StepRefused):
                    rules.check_reversal_step(now=now, to=to)
