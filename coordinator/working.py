"""What a serving office does by itself: registers members, settles, trains. One loop for each.

Work is asked for in the database, by members' calls and by other commands of the terminal; a loop
looks there at a named interval. Whatever is not done stays there, so a killed office goes on.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from contracts.terms import ChainRefused, ChainUnavailable, SignedTransaction, Status
from coordinator import directory, protection, schedule, training
from coordinator.bundle import build_bundle, publish
from coordinator.model import Community, CommunityState
from coordinator.ports import Chain, Trainer
from coordinator.sending import Sender
from coordinator.servicer import Desk
from coordinator.settings import Settings
from coordinator.settling import Settling
from coordinator.superlink import RegistrationRefused, TrainingPlan
from node.kernel.db import Database
from node.kernel.errors import DomainError
from node.kernel.evm_address import checksummed
from node.kernel.files import private_folder, write_file
from node.kernel.ports import Clock

log = structlog.get_logger()

OpenChain = Callable[[str, int], Chain]
"""From contract address and chain id to the contract; imports the chain library when called."""


@dataclass
class ChainWork:
    """Everything that the relay key signs, one thing after the other."""

    settings: Settings
    database: Database
    clock: Clock
    desk: Desk
    relay_key: bytes
    open_chain: OpenChain
    settling: Settling | None = None
    opened: str = ""  # the contract that it settles on
    refusals: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled."""
        trouble = ""
        while True:
            pause_seconds = self.settings.work_poll_seconds
            try:
                await self.step()
                trouble = ""
            except (ChainUnavailable, ChainRefused) as error:
                pause_seconds = self.settings.chain_pause_seconds
                if error.code != trouble:  # said once, not at every look
                    log.warning("chain_trouble", code=error.code, reason=str(error))
                trouble = error.code
            except Exception as failure:
                pause_seconds = self.settings.chain_pause_seconds
                log.error("chain_work_failed", error=type(failure).__name__, reason=str(failure))
            await asyncio.sleep(pause_seconds)

    async def step(self) -> None:
        """Do all that can be done now."""
        settling = await self._open()
        if settling is None:
            return
        with self.database.read() as session:
            unregistered = [one for one in directory.active_members(session) if not one.on_chain_at]
        for member in unregistered:
            try:
                await self._register(settling.chain, settling.sender, member)
            except ChainRefused as refused:  # the others need not wait for this one
                self._note_refusal(member, refused)
        while await settling.step():
            pass

    async def _open(self) -> Settling | None:
        with self.database.read() as session:
            address = directory.fact(session, directory.CONTRACT_ADDRESS)
            chain_id = int(directory.fact(session, directory.CHAIN_ID) or 0)
        if not address:
            return None
        if self.settling is not None and self.opened == address:
            return self.settling
        self.opened = address  # the district may have moved to another contract
        chain = await asyncio.to_thread(self.open_chain, address, chain_id)
        self.desk.recover = chain.signer_of
        self.settling = self._settling_on(chain)
        return self.settling

    def _settling_on(self, chain: Chain) -> Settling:
        limits = self.settings
        return Settling(
            database=self.database,
            clock=self.clock,
            chain=chain,
            sender=Sender(self.database, self.clock, chain, confirmations=limits.confirmations),
            relay_key=self.relay_key,
            attempts_max=limits.attempts_max,
            look_back_blocks=limits.batch_look_back_blocks,
            final_depth_blocks=limits.final_depth_blocks,
        )

    async def _register(self, chain: Chain, sender: Sender, member: Community) -> None:
        """Bring one member onto the contract; what an earlier process began is found."""
        assert member.number is not None
        assert member.settlement_address is not None
        number, address = member.number, checksummed(member.settlement_address)
        position = await asyncio.to_thread(chain.position, number)
        if position.status is Status.ACTIVE:
            if position.signer.lower() == address.lower():
                await self.database.run(lambda session: self._note_on_chain(session, member.id))
                return
            raise ChainRefused(
                "chain.other_signer", f"Number {number} is on the chain with {position.signer}."
            )
        purpose = f"register/{number}"

        def prepare() -> SignedTransaction:
            limit = self.settings.office.debt_limit_minutes
            return chain.prepare_register(number, address, limit, sender_key=self.relay_key)

        signed = sender.stored(purpose) or await sender.store(purpose, prepare)
        while await sender.advance(signed) is None and sender.stored(purpose) is not None:
            await asyncio.sleep(self.settings.work_poll_seconds)

    def _note_refusal(self, member: Community, refused: ChainRefused) -> None:
        if self.refusals.get(member.id) != refused.code:  # said once, not at every look
            log.error("not_registered", community=member.id, code=refused.code, reason=str(refused))
            self.refusals[member.id] = refused.code

    def _note_on_chain(self, session: Session, community_id: str) -> None:
        session.get_one(Community, community_id).on_chain_at = self.clock.now()
        log.info("community_registered", community=community_id)


