"""The simulated chain is the contract: the same calls get the same refusals, figures and balances.

Method: a devchain with the committed HourSettlement and a SimulatedChain under one clock. Both are
handed the same batches in random order: good ones, and each kind of bad one; after each call what
both say is compared.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from contracts.client import SettlementChain, address_of
from contracts.terms import Batch, BatchEntry, BatchSettled, ChainRefused, Position, Receipt
from simulation.settlement_chain import SimulatedChain
from tests.contracts.district import LIMIT_MINUTES, STRANGER_KEY, District, community_key
from tests.contracts.test_settlement import malleated

NUMBERS = (1, 2, 3)
CALLS = 60
Said = tuple[object, ...]
Signatures = list[bytes]


@dataclass
class Sides:
    """Both chains, and what they have settled so far."""

    real: District
    simulated: SimulatedChain
    calls: int = 0
    settled: list[Batch] = field(default_factory=list)

    def position(self, number: int) -> Position:
        found = self.real.chain.position(number)
        assert found == self.simulated.position(number)
        return found

    def batch(self, deltas: Sequence[tuple[int, int]]) -> Batch:
        """A batch as it should be, apart from what `deltas` says."""
        entries = tuple(
            BatchEntry(number, delta, self.position(number).sequence, bytes([number % 256]) * 32)
            for number, delta in deltas
        )
        deadline = int(self.real.clock()) + 3_600
        return Batch(self.calls.to_bytes(32, "big"), bytes([7]) * 32, deadline, entries)

    def call(self, batch: Batch, change: Callable[[Signatures], Signatures] = list) -> Said:
        """What both say to this batch; each community signs for each contract."""
        self.calls += 1
        said = [
            _said(chain, batch, change(_signatures(chain, batch)))
            for chain in (self.real.chain, self.simulated)
        ]
        assert said[0] == said[1], batch
        if said[0] == ("settled", True):
            self.settled.append(batch)
        return said[0]

    def check(self) -> None:
        """Positions and events are the same on both."""
        positions = [self.position(number) for number in NUMBERS]
        assert sum(one.balance_minutes for one in positions) == 0
        assert _contents(self.real.chain) == _contents(self.simulated)


def _signatures(chain: SettlementChain | SimulatedChain, batch: Batch) -> Signatures:
    return [chain.sign_batch(batch, community_key(one.community)) for one in batch.entries]


def _said(
    chain: SettlementChain | SimulatedChain, batch: Batch, signatures: Sequence[bytes]
) -> Said:
    try:
        prepared = chain.prepare_settle(batch, signatures, sender_key=STRANGER_KEY)
    except ChainRefused as refusal:
        return refusal.code, refusal.details
    chain.send(prepared)
    receipt: Receipt | None
    if isinstance(chain, SimulatedChain):
        chain.mine()
        receipt = chain.receipt(prepared.hash)
    else:
        receipt = chain.wait(prepared.hash, 10)
    assert receipt is not None
    return "settled", receipt.succeeded


def _contents(chain: SettlementChain | SimulatedChain) -> list[tuple[object, ...]]:
    found: list[BatchSettled] = chain.settled_batches(0, chain.head()[0])
    return [(one.round_id, one.merkle_root, one.entries) for one in found]


@pytest.fixture
def sides(district: District) -> Sides:
    simulated = SimulatedChain(timestamp=lambda: int(district.clock()), on_send=lambda: None)
    signers = [address_of(community_key(number)) for number in NUMBERS]
    simulated.found(signers, debt_limit_minutes=LIMIT_MINUTES)
    return Sides(district, simulated)


def good(sides: Sides, chance: Random) -> Said:
    payer, payee, third = chance.sample(NUMBERS, 3)
    minutes = chance.randint(2, 400)
    share = chance.randint(1, minutes - 1)
    deltas = {payer: -minutes, payee: share, third: minutes - share}
    return sides.call(sides.batch(sorted(deltas.items())))


def past_the_limit(sides: Sides, chance: Random) -> Said:
    payer, payee = sorted(chance.sample(NUMBERS, 2))
    return sides.call(sides.batch([(payer, -2_000), (payee, 2_000)]))


def settled_before(sides: Sides, chance: Random) -> Said:
    return sides.call(chance.choice(sides.settled) if sides.settled else sides.batch([]))


def expired(sides: Sides, chance: Random) -> Said:
    batch = sides.batch([(1, -5), (2, 5)])
    return sides.call(replace(batch, deadline=int(sides.real.clock()) - chance.randint(1, 100)))


def not_zero_sum(sides: Sides, chance: Random) -> Said:
    return sides.call(sides.batch([(1, 5), (2, chance.randint(1, 9))]))


def not_ascending(sides: Sides, chance: Random) -> Said:
    first, second = sorted(chance.choices(NUMBERS, k=2), reverse=True)
    return sides.call(sides.batch([(first, 5), (second, -5)]))


def nothing_moved(sides: Sides, chance: Random) -> Said:
    return sides.call(sides.batch([(chance.choice(NUMBERS), 0)]))


def a_stranger(sides: Sides, chance: Random) -> Said:
    return sides.call(sides.batch([(1, -5), (chance.randint(4, 900), 5)]))


def empty(sides: Sides, _: Random) -> Said:
    return sides.call(sides.batch([]))


def other_sequence(sides: Sides, chance: Random) -> Said:
    batch = sides.batch([(1, 5), (2, -5)])
    first = replace(batch.entries[0], sequence=batch.entries[0].sequence + chance.randint(1, 3))
    return sides.call(replace(batch, entries=(first, batch.entries[1])))


def signed_badly(sides: Sides, chance: Random) -> Said:
    changes: tuple[Callable[[Signatures], Signatures], ...] = (
        lambda signed: signed[:-1],
        lambda signed: [*signed, signed[0]],
        lambda signed: signed[::-1],
        lambda signed: [malleated(signed[0]), signed[1]],
        lambda signed: [signed[0][:64], signed[1]],
        lambda signed: [b"", signed[1]],
        lambda signed: [bytes(65), signed[1]],
        lambda signed: [signed[0][:64] + b"\x05", signed[1]],
    )
    return sides.call(sides.batch([(1, 5), (2, -5)]), chance.choice(changes))


KINDS = (
    past_the_limit,
    settled_before,
    expired,
    not_zero_sum,
    not_ascending,
    nothing_moved,
    a_stranger,
    empty,
    other_sequence,
    signed_badly,
)


@pytest.mark.parametrize("seed", [1, 2])
def test_both_say_the_same_to_everything(sides: Sides, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 dice, not keys
    heard: set[object] = set()
    for _ in range(CALLS):
        kind = good if chance.random() < 0.3 else chance.choice(KINDS)
        heard.add(kind(sides, chance)[0])
        sides.real.clock.seconds += chance.randint(0, 600)
    sides.check()
    assert len(sides.settled) > 3
    assert len(heard) > 8, heard


@pytest.mark.parametrize("number", range(8))
def test_a_bad_signature_is_one_on_both(sides: Sides, number: int) -> None:
    class Chosen(Random):
        def choice(self, seq: Sequence[object]) -> object:  # type: ignore[override]  # narrower
            return seq[number]

    assert signed_badly(sides, Chosen())[0] in (
        "chain.bad_signature",
        "chain.signature_count_mismatch",
    )
