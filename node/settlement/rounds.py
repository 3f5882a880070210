"""This community's part in a settlement round: state what it owes, check a batch, sign it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from contracts.terms import BatchEntry
from node.enrolment.directory import Directory
from node.enrolment.rounds import BatchProposal, Position, RoundNotice, SignedStatement
from node.kernel.db import Database
from node.kernel.errors import DomainError
from node.kernel.messages import Sealer
from node.kernel.ports import Chain, Clock
from node.ledger.model import HEAD
from node.peer import wire
from node.settlement import proof, regained, rules, service
from node.settlement.events import unbooked_entries
from node.settlement.messages import StatementContent
from node.settlement.model import Batch
from node.settlement.service import Verify

NOT_SIGNED = b""  # by us: its batch came from the chain
HURRY = timedelta(seconds=5)  # before the round closes, state what is countersigned by then

log = structlog.get_logger()


class SettlementRounds:
    """Answers the office's round for one community; safe to ask again at any point."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        *,
        chain: Callable[[], Chain | None],
        verify: Verify,
        directory: Callable[[], Directory],
        settlement_key: bytes,
        signers: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._chain = chain
        self._verify = verify
        self._directory = directory
        self._settlement_key = settlement_key
        self._signers = signers

    async def state_position(self, notice: RoundNotice) -> Position | None:
        """Our both-signed debts, once all are countersigned or the round is about to close.

        None while no chain is configured: we could not check what we would be asked to sign.
        """
        if self._chain() is None:
            return None
        open_count = await self._database.run(self._state_and_propose)
        if open_count and self._clock.now() < notice.closes_at - HURRY:
            return None
        with self._database.read() as session:
            head = session.execute(select(HEAD.c.hash)).scalar()
            statements = tuple(
                SignedStatement(one.payload, one.debtor_signature, one.creditor_signature or b"")
                for one in service.agreed_debts(session, self._sealer.community)
            )
        return Position(bytes.fromhex(head) if head else bytes(32), statements)

    async def sign_batch(self, notice: RoundNotice, proposal: BatchProposal) -> bytes | None:
        """Our signature, stored before anybody sees it; None (and a warning) if we do not agree."""
        try:
            return await self.sign(proposal)
        except DomainError as refusal:
            log.warning("batch_refused", round=notice.number, code=refusal.code, why=str(refusal))
            return None

    async def round_ended(self, notice: RoundNotice) -> None:
        """Nothing to do: what the chain has is booked by the chain watch, the rest waits."""

    async def sign(self, proposal: BatchProposal) -> bytes:
        """Check the batch against our books, sign it, store it; raises BatchWrong."""
        batch, chain = proposal.batch, self._chain()
        if chain is None:
            raise rules.BatchWrong("no_chain")
        with self._database.read() as session:
            if (known := session.get(Batch, batch.round_id)) is not None:
                return known.signature
        contents = [wire.decode_statement(payload) for payload in proposal.statements]
        deltas = self._deltas(batch.entries)
        rules.check_batch(contents, proposal.statements, root=batch.merkle_root, deltas=deltas)
        await self._check_entry(chain, batch.entries)
        signature = await asyncio.to_thread(chain.sign_batch, batch, self._settlement_key)
        await self._keep(chain, proposal, contents, signature)
        return signature

    async def learn(self, proposal: BatchProposal) -> None:
        """Keep a batch that the chain has and our books have not signed; raises BatchWrong.

        Nobody is asked any more, so it only has to be what the chain says it is.
        """
        batch, chain = proposal.batch, self._chain()
        if chain is None:
            raise rules.BatchWrong("no_chain")
        contents = [wire.decode_statement(payload) for payload in proposal.statements]
        deltas = self._deltas(batch.entries)
        rules.check_figures(contents, proposal.statements, root=batch.merkle_root, deltas=deltas)
        await self._keep(chain, proposal, contents, NOT_SIGNED)

    async def _keep(
        self,
        chain: Chain,
        proposal: BatchProposal,
        contents: Sequence[StatementContent],
        signature: bytes,
    ) -> None:
        batch = proposal.batch
        digest = await asyncio.to_thread(chain.digest, batch)
        ours = self._deltas(batch.entries).get(self._sealer.community, 0)
        paths = proof.statement_paths(self._sealer.community, contents, proposal.statements)

        def store(session: Session) -> None:
            statement_ids = service.own_statements(
                session, self._sealer.community, contents, proposal.statements
            )
            kept = Batch(
                round_id=batch.round_id,
                merkle_root=batch.merkle_root,
                contract=chain.contract_address,
                digest=digest,
                delta_minutes=ours,
                signature=signature,
                signed_at=self._clock.now(),
            )
            service.keep_batch(session, kept, statement_ids, paths)

        try:
            await self._database.run(store)
        except rules.BatchWrong as wrong:
            if wrong.details["reason"] == "statement_not_ours":
                await self._ask_for_lost(contents, proposal.statements)
            raise

    async def _ask_for_lost(
        self, contents: Sequence[StatementContent], payloads: Sequence[bytes]
    ) -> None:
        """We may have signed it, and lost that with our disk: whoever owes it states it again."""
        asked = await self._database.run(
            lambda session: regained.ask_for_lost(
                session, self._clock, self._sealer, contents, payloads
            )
        )
        log.warning("statements_lost", asked=asked)

    def own_signers(self) -> tuple[str, ...]:
        """The addresses of our settlement keys: the one in use, and the one that is to be."""
        return self._signers()

    def own_number(self) -> int | None:
        """Our number on the chain, if the office has given us one."""
        member = self._directory().member(self._sealer.community)
        return member.number if member else None

    def _state_and_propose(self, session: Session) -> int:
        service.state_debts(session, self._clock, self._sealer, wire.encode_statement)
        session.flush()
        service.propose_open(session, self._clock, self._sealer, wire.decode_statement)
        return service.open_proposals(session, self._sealer.community)

    def _deltas(self, entries: tuple[BatchEntry, ...]) -> dict[str, int]:
        names = {member.number: member.community for member in self._directory().members}
        if unknown := [entry.community for entry in entries if entry.community not in names]:
            raise rules.BatchWrong("unknown_community", number=unknown[0])
        return {names[entry.community]: entry.delta_minutes for entry in entries}

    async def _check_entry(self, chain: Chain, entries: tuple[BatchEntry, ...]) -> None:
        """Our sequence is the next one, and what used up those before it is in our books.

        Else a statement that is settled already would still look open to us.
        """
        member = self._directory().member(self._sealer.community)
        own = next((one for one in entries if member and one.community == member.number), None)
        if own is None:
            return
        position = await asyncio.to_thread(chain.position, own.community)
        if position.sequence != own.sequence:
            raise rules.BatchWrong("wrong_sequence", expected=position.sequence, found=own.sequence)
        if await unbooked_entries(self._database, chain, own.community):
            raise rules.BatchWrong("books_behind")
