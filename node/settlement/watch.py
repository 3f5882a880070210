"""Read the chain's events into the books, from a (number, hash) checkpoint kept with them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from contracts.terms import BatchSettled, ChainRefused, ChainUnavailable, Position, Status
from node.enrolment.refusals import OfficeUnreachable
from node.enrolment.rounds import BatchProposal
from node.exchange import limits
from node.exchange.model import ToldLimit
from node.kernel.db import Database
from node.kernel.errors import DomainError
from node.kernel.ports import Chain, Clock
from node.settlement import alarms, service
from node.settlement.alarms import Alarm
from node.settlement.events import contracts_since, settled_in
from node.settlement.model import Batch, ChainCheckpoint, PassedOver
from node.settlement.rounds import SettlementRounds
from node.settlement.rules import BatchWrong

PAGE_BLOCKS = 2_000
REWIND_BLOCKS = 64  # read again when the chain under the checkpoint has changed

log = structlog.get_logger()

FetchBatch = Callable[[bytes], Awaitable[BatchProposal]]
"""Asks the office for a batch by its round id; raises OfficeUnreachable or another refusal."""


class ChainWatch:
    """Books every settled batch that concerns this community, each once."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        chain: Chain,
        rounds: SettlementRounds,
        *,
        community: str,
        confirmations: int,
        fetch_batch: FetchBatch,
    ) -> None:
        self._database = database
        self._clock = clock
        self._chain = chain
        self._rounds = rounds
        self._community = community
        self._confirmations = confirmations
        self._fetch_batch = fetch_batch
        self._noticed_at: int | None = None  # the head when we heard of the present contract
        self._booking: bytes | None = None  # the round whose batch is being read into the books

    async def run(self, *, every_seconds: float) -> None:
        """Look again and again until cancelled; an outage of the chain only delays."""
        while True:
            try:
                while await self.look():
                    pass
                await self.learn_position()
            except (ChainUnavailable, OfficeUnreachable) as outage:
                log.info("chain_watch_waits", why=outage.code)
            except (ChainRefused, DomainError) as refusal:
                await self._say_stuck(refusal)
            await asyncio.sleep(every_seconds)

    async def look(self) -> bool:
        """Read one page of blocks; True when there may be more."""
        head, _ = await asyncio.to_thread(self._chain.head)
        last = head - max(0, self._confirmations - 1)
        self._booking = None
        first, known = await self._resume()
        if first > last:
            return False
        until = min(last, first + PAGE_BLOCKS - 1)
        contracts = await asyncio.to_thread(contracts_since, self._chain, known)
        if len(contracts) > 1 and self._noticed_at is None:
            self._noticed_at = head  # by now the older ones are at rest for good
        events = await asyncio.to_thread(settled_in, contracts, first, until)
        block_hash = await asyncio.to_thread(self._chain.block_hash, until)
        if block_hash is None:
            return False
        for event in events:
            self._booking = event.round_id
            await self._book(event)
        self._booking = None
        is_over = self._noticed_at is None or until >= self._noticed_at
        oldest = contracts[-1 if is_over else 0].contract_address
        await self._database.run(lambda session: _keep(session, until, block_hash, oldest))
        return until < last

    async def _say_stuck(self, refusal: ChainRefused | DomainError) -> None:
        log.error("chain_watch_refused", code=refusal.code, why=str(refusal))
        figures = alarms.why_stuck(refusal, self._booking)
        await self._database.run(
            lambda session: alarms.raise_alarm(session, self._clock, Alarm.WATCH_STUCK, figures)
        )

    async def learn_position(self) -> None:
        """Keep the chain's debt limit, and raise an alarm where somebody is after our number.

        No promise of ours may pass what the chain will settle.
        """
        number = self._rounds.own_number()
        if number is None:
            return
        position = await asyncio.to_thread(self._chain.position, number)
        recovery = await asyncio.to_thread(self._chain.recovery, number)
        await self._look_after_key(position, recovery)
        with self._database.read() as session:
            known = session.get(ToldLimit, limits.CHAIN)
        is_new = known is None or known.minutes != position.debt_limit_minutes
        if position.status is not Status.ACTIVE or not is_new:
            return
        await self._database.run(
            lambda session: limits.keep_told(
                session, self._clock, source=limits.CHAIN, minutes=position.debt_limit_minutes
            )
        )

    async def _look_after_key(self, position: Position, recovery: tuple[str, int] | None) -> None:
        """Is the chain's signer ours, and does nobody mean to take its place?"""
        ours = {address.lower() for address in self._rounds.own_signers()}
        if not ours:
            return
        is_strange = position.status is Status.ACTIVE and position.signer.lower() not in ours
        is_hostile = recovery is not None and recovery[0].lower() not in ours
        wanted: dict[Alarm, alarms.Figures] = {}
        if is_strange:
            wanted[Alarm.SIGNER_CHANGED] = {
                "number": position.community,
                "signer": position.signer,
            }
        if recovery is not None and is_hostile:
            signer, effective_at = recovery
            from_when = f"{datetime.fromtimestamp(effective_at, UTC):%Y-%m-%d %H:%M} UTC"
            wanted[Alarm.RECOVERY_ANNOUNCED] = {"signer": signer, "from_when": from_when}
        with self._database.read() as session:
            known = {row.kind: alarms.figures_of(row) for row in alarms.current(session)}
        kinds = (Alarm.SIGNER_CHANGED, Alarm.RECOVERY_ANNOUNCED)
        if all(known.get(kind) == wanted.get(kind) for kind in kinds):
            return

        def note(session: Session) -> None:
            for kind in kinds:
                if kind in wanted:
                    alarms.raise_alarm(session, self._clock, kind, wanted[kind])
                else:
                    alarms.is_over(session, kind)

        await self._database.run(note)

    async def _resume(self) -> tuple[int, str]:
        """The next block to read, and the contract that was read last.

        After the checkpoint, or before it if the chain changed there.
        """
        with self._database.read() as session:
            checkpoint = session.get(ChainCheckpoint, 1)
        if checkpoint is None:
            return 0, ""
        current = await asyncio.to_thread(self._chain.block_hash, checkpoint.block_number)
        if current == checkpoint.block_hash:
            return checkpoint.block_number + 1, checkpoint.contract
        log.warning("chain_reorganised", block=checkpoint.block_number)
        return max(0, checkpoint.block_number - REWIND_BLOCKS), checkpoint.contract

    async def _book(self, event: BatchSettled) -> None:
        with self._database.read() as session:
            known = session.get(Batch, event.round_id)
            is_passed_over = session.get(PassedOver, event.round_id) is not None
        if is_passed_over:
            await self._pass_over(event)
            return
        if known is not None and known.merkle_root != event.merkle_root:
            raise BatchWrong("chain_has_another")
        if known is None:  # our share was zero, or we were away when it was signed
            proposal = await self._fetch_batch(event.round_id)
            shown = (proposal.batch.round_id, proposal.batch.merkle_root)
            if shown != (event.round_id, event.merkle_root):
                raise BatchWrong("office_shows_another")
            await self._rounds.learn(proposal)
        transaction = "0x" + event.transaction_hash.hex()
        count = await self._database.run(
            lambda session: service.settle(
                session,
                self._clock,
                self._community,
                round_id=event.round_id,
                transaction=transaction,
                block=event.block_number,
            )
        )
        log.info("batch_settled", transaction=transaction, statements=count)

    async def _pass_over(self, event: BatchSettled) -> None:
        """The operator has said so: book nothing of it, and keep what it was."""
        number = self._rounds.own_number()
        ours = sum(one.delta_minutes for one in event.entries if one.community == number)

        def keep(session: Session) -> None:
            row = session.get_one(PassedOver, event.round_id)
            row.delta_minutes, row.block_number = ours, event.block_number

        await self._database.run(keep)
        log.warning("batch_passed_over", round="0x" + event.round_id.hex(), minutes=ours)


def pass_over(session: Session, clock: Clock, *, round_id: bytes) -> None:
    """From now on the watch goes past this batch and books nothing of it; audit says so."""
    if session.get(PassedOver, round_id) is None:
        session.add(PassedOver(round_id=round_id, asked_at=clock.now()))


def passed_over_minutes(session: Session) -> int:
    """What batches passed over have moved for us on the chain, and not in our books."""
    return session.scalar(select(func.sum(PassedOver.delta_minutes))) or 0


def _keep(session: Session, number: int, block_hash: bytes, contract: str) -> None:
    kept = ChainCheckpoint(id=1, block_number=number, block_hash=block_hash, contract=contract)
    session.merge(kept)
    alarms.is_over(session, Alarm.WATCH_STUCK)