@dataclass
class TrainingWork:
    """Flower's service kept running, members' keys made known to it, trainings run."""

    settings: Settings
    database: Database
    clock: Clock
    superlink: Trainer
    refused: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Work until cancelled."""
        is_started, is_published, trouble = False, False, ""
        while True:
            try:
                if not is_started:
                    await self.superlink.start()
                    is_started = True
                    log.info("superlink_started")
                if not is_published:
                    await self._publish()
                    is_published = True
                await self.step()
                trouble = ""
            except DomainError as refusal:
                if refusal.code != trouble:  # said once, not at every look
                    log.warning("training_trouble", code=refusal.code, reason=str(refusal))
                trouble = refusal.code
                await asyncio.sleep(self.settings.chain_pause_seconds)
            except Exception as failure:
                log.error("training_work_failed", error=type(failure).__name__, reason=str(failure))
                await asyncio.sleep(self.settings.chain_pause_seconds)
            await asyncio.sleep(self.settings.work_poll_seconds)

    async def step(self) -> None:
        """Make new keys known, then do the training that is asked for or due, if any."""
        with self.database.read() as session:
            is_due = schedule.is_due(session, self.clock)
        if is_due:
            await self.database.run(lambda session: schedule.begin_due(session, self.clock))
        with self.database.read() as session:
            unknown = session.scalars(
                select(Community).where(
                    Community.state == CommunityState.ACTIVE, Community.in_training_at.is_(None)
                )
            ).all()
            run = training.next_run(session)
        for member in unknown:
            await self._register(member)
        if run is not None:
            await self._train(run.id)

    async def _publish(self) -> None:
        """Let operators read what their nodes will be asked to run, before they are asked."""
        place = self.settings.place
        bundle = await build_bundle(place.superlink)
        publish(bundle, place.bundles)
        facts = {directory.BUNDLE_SHA256: bundle.sha256}
        await self.database.run(lambda session: directory.learn(session, **facts))
        log.info("bundle_published", sha256=bundle.sha256)

    async def _register(self, member: Community) -> None:
        folder = private_folder(self.settings.place.training_keys)
        path = folder / f"{member.id}.pub"
        write_file(path, (member.flower_public_key or "").encode() + b"\n")
        try:
            await self.superlink.register_supernode(path)
        except RegistrationRefused as refused:  # the others need not wait for this one
            if member.id not in self.refused:
                log.error("not_in_training", community=member.id, reason=str(refused))
                self.refused.add(member.id)
            return

        def note(session: Session) -> None:
            session.get_one(Community, member.id).in_training_at = self.clock.now()

        await self.database.run(note)

    async def _train(self, run_id: int) -> None:
        may_begin = await self.database.run(
            lambda session: training.begin(session, self.clock, run_id=run_id)
        )
        if may_begin is None:
            return
        with self.database.read() as session:
            members = training.member_keys(session)
        office = self.settings.office_now()
        plan = TrainingPlan(
            rounds=may_begin.rounds,
            min_nodes=may_begin.min_nodes,
            local_steps=may_begin.local_steps,
            seed=may_begin.seed,
            members=members,
            count_epsilon=office.count_epsilon,
            protection=office.protection,
        )
        log.info("training_started", run=run_id, attempt=may_begin.attempt)
        try:
            result = await self.superlink.run_training(plan)
        except DomainError as refusal:
            reason = f"{refusal.code}: {refusal}"
            await self.database.run(
                lambda session: training.fail(session, self.clock, run_id=run_id, reason=reason)
            )
            log.error("training_failed", run=run_id, reason=reason)
            return
        await self._keep(run_id, flower_run=result.run_id, model=result.model, card=result.card)

    async def _keep(
        self, run_id: int, *, flower_run: str, model: Path, card: training.Card
    ) -> None:
        sha256 = training.store_model(self.settings.place.models, model.read_bytes())
        card = {**card, **protection.measured(self.settings.place)}
        await self.database.run(
            lambda session: training.keep_model(
                session, self.clock, run_id=run_id, flower_run=flower_run, sha256=sha256, card=card
            )
        )
        log.info("model_kept", run=run_id, sha256=sha256)
