"""A daughter earns here, her father spends there: minutes given across, whatever fails between."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.exchange import gift, limits, rules
from node.exchange.messages import GiftAccepted, GiftOrder
from node.exchange.refusals import TooManyGiftCodes
from node.exchange.rules import GIFT_STEPS, GiftState, StepRefused
from node.kernel.errors import BadInput, IdReused, NotFound
from node.kernel.ids import derived_id
from node.kernel.messages import Refusal, Sealed
from node.ledger import service as ledger
from node.ledger.cap import HOLDING_MAX_MINUTES, pool_account
from node.ledger.model import Unit
from node.ledger.refusals import InsufficientBalance
from node.ledger.rules import Leg
from node.outbox.service import departures
from node.peer.seal import open_sealed
from tests.node.exchange.acts import (
    GIFT_CODE,
    gift_at,
    gift_id,
    give,
    hand_out_code,
    receipt_at,
    set_floor,
)
from tests.node.two_nodes import (
    ELDER,
    HOME,
    HOST,
    RETRY,
    VOLUNTEER,
    District,
    Fault,
    exchange_id,
    two_nodes,
)


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        hand_out_code(district)
        yield district


def test_minutes_given_arrive(district: District) -> None:
    give(district, minutes=60)
    assert (district.home.held(), district.host.minutes(VOLUNTEER)) == (60, 0)
    district.drain()
    assert gift_at(district.home).state == GiftState.ACCEPTED
    assert gift_at(district.host).state == GiftState.RECEIVED
    assert district.home.minutes(ELDER) == -60
    assert district.host.minutes(VOLUNTEER) == 60
    assert district.home.clearing(HOST) == 60
    assert district.home.held() == 0
    district.check()


def test_both_sides_keep_the_others_signed_word(district: District) -> None:
    give(district)
    district.drain()
    owed, kept = receipt_at(district.home, gift_id()), receipt_at(district.host, gift_id())
    assert (owed.is_debt, kept.is_debt) == (True, False)
    assert owed.captured_at == kept.captured_at
    for side, record, peer, kind in (
        (district.home, owed, HOST, GiftAccepted),
        (district.host, kept, HOME, GiftOrder),
    ):
        assert record.payload is not None
        assert record.signature is not None
        said = open_sealed(side.book, Sealed(record.payload, record.signature), sender=peer)
        assert isinstance(said.body, kind)


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
def test_a_gift_survives(tmp_path: Path, fault: Fault) -> None:
    with two_nodes(tmp_path, lambda number: fault if number < 2 else Fault.NONE) as district:
        hand_out_code(district)
        give(district, minutes=45)
        district.drain()
        assert district.host.minutes(VOLUNTEER) == 45
        assert district.home.held() == 0
        district.check()


def test_until_it_is_answered_only_the_answer_ends_it(district: District) -> None:
    give(district)
    district.clock.advance(rules.CAPTURE_LIFETIME)
    district.expire()
    district.home.do(lambda session: ledger.expire_holds(session, district.clock))
    assert (gift_at(district.home).state, district.home.held()) == (GiftState.SENT, 60)
    district.drain()
    assert district.host.minutes(VOLUNTEER) == 60


@pytest.mark.parametrize("code", [f"{HOST}-AAAA222222", f"{HOST}-{GIFT_CODE[::-1]}"])
def test_an_unknown_code_gives_the_minutes_back(district: District, code: str) -> None:
    give(district, code=code)
    district.drain()
    assert gift_at(district.home).refusal == "exchange.gift_code_unknown"
    assert district.home.held() == district.home.minutes(ELDER) == 0
    district.check()


def test_a_withdrawn_code_takes_nothing(district: District) -> None:
    for _ in range(2):
        district.host.do(lambda s: gift.withdraw_code(s, district.clock, code=GIFT_CODE).code)
    give(district)
    district.drain()
    assert gift_at(district.home).state == GiftState.REFUSED
    with pytest.raises(NotFound):
        district.host.do(lambda s: gift.withdraw_code(s, district.clock, code="AAAA222222"))


def test_the_receiving_side_sets_the_limit(district: District) -> None:
    set_floor(district.host, ledger.clearing_account(HOME), -50)
    give(district, minutes=60)
    district.drain()
    assert gift_at(district.home).refusal == "ledger.limit_reached"
    assert district.host.minutes(VOLUNTEER) == 0
    district.check()


def test_the_limit_for_all_peers_counts_too(district: District) -> None:
    district.host.do(
        lambda session: limits.set_limit(
            session, district.clock, peer=limits.ALL_PEERS, minutes=59, set_by="test"
        )
    )
    give(district, minutes=60)
    give(district, 1, minutes=59)
    district.drain()
    assert gift_at(district.home).refusal == "exchange.all_peers_limit_reached"
    assert gift_at(district.home, 1).state == GiftState.ACCEPTED


def test_what_is_on_its_way_counts_against_the_debt_limit(district: District) -> None:
    give(district, 0, minutes=300)
    with pytest.raises(rules.DebtLimitReached, match="150"):
        give(district, 1, minutes=151)
    with pytest.raises(rules.DebtLimitReached):
        district.issue(minutes=151)


def test_nobody_gives_what_they_do_not_have(district: District) -> None:
    set_floor(district.home, ledger.resident_account(ELDER, Unit.MINUTES), -30)
    with pytest.raises(InsufficientBalance):
        give(district, minutes=31)


def test_a_gift_said_twice_is_one_gift(district: District) -> None:
    for _ in range(2):
        give(district, minutes=60)
    with pytest.raises(IdReused):
        give(district, minutes=61)
    district.drain()
    give(district, minutes=60)
    district.drain()
    assert district.host.minutes(VOLUNTEER) == 60


def test_the_same_order_under_another_message_is_the_same_gift(district: District) -> None:
    give(district)
    district.drain()
    again = district.home.say(
        GiftOrder(gift_id(), f"{HOST}-{GIFT_CODE}", 60), to=HOST, message_id=derived_id("again")
    )
    answer = district.home.read_answer(district.host.hear(again, caller=HOME), sender=HOST)
    assert isinstance(answer, GiftAccepted)
    assert answer.accepted_at == receipt_at(district.host, gift_id()).captured_at
    more = district.home.say(
        GiftOrder(gift_id(), f"{HOST}-{GIFT_CODE}", 61), to=HOST, message_id=derived_id("more")
    )
    refusal = district.home.read_answer(district.host.hear(more, caller=HOME), sender=HOST)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "kernel.id_reused"
    assert district.host.minutes(VOLUNTEER) == 60


def test_a_gift_cannot_take_the_id_of_an_exchange(district: District) -> None:
    district.help_guest(minutes=30)
    order = GiftOrder(exchange_id(), f"{HOST}-{GIFT_CODE}", 60)
    item = district.home.say(order, to=HOST, message_id=derived_id("mixed"))
    refusal = district.home.read_answer(district.host.hear(item, caller=HOME), sender=HOST)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "kernel.id_reused"


@pytest.mark.parametrize("minutes", [0, -1, rules.MINUTES_MAX + 1])
def test_a_liar_cannot_order_nonsense(district: District, minutes: int) -> None:
    order = GiftOrder(gift_id(), f"{HOST}-{GIFT_CODE}", minutes)
    item = district.home.say(order, to=HOST, message_id=derived_id("nonsense"))
    refusal = district.home.read_answer(district.host.hear(item, caller=HOME), sender=HOST)
    assert isinstance(refusal, Refusal)
    assert district.host.minutes(VOLUNTEER) == 0
    with pytest.raises(BadInput):
        give(district, minutes=minutes)


@pytest.mark.parametrize("code", [f"{HOME}-{GIFT_CODE}", f"nowhere-{GIFT_CODE}"])
def test_a_gift_goes_to_another_community_that_we_know(district: District, code: str) -> None:
    with pytest.raises(rules.UnknownCommunity):
        give(district, code=code)


def test_an_acceptance_of_other_minutes_pays_nobody_and_is_kept(district: District) -> None:
    give(district, minutes=60)
    asked = district.home.say(
        GiftOrder(gift_id(), f"{HOST}-{GIFT_CODE}", 60), to=HOST, message_id=derived_id("asked")
    )
    question = open_sealed(district.host.book, asked, sender=HOME)
    lie = GiftAccepted(gift_id(), 90, district.clock.now())
    district.home.do(
        lambda session: gift.accepted(
            session, district.clock, question, lie, Sealed(b"payload", b"signature")
        )
    )
    assert gift_at(district.home).refusal == "exchange.answer_differs"
    assert district.home.held() == district.home.minutes(ELDER) == 0


def test_the_wire_carries_no_giver_and_no_receiver(district: District) -> None:
    give(district)
    district.clock.advance(RETRY)
    district.drain()
    said = {(row.kind, row.recipient) for row in district.home.ask(departures)}
    assert ("GiftOrder", HOST) in said
    record = receipt_at(district.host, gift_id())
    assert record.payload is not None
    for person in (ELDER, VOLUNTEER):
        assert str(person).encode() not in record.payload
        assert person.bytes not in record.payload


def test_a_resident_has_a_few_codes_at_most(district: District) -> None:
    for number in range(rules.GIFT_CODES_MAX - 1):
        hand_out_code(district, f"AAAA22222{number + 2}")
    hand_out_code(district)  # the one from before
    with pytest.raises(TooManyGiftCodes):
        hand_out_code(district, "BBBB222222")


def test_what_comes_above_the_cap_goes_to_the_pool(district: District) -> None:
    account_id = ledger.resident_account(VOLUNTEER, Unit.MINUTES)
    district.host.do(
        lambda session: ledger.post(
            session,
            district.clock,
            entry_id=derived_id("rich"),
            legs=[
                Leg(ledger.house_account("settled", Unit.MINUTES), -HOLDING_MAX_MINUTES),
                Leg(account_id, HOLDING_MAX_MINUTES),
            ],
            reason="test",
        )
    )
    give(district, minutes=60)
    district.drain()
    assert district.host.minutes(VOLUNTEER) == HOLDING_MAX_MINUTES
    assert district.host.ask(lambda session: ledger.balance(session, pool_account())) == 60


def test_every_pair_of_gift_states_is_decided_by_the_table() -> None:
    for now in GiftState:
        for to in GiftState:
            if to in GIFT_STEPS[now]:
                rules.check_gift_step(now=now, to=to)
            else:
                with pytest.raises(StepRefused):
                    rules.check_gift_step(now=now, to=to)
