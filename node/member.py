"""What a node runs only once it belongs to a district: peers, office, chain, training.

None of it is needed to serve residents: each part waits by itself while its other side is away.
"""

import asyncio
import contextlib
import importlib.util
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from node.app import Node
from node.backup.returning import Returning
from node.enrolment.directory import Membership
from node.enrolment.loop import MembershipLoop
from node.enrolment.rounds import Model, Report
from node.forecast import bundles, registry, telling
from node.forecast import service as forecast
from node.forecast.exporting import TRAINING_FILE, forecast_folder
from node.forecast.identity import IDENTITY_FILE, write_identity
from node.forecast.supernode import GuardedSuperNode, SandboxMissing, SuperNodePlace
from node.kernel.errors import DomainError
from node.kernel.files import private_folder
from node.kernel.ports import Chain
from node.outbox import service as outbox
from node.outbox.left import OFFICE, UPDATES_FILE
from node.outbox.relay import Relay
from node.peer import wire
from node.peer.answers import Answers
from node.peer.client import SIZE_OPTIONS, GrpcPeers
from node.peer.servicer import GrpcPeerServicer, Inbox
from node.peer.tls import TlsMaterial, server_credentials
from node.peer.witnessed import WitnessedPeers
from node.settings import Settings
from node.settlement import rotation
from node.settlement.rounds import SettlementRounds
from node.settlement.watch import ChainWatch
from protos.peer_pb2_grpc import add_PeerServicer_to_server

STOP_GRACE_SECONDS = 2.0

log = structlog.get_logger()


class PortInUse(DomainError):
    code = "node.port_in_use"
    message = "{address} cannot be used: another program listens there, or it is not ours."


def open_chain(settings: Settings, membership: Membership) -> Chain | None:
    """The settlement contract, if a chain is configured and the district has deployed one."""
    directory = membership.directory
    if not settings.rpc or directory.contract_address is None or directory.chain_id is None:
        return None
    from contracts.client import SettlementChain  # web3 is a second and 50 MB: only when needed

    return SettlementChain(
        settings.rpc, contract_address=directory.contract_address, chain_id=directory.chain_id
    )


