"""An exchange goes back in parts, by consent and by verdict, and no minute goes back twice."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import dispute
from node.exchange.messages import AskReversal, DeclineReversal, Noted, OfferReversal
from node.exchange.model import Dispute, Reversal
from node.exchange.receipts import account_of
from node.exchange.refusals import ReversalExists, ReversalNotOffered
from node.exchange.remainder import ReversalPastReceipt
from node.exchange.rules import DisputeState, ReversalState
from node.kernel.errors import DomainError
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Refusal
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.cap import HOLDING_MAX_MINUTES, pool_account
from node.ledger.model import Unit
from tests.node.exchange.acts import (
    agree_back,
    answer_dispute,
    ask_back,
    decline_back,
    dispute_at,
    dispute_id,
    judge,
    offer_back,
    open_dispute,
    reversal_at,
    reversal_id,
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

PAID = 90
FAULTS = [fault for fault in Fault if fault is not Fault.NONE]


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        district.help_guest(minutes=PAID)
        yield district


def goes_back(district: District, minutes: int, number: int = 0) -> None:
    """By consent: offered, agreed, paid."""
    offer_back(district.host, exchange_id(), minutes=minutes, number=number)
    district.drain()
    agree_back(district.home, number)
    district.drain()


def heard(district: District) -> None:
    """A dispute that both sides were heard in."""
    open_dispute(district.home, exchange_id(), minutes=60)
    district.drain()
    answer_dispute(district.host, minutes=0)
    district.drain()


def judged(district: District, minutes: int) -> None:
    """Both arbiters say the same."""
    for side in district.sides:
        judge(side, minutes=minutes)
    district.drain()


def carry_out(district: District) -> None:
    district.host.do(
        lambda session: dispute.carry_out(
            session,
            district.clock,
            district.host.sealer,
            dispute_id=dispute_id(),
            decided_by=None,
        )
    )
    district.drain()


def back(side: Side) -> int:
    """Minutes that went back, as this side's books have it."""
    rows = side.ask(lambda session: session.scalars(select(Reversal)).all())
    return sum(row.minutes for row in rows if row.state == ReversalState.REVERSED)


def require_back(district: District, minutes: int) -> None:
    """So much went back, on both sides, and nothing is held any more."""
    assert [back(side) for side in district.sides] == [minutes, minutes]
    assert district.home.minutes(ELDER) == minutes - PAID
    assert district.host.minutes(VOLUNTEER) == PAID - minutes
    assert district.home.held() == district.host.held() == 0
    district.check()


def test_parts_go_back_one_after_the_other_up_to_what_was_paid(district: District) -> None:
    goes_back(district, 30)
    goes_back(district, 40, number=1)
    with pytest.raises(ReversalPastReceipt):
        offer_back(district.host, exchange_id(), minutes=21, number=2)
    with pytest.raises(ReversalPastReceipt):
        ask_back(district.home, exchange_id(), minutes=21, number=2)
    goes_back(district, 20, number=2)
    require_back(district, PAID)


def test_a_verdict_counts_what_went_back_by_consent(district: District) -> None:
    goes_back(district, 10)
    heard(district)
    judged(district, 50)
    require_back(district, 50)
    assert dispute_at(district.host).refusal is None
    assert {dispute_at(side).verdict_minutes for side in district.sides} == {50}
    for _ in range(2):
        carry_out(district)
    require_back(district, 50)


def test_a_verdict_of_less_than_went_back_takes_nothing_more(district: District) -> None:
    goes_back(district, 60)
    heard(district)
    judged(district, 50)
    require_back(district, 60)


@pytest.mark.parametrize("asker", [HOME, HOST])
def test_a_verdict_takes_the_place_of_what_is_still_open(district: District, asker: str) -> None:
    if asker == HOME:
        ask_back(district.home, exchange_id(), minutes=10)
    else:
        offer_back(district.host, exchange_id(), minutes=10)
    district.drain()
    heard(district)
    judged(district, PAID)
    assert {reversal_at(side).state for side in district.sides} == {ReversalState.DECLINED}
    require_back(district, PAID)


@pytest.mark.parametrize("is_paid_first", [True, False])
def test_a_verdict_while_an_agreed_part_is_under_way(
    district: District, is_paid_first: bool
) -> None:
    """The part is paid or ended; in both cases the verdict gives the rest, on its own."""
    heard(district)
    judge(district.home, minutes=PAID)
    district.drain()
    offer_back(district.host, exchange_id(), minutes=20)
    district.drain()
    agree_back(district.home)
    if is_paid_first:
        district.drain()
    judge(district.host, minutes=PAID)
    district.drain()
    end = ReversalState.REVERSED if is_paid_first else ReversalState.DECLINED
    assert {reversal_at(side).state for side in district.sides} == {end}
    require_back(district, PAID)


def test_an_offer_answers_what_was_asked_at_the_same_moment(district: District) -> None:
    ask_back(district.home, exchange_id(), minutes=30)
    offer_back(district.host, exchange_id(), minutes=20, number=1)
    district.drain()
    assert reversal_at(district.home).state == ReversalState.DECLINED
    agree_back(district.home, 1)
    district.drain()
    require_back(district, 20)


def test_an_offer_of_another_amount_ends_the_question(district: District) -> None:
    ask_back(district.home, exchange_id(), minutes=30)
    district.drain()
    offer_back(district.host, exchange_id(), minutes=20, number=1)
    district.drain()
    assert {reversal_at(side).state for side in district.sides} == {ReversalState.DECLINED}
    with pytest.raises(ReversalExists):
        ask_back(district.home, exchange_id(), minutes=5, number=2)


