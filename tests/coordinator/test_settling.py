"""A round takes its steps whatever fails between them; no hour is settled twice.

Method: the real state machine over a real database, fake members, a chain that fails when told to;
a kill is an exception out of the step, and a new Settling object is the new process.
"""

import asyncio

import pytest
from sqlalchemy import select

from contracts.terms import ChainUnavailable
from coordinator import rules, settlement, wire
from coordinator.model import SettledStatement, Transaction, TransactionState
from coordinator.refusals import (
    PositionChanged,
    PositionUnusable,
    RoundClosed,
    RoundOpen,
    SignatureUnusable,
)
from coordinator.rules import RoundState, SignedStatement
from tests.coordinator.fakes import FakeOffice, Killed

OTHER_RELAY = b"\7" * 32  # the hash of another relay's transaction


def transactions(office: FakeOffice) -> list[Transaction]:
    with office.database.read() as session:
        return list(session.scalars(select(Transaction)))


def stated(office: FakeOffice) -> None:
    """A owes B 90, B owes C 30; all have answered and the batch is proposed."""
    office.open_round()
    office.state("A", office.statement("A", "B", minutes=90))
    office.state("B", office.statement("B", "C", minutes=30))
    office.state("C")
    asyncio.run(office.work())


def test_what_all_sign_is_settled_in_one_transaction(district: FakeOffice) -> None:
    stated(district)
    assert district.round().state is RoundState.SIGNING
    district.sign("A", "B", "C")
    asyncio.run(district.work())
    settled = district.round()
    assert settled.state is RoundState.SETTLED
    assert settled.minutes == 90
    assert district.balances() == {"A": -90, "B": 60, "C": 30}
    assert [one.state for one in transactions(district)] == [TransactionState.MINED]


def test_it_waits_for_positions_until_the_time_is_over(district: FakeOffice) -> None:
    district.open_round()
    district.state("A", district.statement("A", "B", minutes=90))
    district.state("B", district.statement("B", "C", minutes=30))
    asyncio.run(district.work())
    assert district.round().state is RoundState.COLLECTING
    district.later(61)
    asyncio.run(district.work())
    current = district.round()
    assert settlement.left_out_of(current) == {"C": rules.NO_ANSWER}
    district.sign("A", "B")
    asyncio.run(district.work())
    assert district.balances() == {"A": -90, "B": 90, "C": 0}


def test_who_was_left_out_catches_up_in_the_next_round(district: FakeOffice) -> None:
    test_it_waits_for_positions_until_the_time_is_over(district)
    district.open_round()
    district.state("A", district.statement("A", "B", minutes=90))  # said again: settled already
    district.state("B", district.statement("B", "C", minutes=30))
    district.state("C")
    asyncio.run(district.work())
    district.sign("B", "C")
    asyncio.run(district.work())
    assert district.round().state is RoundState.SETTLED
    assert district.balances() == {"A": -90, "B": 60, "C": 30}


def test_who_does_not_sign_is_left_out_with_all_that_touches_it(district: FakeOffice) -> None:
    stated(district)
    first = district.round().round_id
    district.sign("A", "B")
    district.later(61)
    asyncio.run(district.work())
    again = district.round()
    assert (again.state, again.attempt) == (RoundState.SIGNING, 2)
    assert again.round_id != first
    district.sign("A", "B")
    asyncio.run(district.work())
    assert settlement.left_out_of(district.round()) == {"C": rules.NO_SIGNATURE}
    assert district.balances() == {"A": -90, "B": 90, "C": 0}


def test_nothing_owed_on_balance_is_an_empty_round(district: FakeOffice) -> None:
    district.open_round()
    district.state("A", district.statement("A", "B", minutes=30))
    district.state("B", district.statement("B", "A", minutes=30))
    district.state("C")
    asyncio.run(district.work())
    assert district.round().state is RoundState.EMPTY
    with district.database.read() as session:
        assert not session.scalars(select(SettledStatement)).all()  # they wait


def test_who_would_come_out_at_zero_is_settled_in_two_rounds(district: FakeOffice) -> None:
    """A batch asks only who has a figure, and nobody's statement is settled without asking."""
    owed = {
        "A": district.statement("A", "B", minutes=60),
        "B": district.statement("B", "C", minutes=60),
    }
    figures = []
    for _ in range(2):
        district.open_round()
        for community in "ABC":
            district.state(community, *([owed[community]] if community in owed else []))
        asyncio.run(district.work())
        numbers = [entry.number for entry in rules_proposal(district).entries]
        district.sign(*("ABC"[number - 1] for number in numbers))
        asyncio.run(district.work())
        figures.append(numbers)
    assert sorted(figures) == [[1, 2], [2, 3]]
    assert district.balances() == {"A": -60, "B": 0, "C": 60}


def test_a_debt_past_its_limit_stays_out_and_the_rest_goes_on(district: FakeOffice) -> None:
    district.open_round()
    district.state("A", district.statement("A", "B", minutes=601))
    district.state("B", district.statement("B", "C", minutes=30))
    district.state("C")
    asyncio.run(district.work())
    assert settlement.left_out_of(district.round()) == {"A": rules.PAST_LIMIT}
    district.sign("B", "C")
    asyncio.run(district.work())
    assert district.balances() == {"A": 0, "B": -30, "C": 30}