class MemberServices:
    """Starts and stops all that deals with the district."""

    def __init__(self, node: Node, membership: Membership, *, peer: str) -> None:
        assert node.sealer is not None, "a member can sign"
        self._node = node
        self._sealer = node.sealer
        self._peer_address = peer
        self._membership = membership
        self._answers = Answers(node.clock, node.sealer, node.book)
        self._peers = GrpcPeers(node.book, _material(membership))
        self._server: grpc.aio.Server | None = None
        self._supernode: GuardedSuperNode | None = None
        self._refuses_training = False  # no sandbox: said once, at the start
        self._chain: Chain | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._returning = Returning(node.settings.directory)
        self._watching: asyncio.Task[None] | None = None
        self._rounds = SettlementRounds(
            node.database,
            node.clock,
            node.sealer,
            chain=lambda: self._chain,
            verify=self._answers.has_signed,
            directory=lambda: self._membership.directory,
            settlement_key=membership.keys.settlement_private_key,
            signers=lambda: rotation.signers(self._membership.keys),
        )
        self._loop = MembershipLoop(
            membership,
            clock=node.clock,
            rounds=self._rounds,
            report=self._report,
            on_membership=self._on_membership,
            on_model=self._on_model,
            has_bundle=lambda sha256: bundles.is_here(node.settings.bundles, sha256),
            on_bundle=self._on_bundle,
            on_sent=self._on_sent,
            heartbeat_seconds=node.settings.heartbeat_seconds,
        )

    async def start(self) -> None:
        """Listen for neighbours and start the loops; raises PortInUse."""
        await self._listen()
        node = self._node
        relay = Relay(
            node.database,
            node.clock,
            WitnessedPeers(self._peers, node.database, node.clock),
            open_question=lambda sealed: wire.decode(sealed.payload),
            apply_answer=self._answers.apply,
            prepare=self._answers.prepare_answers,
        )
        self._run(relay.run())
        self._run(self._returning.run(node.database, node.clock, self._sealer, self._neighbours))
        self._run(self._loop.run())
        await self._use_what_the_directory_offers()

    def _neighbours(self) -> list[str]:
        return [peer.community for peer in self._node.book.all()]

    async def stop(self) -> None:
        """Stop listening, stop the loops; what is half done goes on from the database later."""
        if self._server is not None:
            await self._server.stop(STOP_GRACE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._peers.close()
        if self._supernode is not None:
            await self._supernode.stop()

    async def _listen(self) -> None:
        node = self._node
        inbox = Inbox(
            node.database,
            node.clock,
            self._sealer,
            node.book,
            answer=self._returning.guarded(self._answers.answer),
            prepare=self._answers.prepare,
        )
        server = grpc.aio.server(options=[*SIZE_OPTIONS, ("grpc.so_reuseport", 0)])
        add_PeerServicer_to_server(GrpcPeerServicer(inbox), server)  # type: ignore[no-untyped-call]  # generated
        checks = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        await checks.set("", health_pb2.HealthCheckResponse.SERVING)
        try:
            server.add_secure_port(
                self._peer_address, server_credentials(_material(self._membership))
            )
        except RuntimeError as problem:
            raise PortInUse(address=self._peer_address) from problem
        await server.start()
        self._server = server

    async def _use_what_the_directory_offers(self) -> None:
        chain = open_chain(self._node.settings, self._membership)
        if chain is not None and not self._is_known(chain):
            self._chain = chain
            self._watch_chain(chain)
        if self._supernode is None:
            await self._start_training(self._membership)

    def _is_known(self, chain: Chain) -> bool:
        """Whether this is the contract that we use already; the district may move to another."""
        return self._chain is not None and self._chain.contract_address == chain.contract_address

    def _watch_chain(self, chain: Chain) -> None:
        node = self._node
        if self._watching is not None:
            self._watching.cancel()
        watch = ChainWatch(
            node.database,
            node.clock,
            chain,
            self._rounds,
            community=node.community,
            confirmations=node.settings.chain_confirmations,
            fetch_batch=self._loop.batch,
        )
        self._watching = self._run(watch.run(every_seconds=node.settings.chain_seconds))

    async def _start_training(self, membership: Membership) -> None:
        node, address = self._node, membership.directory.superlink_address
        if not node.settings.training or address is None or self._refuses_training:
            return
        if importlib.util.find_spec("flwr") is None:
            log.info("training_not_installed", extra="training")
            return
        identity = self._write_identity(membership)
        place = SuperNodePlace(
            directory=private_folder(node.settings.directory / "flower"),
            superlink=address,
            root_certificate=membership.ca_path,
            private_key=membership.keys.flower_path,
            runtime_port=_free_loopback_port(),
            export=node.settings.exports / TRAINING_FILE,
            left=node.settings.exports / UPDATES_FILE,
            identity=identity,
            bundles=node.settings.bundles,
            plain_updates=node.settings.plain_updates,
            approve_own_bundle=node.settings.approve_own_bundle,
            sandbox=node.settings.sandbox,
        )
        training = GuardedSuperNode(place)
        try:
            await training.start()
        except SandboxMissing as refusal:  # the rest of the node needs no sandbox
            log.error("training_refused", code=refusal.code, reason=str(refusal))
            self._refuses_training = True
            return
        self._supernode = training

    def _write_identity(self, membership: Membership) -> Path:
        """Tell the training program whom the directory names; it reads the file at each run."""
        path = private_folder(self._node.settings.directory / "flower") / IDENTITY_FILE
        active = [one for one in membership.directory.members if not one.is_revoked]
        write_identity(
            path,
            community=membership.community,
            signing_key=membership.keys.signing,
            members={one.community: one.signing_public_key for one in active},
        )
        return path

    async def _on_membership(self, membership: Membership) -> None:
        is_renewed = membership.certificate_pem != self._membership.certificate_pem
        self._membership = membership
        self._node.use(membership)
        if is_renewed:
            self._peers.use(_material(membership))
            if self._server is not None:
                await self._server.stop(STOP_GRACE_SECONDS)
            await self._listen()
        if self._supernode is not None:
            self._write_identity(membership)
        await self._use_what_the_directory_offers()

    async def _on_model(self, model: Model) -> None:
        """Keep the district's newest model; the next comparison decides whether it is used."""
        node = self._node
        registry.keep_file(forecast_folder(node.settings.directory), model.content)
        await node.database.run(
            lambda session: registry.record(
                session, node.clock, sha256=model.sha256, card_json=model.card_json
            )
        )
        log.info("model_received", sha256=model.sha256, bytes=len(model.content))

    async def _on_bundle(self, sha256: str, content: bytes) -> None:
        """Let the operator read what the office means to run here; the guard asks their word."""
        bundles.keep_announced(self._node.settings.bundles, sha256=sha256, content=content)
        log.info("bundle_announced", sha256=sha256, bytes=len(content))

    async def _on_sent(self, kind: str, size: int) -> None:
        node = self._node

        def count(session: Any) -> None:
            outbox.record_departure(
                session, node.clock, kind=kind, recipient=OFFICE, messages=1, size=size
            )

        await node.database.run(count)

    def _report(self) -> Report:
        folder = forecast_folder(self._node.settings.directory)
        with self._node.database.read() as session:
            judged, newest = forecast.latest(session), registry.newest_sha256(session, folder)
            tells = self._node.settings.tell_errors
            told = telling.told(session, model_sha256=newest, tells=tells)
        return Report(
            model_sha256=newest,
            adopted_arm=judged.adopted if judged else "",
            errors=told.errors,
            data_from=told.data_from,
            data_to=told.data_to,
        )

    def _run(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task


def _material(membership: Membership) -> TlsMaterial:
    return TlsMaterial(membership.keys.peer_pem, membership.certificate_pem, membership.ca_pem)


def _free_loopback_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
