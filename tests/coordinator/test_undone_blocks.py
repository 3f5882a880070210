"""A block that the chain loses after its round was settled opens the round again; nothing twice.

Method: as test_settling.py. The chain's blocks are replaced under an office that has settled.
"""

import asyncio

import pytest
from sqlalchemy import select

from contracts.terms import SignedTransaction
from coordinator import settlement, wire
from coordinator.model import BatchSeen, SettledStatement, Transaction, TransactionState
from coordinator.refusals import RoundOpen
from coordinator.rules import RoundState
from tests.coordinator.fakes import FINAL_DEPTH_BLOCKS, FakeOffice

BALANCES = {"A": -90, "B": 60, "C": 30}


@pytest.fixture
def settled(district: FakeOffice) -> FakeOffice:
    """A owes B 90, B owes C 30, and the chain has it, in its last block."""
    settle(district, minutes=90)
    assert district.balances() == BALANCES
    return district


def settle(office: FakeOffice, *, minutes: int) -> None:
    office.open_round()
    office.state("A", office.statement("A", "B", minutes=minutes))
    office.state("B", office.statement("B", "C", minutes=30))
    office.state("C")
    asyncio.run(office.work())
    office.sign("A", "B", "C")
    asyncio.run(office.work())


def batches(office: FakeOffice) -> list[BatchSeen]:
    with office.database.read() as session:
        return list(session.scalars(select(BatchSeen).order_by(BatchSeen.block_number)))


def test_the_same_transaction_is_sent_again(settled: FakeOffice) -> None:
    chain = settled.chain
    chain.undo()
    chain.mines_at_once = False
    asyncio.run(settled.work())
    reopened = settled.round()
    assert (reopened.state, reopened.ended_at) == (RoundState.SENDING, None)
    with settled.database.read() as session:
        assert not session.scalars(select(SettledStatement)).all()
    chain.mine()
    asyncio.run(settled.work())
    assert settled.round().state is RoundState.SETTLED
    assert settled.balances() == BALANCES
    assert chain.prepared == 1
    assert len(set(chain.sent)) == 1
    assert len(chain.events) == len(batches(settled)) == 1


def test_a_round_is_not_opened_while_an_earlier_one_is_open_again(settled: FakeOffice) -> None:
    settled.chain.undo()
    settled.chain.mines_at_once = False
    asyncio.run(settled.work())
    with pytest.raises(RoundOpen):
        settled.open_round()


def test_an_undone_round_goes_before_the_one_that_is_open(settled: FakeOffice) -> None:
    """The later round is signed on figures that hold once the earlier one is back on the chain."""
    settled.open_round()
    settled.state("A", settled.statement("A", "B", minutes=20))
    settled.state("B")
    settled.state("C")
    asyncio.run(settled.work())
    settled.sign("A", "B")
    settled.chain.undo()
    asyncio.run(settled.work())
    assert settled.round().state is RoundState.SETTLED
    assert settled.balances() == {"A": -110, "B": 80, "C": 30}
    assert [one.round_id for one in settled.chain.events] == [
        one.round_id for one in batches(settled)
    ]


def test_two_rounds_undone_are_sent_again_in_their_order(settled: FakeOffice) -> None:
    settled.open_round()
    settled.state("A", settled.statement("A", "B", minutes=20))
    settled.state("B")
    settled.state("C")
    asyncio.run(settled.work())
    settled.sign("A", "B")
    asyncio.run(settled.work())
    settled.chain.undo(blocks=2)
    asyncio.run(settled.work())
    assert settled.balances() == {"A": -110, "B": 80, "C": 30}
    assert settled.chain.prepared == 2
    assert len(settled.chain.events) == len(batches(settled)) == 2


def test_a_nonce_that_is_gone_is_signed_anew_for_the_same_batch(settled: FakeOffice) -> None:
    settled.chain.undo()
    settled.chain.nonce += 1
    asyncio.run(settled.work())
    with settled.database.read() as session:
        states = sorted(session.scalars(select(Transaction.state)))
    assert states == [TransactionState.DEAD, TransactionState.MINED]
    assert settled.balances() == BALANCES
    assert settled.round().attempt == 1


def test_what_another_relay_carried_after_the_block_was_undone_is_not_sent_again(
    settled: FakeOffice,
) -> None:
    kept = settled.round().batch
    assert kept is not None
    batch = settlement.terms_batch(wire.proposal(kept))
    settled.chain.undo()
    settled.chain.nonce += 1  # ours: used for something else
    settled.chain._settle(batch, b"\7" * 32)
    asyncio.run(settled.work())
    assert settled.balances() == BALANCES
    assert len(settled.chain.events) == 1
    assert [one.transaction_hash for one in batches(settled)] == [b"\7" * 32]


def test_a_transaction_that_moved_to_another_block_is_followed(settled: FakeOffice) -> None:
    (transaction,) = settled.chain.sent
    with settled.database.read() as session:
        stored = session.get_one(Transaction, transaction)
    settled.chain.undo()
    settled.chain.pass_blocks(2)
    settled.chain.pool.append(SignedTransaction(stored.hash, stored.raw, stored.nonce))
    settled.chain.mine()
    asyncio.run(settled.work())
    assert settled.chain.sent == [transaction]
    (seen,) = batches(settled)
    assert (seen.block_number, seen.block_hash) == (
        settled.chain.block,
        settled.chain.block_hash(settled.chain.block),
    )


def test_a_chain_that_is_behind_decides_nothing(settled: FakeOffice) -> None:
    """The one we ask may not have the block yet: only another block in its place is a loss."""
    (seen,) = batches(settled)
    settled.chain.undo()
    settled.chain.block -= 1
    asyncio.run(settled.work())
    assert settled.round().state is RoundState.SETTLED
    assert [one.block_hash for one in batches(settled)] == [seen.block_hash]


def test_a_block_that_is_deep_enough_is_not_asked_about_again(settled: FakeOffice) -> None:
    """In one process, and one that starts later needs the head alone."""
    settled.chain.pass_blocks(FINAL_DEPTH_BLOCKS)
    settling = settled.settling()
    asyncio.run(settling.step())
    settled.chain.is_down = True
    asyncio.run(settling.step())
    assert settled.round().state is RoundState.SETTLED