def test_a_question_after_the_verdict_is_for_people(district: District) -> None:
    """Asked for once more, what both arbiters said is not given twice."""
    heard(district)
    judge(district.host, minutes=60)
    judged(district, 30)
    ask_back(district.home, exchange_id(), minutes=30, number=1)
    district.drain()
    assert reversal_at(district.host, 1).state == ReversalState.ASKED
    decline_back(district.host, 1)
    district.drain()
    require_back(district, 30)


def test_minutes_given_back_pass_no_cap(district: District) -> None:
    """What comes back above what one resident may own goes to the pool, as any credit does."""
    issue, elder = ledger.house_account("issue", Unit.MINUTES), account_of(ELDER)

    def fill(session: Session) -> None:
        ledger.open_account(
            session,
            account_id=issue,
            unit=Unit.MINUTES,
            kind="house",
            owner="issue",
            floor=-2 * HOLDING_MAX_MINUTES,
        )
        ledger.transfer(
            session,
            district.clock,
            entry_id=derived_id("filled"),
            payer_id=issue,
            payee_id=elder,
            amount=HOLDING_MAX_MINUTES + PAID - 20,
            reason="test",
        )

    district.home.do(fill)
    goes_back(district, 60)
    assert district.home.minutes(ELDER) == HOLDING_MAX_MINUTES
    assert district.home.ask(lambda session: ledger.balance(session, pool_account())) == 40
    assert district.home.ask(audit_ledger).ok


def test_no_reversal_has_the_id_of_a_hold(district: District) -> None:
    """It could be written down and never agreed to: its own hold could not be placed."""
    promised = district.issue(1, minutes=30)
    body = OfferReversal(promised.id, exchange_id(), 20)
    item = district.host.say(body, to=HOME, message_id=derived_id("offer under a pass's id"))
    answer = district.host.read_answer(district.home.hear(item, caller=HOST), sender=HOME)
    assert isinstance(answer, Refusal)
    assert answer.code == "kernel.id_reused"
    assert district.home.ask(lambda session: session.get(Reversal, promised.id)) is None


def overtaken(district: District, said: Body, *, by: Side, to: Side) -> None:
    """What was taken back arrives after the word that takes it back; both again, as repeats."""
    taken_back = DeclineReversal(reversal_id(), exchange_id())
    items = [
        by.say(body, to=to.community, message_id=derived_id("overtaken", type(body).__name__))
        for body in (taken_back, said)
    ]
    for item in (*items, *items):
        to.hear(item, caller=by.community)
    row = reversal_at(to)
    assert (row.state, row.minutes) == (ReversalState.DECLINED, 10)
    assert row.refusal == "exchange.declined_there"


def test_a_question_that_comes_after_its_end_has_ended(district: District) -> None:
    question = AskReversal(reversal_id(), exchange_id(), 10)
    overtaken(district, question, by=district.home, to=district.host)
    goes_back(district, 20, number=1)
    require_back(district, 20)


def test_an_offer_that_comes_after_its_end_has_ended(district: District) -> None:
    offer = OfferReversal(reversal_id(), exchange_id(), 10)
    overtaken(district, offer, by=district.host, to=district.home)
    with pytest.raises(ReversalNotOffered):
        agree_back(district.home)


def test_an_end_of_what_never_was_is_nothing(district: District) -> None:
    body = DeclineReversal(reversal_id(), derived_id("no such"))
    item = district.home.say(body, to=HOST, message_id=derived_id("the end of nothing"))
    answer = district.home.read_answer(district.host.hear(item, caller=HOME), sender=HOST)
    assert answer == Noted(reversal_id())
    assert district.host.ask(lambda session: session.get(Reversal, reversal_id())) is None


def acts(district: District, chance: random.Random) -> list[Callable[[], object]]:
    """What somebody may do next, on either side."""
    home, host = district.sides
    minutes, number = chance.choice((10, 45, 60, PAID)), chance.randrange(9)
    return [
        lambda: ask_back(home, exchange_id(), minutes=minutes, number=number),
        lambda: offer_back(host, exchange_id(), minutes=minutes, number=number),
        lambda: agree_back(home, number),
        lambda: agree_back(home, number),
        lambda: decline_back(chance.choice((home, host)), number),
        lambda: open_dispute(home, exchange_id(), minutes=minutes),
        lambda: answer_dispute(host, minutes=0),
        lambda: judge(home, minutes=chance.choice((45, 60))),
        lambda: judge(host, minutes=chance.choice((45, 60))),
        district.drain,
    ]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_people_do_and_the_network_loses(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 (a test, not a secret)
    start: list[int] = []

    def plan(_number: int) -> Fault:
        return chance.choice(FAULTS) if start and chance.random() < 0.4 else Fault.NONE

    with two_nodes(tmp_path, plan) as district:
        district.help_guest(minutes=PAID)
        start.append(1)
        for _ in range(40):
            with suppress(DomainError):
                chance.choice(acts(district, chance))()
        start.clear()
        district.drain()
        district.check()
        assert back(district.home) == back(district.host) <= PAID
        offered = district.host.ask(lambda s: s.scalars(select(Reversal.state)).all())
        assert offered.count(ReversalState.OFFERED) <= 1
        found = district.host.ask(lambda s: s.get(Dispute, dispute_id()))
        if found is not None and found.state == DisputeState.JUDGED:
            assert back(district.host) >= (found.verdict_minutes or 0)
            assert district.home.clearing(HOST) == PAID - back(district.home)
