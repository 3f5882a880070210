"""The district's office in a simulation: its real database, round and sender, asked in person.

The certificates and sockets of the real way in are left out; what a call does inside is the same
function. The office dies and starts again like any other place.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from contracts.terms import Batch, BatchEntry, ChainRefused, ChainUnavailable
from coordinator import settlement, wire
from coordinator.model import Community, CommunityState
from coordinator.rules import SignedStatement, StatedPosition
from coordinator.sending import Sender
from coordinator.settling import Settling
from node.enrolment.refusals import OfficeUnreachable
from node.enrolment.rounds import BatchProposal, Position, RoundNotice, RoundState
from node.kernel.errors import DomainError
from simulation.faults import Died
from simulation.founding import TownKeys
from simulation.network import Network
from simulation.settlement_chain import SimulatedChain
from simulation.town import CONFIRMATIONS, District, Place, Town

OFFICE = "office"
WORK_SECONDS = 900.0  # between two looks at an open round
ATTEND_SECONDS = 1_800.0  # between two questions of a node while a round is open
CALL_SECONDS = 0.2
COLLECT_SECONDS, SIGNING_SECONDS = 7_200, 7_200
ATTEMPTS_MAX, LOOK_BACK_BLOCKS, FINAL_DEPTH_BLOCKS = 4, 10_000, 64
RELAY_KEY = b"\x0f" * 32


class Office(Place):
    """Nets, proposes, collects signatures and sends, step by step."""

    def __init__(
        self, district: District, file: Path, *, chain: SimulatedChain, network: Network
    ) -> None:
        self.chain = chain
        self.network = network
        super().__init__(OFFICE, district, file)
        self.start()

    def admit(self, members: Sequence[tuple[str, TownKeys]]) -> None:
        """Every community, numbered in this order, as after enrolment."""
        now = self.district.clock.now()
        for number, (name, keys) in enumerate(members, 1):
            row = Community(
                id=name,
                name=name,
                state=CommunityState.ACTIVE,
                number=number,
                signing_public_key=keys.signing_public,
                settlement_address=bytes.fromhex(keys.address[2:]),
                approved_at=now,
                on_chain_at=now,
            )
            self.database.do(lambda session, row=row: session.add(row))  # type: ignore[misc]

    def start(self) -> None:
        sender = Sender(self.database, self.district.clock, self.chain, confirmations=CONFIRMATIONS)
        self.settling = Settling(
            database=self.database,
            clock=self.district.clock,
            chain=self.chain,
            sender=sender,
            relay_key=RELAY_KEY,
            attempts_max=ATTEMPTS_MAX,
            look_back_blocks=LOOK_BACK_BLOCKS,
            final_depth_blocks=FINAL_DEPTH_BLOCKS,
        )
        self._working: asyncio.Task[None] | None = None
        self._go_to_work()

    @property
    def has_open_round(self) -> bool:
        """Whether a round has not come to its end."""
        with self.database.read() as session:
            current = settlement.current_round(session)
        return current is not None and RoundState(current.state) not in _ENDED

    def open_round(self) -> None:
        """Ask everybody for their positions, unless a round is still open."""
        if not self.is_up:
            return
        try:
            opened = self.do(
                lambda session: settlement.open_round(
                    session,
                    self.district.clock,
                    collect_seconds=COLLECT_SECONDS,
                    signing_seconds=SIGNING_SECONDS,
                )
            )
        except (Died, DomainError):
            return
        self.tell(f"opens round {opened.number}")
        self._go_to_work()

    async def attend(self, town: Town, *, patience: int = 1_000) -> None:
        """What a node's standing conversation with the office does while a round is open."""
        for _ in range(patience):
            await asyncio.sleep(ATTEND_SECONDS)
            try:
                if not await self._beat(town):
                    return
            except (OfficeUnreachable, ChainUnavailable, ChainRefused):
                continue

    async def batch(self, caller: str, round_id: bytes) -> BatchProposal:
        """The batch of this round, as a node asks for it; raises OfficeUnreachable."""
        await self._reach(caller)
        with self.database.read() as session:
            kept = wire.proposal(settlement.batch_of(session, round_id=round_id))
        entries = tuple(
            BatchEntry(one.number, one.delta_minutes, one.sequence, one.ledger_head)
            for one in kept.entries
        )
        batch = Batch(kept.round_id, kept.merkle_root, kept.deadline, entries)
        return BatchProposal(batch, tuple(one.payload for one in kept.statements))

    async def _beat(self, town: Town) -> bool:
        """One question about the round and what follows from it; False when it has ended."""
        await self._reach(town.name)
        with self.database.read() as session:
            notice = _notice(settlement.notice(session, community_id=town.name))
        if notice is None or notice.has_ended:
            return False
        if notice.state is RoundState.COLLECTING and not notice.has_position:
            position = await town.rounds.state_position(notice)
            if position is not None:
                await self._reach(town.name)
                self._take_position(town, notice, position)
        elif notice.needs_signature and not notice.has_signature:
            proposal = await self.batch(town.name, notice.round_id)
            signature = await town.rounds.sign_batch(notice, proposal)
            if signature is not None:
                await self._reach(town.name)
                self._take_signature(town, notice, signature)
        return True

    def _take_position(self, town: Town, notice: RoundNotice, position: Position) -> None:
        stated = StatedPosition(
            position.ledger_head,
            tuple(
                SignedStatement(one.payload, one.debtor_signature, one.creditor_signature)
                for one in position.statements
            ),
        )
        self._serve(
            town,
            lambda: self.do(
                lambda session: settlement.take_position(
                    session,
                    self.district.clock,
                    community_id=town.name,
                    round_id=notice.round_id,
                    position=stated,
                )
            ),
        )
        town.tell(f"states {len(stated.statements)} debts in round {notice.number}")

    def _take_signature(self, town: Town, notice: RoundNotice, signature: bytes) -> None:
        self._serve(
            town,
            lambda: self.do(
                lambda session: settlement.take_signature(
                    session,
                    self.district.clock,
                    community_id=town.name,
                    round_id=notice.round_id,
                    signature=signature,
                    recover=self.chain.signer_of,
                )
            ),
        )
        town.tell(f"signs the batch of round {notice.number}")

    def _serve(self, town: Town, work: Callable[[], object]) -> None:
        """The office's part of a node's call: if the office dies, the node sees a broken line."""
        try:
            work()
        except Died:
            raise OfficeUnreachable(address=OFFICE, problem="the line broke") from None
        except DomainError as refusal:
            town.tell(f"is refused by the office: {refusal.code}")

    async def _reach(self, caller: str) -> None:
        await asyncio.sleep(CALL_SECONDS)
        if not self.is_up or self.network.is_cut(caller, OFFICE):
            raise OfficeUnreachable(address=OFFICE, problem="no answer")

    def _go_to_work(self) -> None:
        """One loop works on rounds, as in coordinator/working.py."""
        if self._working is None or self._working.done():
            self._working = self.spawn(self._work())

    async def _work(self) -> None:
        while self.has_open_round:
            try:
                while await self.settling.step():
                    self.tell("takes the round a step further")
            except ChainUnavailable:
                self.tell("waits for the chain")
            await asyncio.sleep(WORK_SECONDS)


_ENDED = (RoundState.SETTLED, RoundState.EMPTY, RoundState.FAILED)


def _notice(found: settlement.Notice | None) -> RoundNotice | None:
    if found is None:
        return None
    current = found.round
    return RoundNotice(
        round_id=current.round_id,
        number=current.number,
        state=RoundState(current.state.value),
        closes_at=current.closes_at,
        has_position=found.has_position,
        has_signature=found.has_signature,
        needs_signature=found.needs_signature,
        transaction_hash=current.transaction_hash,
    )