def test_a_kill_between_store_and_send_sends_the_same_transaction_once(
    district: FakeOffice,
) -> None:
    stated(district)
    district.sign("A", "B", "C")
    district.chain.dies_before_send = True
    with pytest.raises(Killed):
        asyncio.run(district.work())
    assert district.round().state is RoundState.SENDING
    (stored,) = transactions(district)
    district.chain.dies_before_send = False
    asyncio.run(district.work())
    assert district.round().state is RoundState.SETTLED
    assert district.chain.sent == [stored.hash]
    assert district.chain.prepared == 1
    assert len(district.chain.events) == 1


def test_a_kill_after_send_finds_the_receipt(district: FakeOffice) -> None:
    stated(district)
    district.sign("A", "B", "C")
    district.chain.mines_at_once = False
    asyncio.run(district.work())
    assert district.round().state is RoundState.SENDING
    district.chain.mine()
    asyncio.run(district.work())
    assert district.round().state is RoundState.SETTLED
    assert district.chain.prepared == 1


def test_an_outage_of_the_chain_decides_nothing(district: FakeOffice) -> None:
    stated(district)
    district.sign("A", "B", "C")
    district.chain.is_down = True
    with pytest.raises(ChainUnavailable):
        asyncio.run(district.work())
    assert district.round().state is RoundState.SIGNING
    district.chain.is_down = False
    asyncio.run(district.work())
    assert district.round().state is RoundState.SETTLED


def test_a_nonce_that_went_elsewhere_is_known_dead_before_another_is_signed(
    district: FakeOffice,
) -> None:
    stated(district)
    district.sign("A", "B", "C")
    district.chain.dies_before_send = True
    with pytest.raises(Killed):
        asyncio.run(district.work())
    district.chain.dies_before_send = False
    district.chain.nonce += 1
    asyncio.run(district.work())
    states = sorted(one.state for one in transactions(district))
    assert states == [TransactionState.DEAD, TransactionState.MINED]
    assert len(district.chain.events) == 1
    assert district.round().state is RoundState.SETTLED


def test_a_batch_that_somebody_else_carried_is_settled_too(district: FakeOffice) -> None:
    stated(district)
    district.sign("A", "B", "C")
    batch = settlement.terms_batch(rules_proposal(district))
    district.chain._settle(batch, OTHER_RELAY)  # the same signatures, another relay
    asyncio.run(district.work())
    assert district.round().state is RoundState.SETTLED
    assert district.balances() == {"A": -90, "B": 60, "C": 30}
    assert not transactions(district)


def test_a_sequence_used_meanwhile_is_proposed_anew(district: FakeOffice) -> None:
    stated(district)
    position = district.chain.positions[1]
    district.chain.register(1, position.signer)
    district.chain.positions[1] = type(position)(1, position.signer, 0, 600, 7, position.status)
    district.sign("A", "B", "C")
    asyncio.run(district.work())
    assert district.round().attempt == 2
    district.sign("A", "B", "C")
    asyncio.run(district.work())
    assert district.round().state is RoundState.SETTLED


def test_a_refusal_that_stays_fails_the_round_and_statements_wait(district: FakeOffice) -> None:
    stated(district)
    district.sign("A", "B", "C")
    district.chain.refuses = "chain.enforced_pause"
    asyncio.run(district.work())
    failed = district.round()
    assert failed.state is RoundState.FAILED
    assert "chain.enforced_pause" in (failed.failure or "")
    district.chain.refuses = ""
    stated(district)
    district.sign("A", "B", "C")
    asyncio.run(district.work())
    assert district.balances() == {"A": -90, "B": 60, "C": 30}


def test_one_round_at_a_time(district: FakeOffice) -> None:
    district.open_round()
    with pytest.raises(RoundOpen):
        district.open_round()


def test_a_position_repeated_is_the_same_and_changed_is_refused(district: FakeOffice) -> None:
    district.open_round()
    one = district.statement("A", "B", minutes=90)
    district.state("A", one)
    district.state("A", one)
    with pytest.raises(PositionChanged):
        district.state("A")


def test_a_position_after_the_time_is_refused(district: FakeOffice) -> None:
    district.open_round()
    district.state("A", district.statement("A", "B", minutes=90))
    district.later(61)
    asyncio.run(district.work())
    with pytest.raises(RoundClosed):
        district.state("C")


def test_statements_that_lie_are_refused(district: FakeOffice) -> None:
    district.open_round()
    good = district.statement("A", "B", minutes=90)
    unsigned = SignedStatement(good.payload, good.debtor_signature, b"\0" * 64)
    liars = [(unsigned,), (good, good), (district.statement("B", "A", minutes=5),)]
    for statements in liars:
        with pytest.raises(PositionUnusable):
            district.state("A", *statements)


def test_a_signature_of_another_key_is_refused(district: FakeOffice) -> None:
    stated(district)
    district.members["A"] = district.members["B"]
    with pytest.raises(SignatureUnusable):
        district.sign("A")


def rules_proposal(office: FakeOffice) -> rules.Proposal:
    batch = office.round().batch
    assert batch is not None
    return wire.proposal(batch)
