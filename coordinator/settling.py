"""The settlement round at work: one step after another, each safe to repeat after a kill.

What the next step is stands in the database alone (Round.state, Transaction), so a new process
goes on where the old one stood. Two rules keep an hour from being settled twice: a transaction is
stored together with the round's state before it is sent, and a batch whose transaction may still be
taken by the chain is never replaced by another proposal. All signatures of a batch are here only,
so one that is not fully signed, or was never signed into a transaction, cannot settle elsewhere.

A settled round is looked at until its block is deep enough to stay. If the chain loses the block,
the round is open again, before any later one, and the same transaction is sent.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from contracts.terms import BatchSettled, ChainRefused, Receipt, SignedTransaction, Status
from coordinator import rules, settlement, wire
from coordinator.directory import active_members
from coordinator.model import BatchSeen, Community, Round, SubmittedSignature
from coordinator.ports import Chain
from coordinator.rules import RoundState, Standing
from coordinator.sending import Sender
from node.kernel.db import Database
from node.kernel.ports import Clock

CHAIN_CLOCK_TOLERANCE_SECONDS = 900  # between the chain's clock and ours
CHANGED_SINCE_PROPOSED = frozenset(
    {
        "chain.bad_signature",
        "chain.debt_limit_exceeded",
        "chain.expired",
        "chain.not_active",
        "chain.stale_sequence",
    }
)

log = structlog.get_logger()


@dataclass
class Settling:
    """Takes the current round one step further each time `step` is called."""

    database: Database
    clock: Clock
    chain: Chain
    sender: Sender
    relay_key: bytes
    attempts_max: int
    look_back_blocks: int
    final_depth_blocks: int
    _final_block: int = field(default=-1, init=False)  # what is settled up to here stays
    _head_seen: bytes = field(default=b"", init=False)  # as it was when we looked last

    async def step(self) -> bool:
        """Do what can be done now; True if the round moved, so that the caller steps again.

        ChainUnavailable passes through: nothing was decided, ask again later.
        """
        await self._reopen_undone()
        with self.database.read() as session:
            current = settlement.current_round(session)
        if current is None or current.state in rules.ENDED:
            return False
        try:
            return await self._step(current)
        except ChainRefused as refused:
            return await self._hear_refusal(current, refused)

    async def _reopen_undone(self) -> None:
        """Look again at every settled batch that is not deep enough, once for each new head."""
        with self.database.read() as session:
            recent = settlement.batches_above(session, self._final_block)
        if not recent:
            return
        head, head_hash = await asyncio.to_thread(self.chain.head)
        if head_hash == self._head_seen:
            return
        final_block = head - self.final_depth_blocks
        for seen in recent:
            if seen.block_number > final_block and await self._is_undone(seen):
                await self.database.run(lambda session, seen=seen: self._reopen(session, seen))  # type: ignore[misc]  # the default binds the loop's value
                log.warning("batch_undone", block=seen.block_number)
        self._final_block, self._head_seen = final_block, head_hash

    async def _is_undone(self, seen: BatchSeen) -> bool:
        """Whether the chain has another block there by now, and the batch in none.

        A chain that ends before that block says nothing: whoever we ask may be behind.
        """
        there = await asyncio.to_thread(self.chain.block_hash, seen.block_number)
        if there in (None, seen.block_hash):
            return False
        receipt = await asyncio.to_thread(self.chain.receipt, seen.transaction_hash)
        if receipt is None or not receipt.succeeded:
            return True
        await self.database.run(lambda session: _move_block(session, seen, receipt))
        return False

    def _reopen(self, session: Session, seen: BatchSeen) -> None:
        self.sender.reopen(session, _purpose(settlement.reopen(session, self.clock, seen)))

    async def _hear_refusal(self, current: Round, refused: ChainRefused) -> bool:
        reason = f"{refused.code}: {refused}"
        if current.state is RoundState.SENDING:  # it may yet be taken: keep at it
            log.warning("transaction_refused", round=current.number, reason=reason)
            return False
        if current.batch is not None and await self._is_on_chain(current):
            return True
        if refused.code in CHANGED_SINCE_PROPOSED and current.attempt < self.attempts_max:
            return await self._propose_again(current, reason=reason, left_out={})
        return await self._fail(current, reason)

    async def _step(self, current: Round) -> bool:
        if current.state is RoundState.COLLECTING:
            return await self._collect(current)
        if current.state is RoundState.SIGNING:
            return await self._sign(current)
        return await self._send(current)

    async def _collect(self, current: Round) -> bool:
        with self.database.read() as session:
            missing = settlement.unanswered(session, current)
        if missing and self.clock.now() < current.closes_at:
            return False
        return await self._propose(
            current, left_out=dict.fromkeys(missing, rules.NO_ANSWER), attempt=current.attempt
        )

    async def _sign(self, current: Round) -> bool:
        with self.database.read() as session:
            signatures, missing = _signatures(session, current)
        if missing and self.clock.now() < current.closes_at:
            return False
        if missing:
            left_out = dict.fromkeys(missing, rules.NO_SIGNATURE)
            return await self._propose_again(current, reason="unsigned", left_out=left_out)
        if self.sender.count(_purpose(current)) >= self.attempts_max:
            return await self._fail(current, "Every transaction for this batch was undone.")
        assert current.batch is not None
        batch = settlement.terms_batch(wire.proposal(current.batch))

        def prepare() -> SignedTransaction:
            return self.chain.prepare_settle(batch, signatures, sender_key=self.relay_key)

        def on_stored(session: Session, signed: SignedTransaction) -> None:
            stored = session.get_one(Round, current.number)
            settlement.move(session, self.clock, stored, to=RoundState.SENDING)
            stored.transaction_hash = signed.hash

        await self.sender.store(_purpose(current), prepare, on_stored)
        return True

    async def _send(self, current: Round) -> bool:
        signed = self.sender.stored(_purpose(current))
        if signed is not None:
            if await self.sender.advance(signed) is None and not self._is_expired(current):
                return self.sender.stored(_purpose(current)) is None  # dead: look after it
            if self.sender.stored(_purpose(current)) is not None:  # the contract refuses it by now
                await self.sender.give_up(signed)
        return await self._look_after(current)

    def _is_expired(self, current: Round) -> bool:
        """Whether the contract has refused this batch for a while, whatever clock it goes by."""
        assert current.batch is not None
        deadline = wire.proposal(current.batch).deadline
        return self.clock.now().timestamp() > deadline + CHAIN_CLOCK_TOLERANCE_SECONDS

    async def _look_after(self, current: Round) -> bool:
        """The transaction's fate is known: settled, or back to signing one for the same batch."""
        if await self._is_on_chain(current):
            return True

        def back(session: Session) -> None:
            stored = session.get_one(Round, current.number)
            settlement.move(session, self.clock, stored, to=RoundState.SIGNING)

        await self.database.run(back)
        return True

    async def _is_on_chain(self, current: Round) -> bool:
        """Whether the chain has this batch, no matter who carried it there; then the round ends."""
        head, _ = await asyncio.to_thread(self.chain.head)
        first = max(0, head - self.look_back_blocks)
        found = await asyncio.to_thread(self.chain.settled_batches, first, head)
        seen = next((one for one in found if one.round_id == current.round_id), None)
        if seen is None:
            return False
        await self.database.run(lambda session: self._settle(session, current.number, seen))
        log.info("batch_settled", round=current.number, transaction=seen.transaction_hash.hex())
        return True

    def _settle(self, session: Session, number: int, seen: BatchSettled) -> None:
        stored = session.get_one(Round, number)
        if stored.state is not RoundState.SENDING:
            settlement.move(session, self.clock, stored, to=RoundState.SENDING)
        settlement.move(session, self.clock, stored, to=RoundState.SETTLED)
        stored.transaction_hash = seen.transaction_hash
        settlement.record_settled(session, stored)
        session.add(
            BatchSeen(
                transaction_hash=seen.transaction_hash,
                round_id=seen.round_id,
                block_number=seen.block_number,
                block_hash=seen.block_hash,
                communities=len(seen.entries),
                minutes=stored.minutes,
                seen_at=self.clock.now(),
            )
        )

    async def _propose_again(
        self, current: Round, *, reason: str, left_out: Mapping[str, str]
    ) -> bool:
        log.warning("batch_proposed_again", round=current.number, reason=reason)
        return await self._propose(current, left_out=left_out, attempt=current.attempt + 1)

    async def _propose(self, current: Round, *, left_out: Mapping[str, str], attempt: int) -> bool:
        """Net what can be settled and ask for signatures; with nothing to settle the round ends."""
        with self.database.read() as session:
            heads, statements = settlement.stated(session, current)
            members = [one for one in active_members(session) if one.id in heads]
        reasons = dict(left_out)
        standings: dict[str, Standing] = {}
        for member in members:
            if member.id not in reasons:
                found = await self._standing(member, ledger_head=heads[member.id])
                if isinstance(found, Standing):
                    standings[member.id] = found
                else:
                    reasons[member.id] = found
        chosen, past_limit = rules.within_limits(statements, standings)
        reasons |= dict.fromkeys(past_limit, rules.PAST_LIMIT)
        closes_at = self.clock.now() + timedelta(seconds=current.signing_seconds)
        proposal = rules.propose(
            chosen,
            standings,
            round_id=rules.round_id(number=current.number, attempt=attempt),
            deadline=int((closes_at + settlement.SENDING_TIME).timestamp()),
        )

        def keep(session: Session) -> None:
            stored = session.get_one(Round, current.number)
            settlement.leave_out(stored, reasons)
            if proposal is None:
                settlement.move(session, self.clock, stored, to=RoundState.EMPTY)
                return
            settlement.move(session, self.clock, stored, to=RoundState.SIGNING)
            stored.attempt = attempt
            stored.round_id = proposal.round_id
            stored.batch = wire.batch_bytes(proposal)
            stored.closes_at = closes_at
            stored.minutes = rules.moved_minutes(proposal.entries)

        await self.database.run(keep)
        return True

    async def _standing(self, member: Community, *, ledger_head: bytes) -> Standing | str:
        """How a community stands on the chain, or why it cannot be in a batch."""
        assert member.number is not None
        position = await asyncio.to_thread(self.chain.position, member.number)
        if position.status is not Status.ACTIVE:
            return rules.NOT_ON_CHAIN
        if bytes.fromhex(position.signer.removeprefix("0x")) != member.settlement_address:
            return rules.OTHER_SIGNER
        return Standing(
            number=member.number,
            balance_minutes=position.balance_minutes,
            debt_limit_minutes=position.debt_limit_minutes,
            sequence=position.sequence,
            ledger_head=ledger_head,
        )

    async def _fail(self, current: Round, reason: str) -> bool:
        def fail(session: Session) -> None:
            stored = session.get_one(Round, current.number)
            settlement.move(session, self.clock, stored, to=RoundState.FAILED)
            stored.failure = reason

        await self.database.run(fail)
        log.error("round_failed", round=current.number, reason=reason)
        return True


def _move_block(session: Session, seen: BatchSeen, receipt: Receipt) -> None:
    """The same transaction is in another block now."""
    row = session.get_one(BatchSeen, seen.transaction_hash)
    row.block_number, row.block_hash = receipt.block_number, receipt.block_hash


def _signatures(session: Session, current: Round) -> tuple[list[bytes], list[str]]:
    """The signatures in the entries' order, and the communities that have not signed."""
    assert current.batch is not None
    numbered = select(Community).where(Community.number.is_not(None))
    members = {member.number: member.id for member in session.scalars(numbered)}
    signatures, missing = [], []
    for entry in wire.proposal(current.batch).entries:
        community = members[entry.number]
        found = session.get(SubmittedSignature, (current.round_id, community))
        if found is None:
            missing.append(community)
        else:
            signatures.append(found.signature)
    return signatures, missing


def _purpose(current: Round) -> str:
    return f"settle/{current.round_id.hex()}"
