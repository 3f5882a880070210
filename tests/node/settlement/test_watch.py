"""A node reads the chain into its books: each batch once, whatever office or chain do meanwhile."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from contracts.terms import Batch, BatchEntry, BatchSettled, ChainRefused, Position, Status
from node.enrolment.rounds import BatchProposal
from node.kernel.ports import Chain
from node.peer import wire
from node.settlement import alarms, service
from node.settlement.alarms import Alarm
from node.settlement.model import Batch as KeptBatch
from node.settlement.model import ChainCheckpoint, Statement
from node.settlement.rounds import SettlementRounds
from node.settlement.rules import BatchWrong
from node.settlement.watch import ChainWatch, pass_over, passed_over_minutes
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

    signer: str = "0xOURS"
    announced: tuple[str, int] | None = None

    def position(self, number: int) -> Position:
        return Position(number, self.signer, 0, 500, 0, Status.ACTIVE)

    def recovery(self, number: int) -> tuple[str, int] | None:
        return self.announced

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

    def own_number(self) -> int:
        return 1

    def own_signers(self) -> tuple[str, ...]:
        return ("0xours", "0xnext")

    async def learn(self, proposal: BatchProposal) -> None:
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
    asyncio.run(Keeping(district).learn(signed))
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


def raised(district: District) -> dict[str, str]:
    rows = district.home.ask(alarms.current)
    return {row.kind: alarms.sentence(row) for row in rows}


def test_a_recovery_that_nobody_asked_for_raises_an_alarm_until_it_is_void(
    district: District,
) -> None:
    blocks = Blocks(announced=("0xTHIEF", 1_800_000_000))
    watching = watch(district, blocks)
    for _ in range(2):
        asyncio.run(watching.learn_position())
        assert list(raised(district)) == [Alarm.RECOVERY_ANNOUNCED]
    assert "0xTHIEF, good from 2027-01-15" in raised(district)[Alarm.RECOVERY_ANNOUNCED]
    blocks.announced = None
    asyncio.run(watching.learn_position())
    assert raised(district) == {}


def test_another_signer_on_the_chain_raises_an_alarm_but_our_next_key_does_not(
    district: District,
) -> None:
    blocks = Blocks(signer="0xTHIEF")
    asyncio.run(watch(district, blocks).learn_position())
    assert list(raised(district)) == [Alarm.SIGNER_CHANGED]
    blocks.signer, blocks.announced = "0xNEXT", ("0xNEXT", 1_800_000_000)
    asyncio.run(watch(district, blocks).learn_position())
    assert raised(district) == {}


def run_once(watching: ChainWatch) -> None:
    async def a_moment() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(watching.run(every_seconds=10), 0.5)

    asyncio.run(a_moment())


def test_a_stuck_watch_raises_an_alarm_and_is_moved_on_by_the_operator(
    district: District,
) -> None:
    """The office shows another batch than the chain has: nothing is booked, and the rest waits."""
    event = replace(settled_in(3), entries=(BatchEntry(1, -60, 0, bytes(32)),))
    watching = watch(district, Blocks(settled=[event]), shown_root=bytes(32))
    run_once(watching)
    said = raised(district)[Alarm.WATCH_STUCK]
    assert f"another one than the chain has (settlement.batch_wrong, batch 0x{ROUND.hex()})" in said
    assert district.home.ask(lambda session: session.get(ChainCheckpoint, 1)) is None
    district.home.do(lambda session: pass_over(session, district.clock, round_id=ROUND))
    assert district.home.ask(passed_over_minutes) == 0
    run_once(watching)
    assert raised(district) == {}
    assert position(district) == 0
    assert district.home.ask(passed_over_minutes) == -60
    kept = district.home.ask(lambda session: session.get_one(ChainCheckpoint, 1))
    assert kept.block_number == 5
