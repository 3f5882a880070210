"""A node reads the chain into its books: each batch once, whatever office or chain do meanwhile."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from contracts.terms import Batch, BatchSettled, ChainRefused
from node.enrolment.rounds import BatchProposal
from node.kernel.ports import Chain
from node.peer import wire
from node.settlement import service
from node.settlement.model import Batch as KeptBatch
from node.settlement.model import ChainCheckpoint, Statement
from node.settlement.rounds import SettlementRounds
from node.settlement.rules import BatchWrong
from node.settlement.watch import ChainWatch
from tests.node.two_nodes import HOME, District, two_nodes

ROUND, ROOT = bytes(range(32)), b"r" * 32


@dataclass
class Blocks:
    """A chain of block hashes, and the batches settled in them."""

    hashes: list[bytes] = field(default_factory=lambda: [bytes([n]) * 32 for n in range(6)])
    settled: list[BatchSettled] = field(default_factory=list)

    contract_address: str = "0xNEW"
    older: "Blocks | None" = None
    carries_on_to: str | None = None

    def at(self, contract_address: str) -> "Blocks":
        assert self.older is not None
        assert self.older.contract_address == contract_address
        return self.older

    def successor(self) -> str | None:
        return self.carries_on_to

    def head(self) -> tuple[int, bytes]:
        return len(self.hashes) - 1, self.hashes[-1]

    def block_hash(self, number: int) -> bytes | None:
        return self.hashes[number] if number < len(self.hashes) else None

    def settled_batches(self, first: int, last: int) -> list[BatchSettled]:
        return [one for one in self.settled if first <= one.block_number <= last]


@dataclass
class Keeping:
    """Keeps what it is shown, unchecked: the checks of a proposal have their own tests."""

    district: District

    async def keep(self, proposal: BatchProposal) -> bytes:
        kept = KeptBatch(
            round_id=proposal.batch.round_id,
            merkle_root=proposal.batch.merkle_root,
            digest=bytes(32),
            delta_minutes=0,
            signature=bytes(65),
            signed_at=self.district.clock.now(),
        )

        def store(session: Session) -> None:
            stated = session.scalars(select(Statement.id)).all()
            service.keep_batch(session, kept, stated)

        self.district.home.do(store)
        return kept.signature


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    """Home owes the host 60 minutes, in a statement that both have signed."""
    with two_nodes(tmp_path) as district:
        district.help_guest(minutes=60)
        sealer, clock = district.home.sealer, district.clock

        def state(session: Session) -> None:
            service.state_debts(session, clock, sealer, wire.encode_statement)
            session.flush()
            service.propose_open(session, clock, sealer, wire.decode_statement)

        district.home.do(state)
        district.drain()
        yield district


def settled_in(block: int, *, root: bytes = ROOT) -> BatchSettled:
    return BatchSettled(ROUND, root, (), block, bytes([block]) * 32, b"t" * 32)


def watch(district: District, blocks: Blocks, *, shown_root: bytes = ROOT) -> ChainWatch:
    async def fetch(round_id: bytes) -> BatchProposal:
        return BatchProposal(Batch(round_id, shown_root, 0, ()), ())

    return ChainWatch(
        district.home.database,
        district.clock,
        cast(Chain, blocks),
        cast(SettlementRounds, Keeping(district)),
        community=HOME,
        confirmations=1,
        fetch_batch=fetch,
    )


def position(district: District) -> int:
    return district.home.ask(service.settled_position)


def test_a_batch_is_booked_once_and_the_checkpoint_moves(district: District) -> None:
    blocks = Blocks(settled=[settled_in(3)])
    for _ in range(3):
        asyncio.run(watch(district, blocks).look())
        assert position(district) == -60
    kept = district.home.ask(lambda session: session.get_one(ChainCheckpoint, 1))
    assert (kept.block_number, kept.block_hash) == (5, blocks.hashes[5])


def test_a_replaced_block_is_read_again_and_books_nothing_twice(district: District) -> None:
    blocks = Blocks(settled=[settled_in(3)])
    asyncio.run(watch(district, blocks).look())
    blocks.hashes[3:] = [bytes([n]) * 32 for n in range(100, 105)]
    blocks.settled = [settled_in(5)]
    asyncio.run(watch(district, blocks).look())
    assert position(district) == -60
    kept = district.home.ask(lambda session: session.get_one(ChainCheckpoint, 1))
    assert kept.block_hash == blocks.hashes[-1]


def test_a_crash_before_the_checkpoint_books_nothing_twice(district: District) -> None:
    blocks = Blocks(settled=[settled_in(3)])
    asyncio.run(watch(district, blocks).look())

    def forget(session: Session) -> None:
        session.delete(session.get_one(ChainCheckpoint, 1))

    district.home.do(forget)
    asyncio.run(watch(district, blocks).look())
    assert position(district) == -60


def test_an_office_that_shows_another_batch_than_the_chain_has_is_not_believed(
    district: District,
) -> None:
    blocks = Blocks(settled=[settled_in(3)])
    with pytest.raises(BatchWrong, match="another one than the chain has"):
        asyncio.run(watch(district, blocks, shown_root=bytes(32)).look())
    assert position(district) == 0


def test_an_office_that_settles_another_batch_than_we_signed_books_nothing(
    district: District,
) -> None:
    """It showed us one batch, got our signature, and settled another under the same round's id."""
    blocks = Blocks(settled=[settled_in(3)])
    signed = BatchProposal(Batch(ROUND, bytes(32), 0, ()), ())
    asyncio.run(Keeping(district).keep(signed))
    with pytest.raises(BatchWrong, match="under the id of the one we signed"):
        asyncio.run(watch(district, blocks).look())
    assert position(district) == 0


def moved(*, names: str | None = "0xNEW") -> tuple[Blocks, Blocks]:
    """An old contract with a batch in block 3, and the one that carries on, with none."""
    old = Blocks(settled=[settled_in(3)], contract_address="0xOLD", carries_on_to=names)
    return old, Blocks(older=old)


def test_what_the_old_contract_settled_is_booked_after_the_move(district: District) -> None:
    """The node was away: it read the old contract up to block 1, and comes back to the new one."""
    old, new = moved()
    hidden, old.hashes = old.hashes, old.hashes[:2]
    asyncio.run(watch(district, old).look())
    assert position(district) == 0
    old.hashes = hidden
    for _ in range(2):
        asyncio.run(watch(district, new).look())
        assert position(district) == -60
    kept = district.home.ask(lambda session: session.get_one(ChainCheckpoint, 1))
    assert kept.contract == "0xNEW"


def test_what_the_new_contract_settled_meanwhile_is_booked_too(district: District) -> None:
    old, new = moved()
    new.settled, old.settled = old.settled, []
    hidden, new.hashes = new.hashes, new.hashes[:2]
    old.hashes = old.hashes[:2]
    asyncio.run(watch(district, old).look())
    new.hashes = hidden
    asyncio.run(watch(district, new).look())
    assert position(district) == -60


def test_a_contract_that_does_not_carry_on_is_not_followed(district: District) -> None:
    old, new = moved(names=None)
    asyncio.run(watch(district, old).look())
    new.hashes.append(b"n" * 32)
    with pytest.raises(ChainRefused, match="does not name as its successor"):
        asyncio.run(watch(district, new).look())
