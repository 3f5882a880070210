"""The composition root: one process that enrols, trains, settles and shows, in one asyncio loop."""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

import grpc
import grpc.aio
import structlog
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from sqlalchemy.orm import Session

from coordinator import directory
from coordinator.authority import Authority, load_authority, server_identity
from coordinator.dashboard import Dashboard, web_app
from coordinator.keys import read_relay_key
from coordinator.model import OfficeBase
from coordinator.ports import Chain
from coordinator.refusals import AddressUnusable, OfficeServing
from coordinator.servicer import Desk, add_enrolment, add_membership
from coordinator.settings import LOOPBACK, Address, Place, Settings
from coordinator.superlink import SuperLink, SuperLinkPlace
from coordinator.working import ChainWork, OpenChain, TrainingWork
from node.kernel.db import Database
from node.kernel.files import write_file
from node.kernel.ports import Clock

BACKLOG_CONNECTIONS = 128
KEEP_ALIVE_SECONDS = 30
START_POLL_SECONDS = 0.01
PREDECESSOR_PATIENCE_SECONDS = 10.0
PREDECESSOR_POLL_SECONDS = 0.1

log = structlog.get_logger()

OnReady = Callable[[Mapping[str, str | bool | None]], None]


class _Web(uvicorn.Server):
    """uvicorn inside our own loop: we decide when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def open_database(place: Place, clock: Clock) -> Database:
    """The office's database, its tables made if they are missing."""
    database = Database(place.database_url, clock=clock)
    database.do(lambda session: OfficeBase.metadata.create_all(session.connection()))
    return database


def chain_opener(rpc_url: str) -> OpenChain:
    """Opens the contract over this URL; web3 is imported only then."""

    def open_chain(contract_address: str, chain_id: int) -> Chain:
        from contracts.client import SettlementChain

        return SettlementChain(rpc_url, contract_address=contract_address, chain_id=chain_id)

    return open_chain


class OfficeServer:
    """The office, listening. `open_chain` is None when it has no chain."""

    def __init__(self, settings: Settings, *, clock: Clock, open_chain: OpenChain | None) -> None:
        self.settings = settings
        self._clock = clock
        self._open_chain = open_chain
        self._servers: list[grpc.aio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._superlink: SuperLink | None = None
        self._closing = contextlib.ExitStack()
        self._web: tuple[_Web, asyncio.Task[None]] | None = None

    async def start(self) -> None:
        """Listen on every port, then start the loops; refused before anything is half started."""
        settings = self.settings
        place = settings.place
        self._closing.enter_context(_serving(place))
        authority = load_authority(
            key_path=place.authority_key, certificate_path=place.authority_certificate
        )
        database = open_database(place, self._clock)
        self._closing.callback(database.close)
        self._database = database
        self._desk = Desk(
            database=database,
            clock=self._clock,
            authority=authority,
            district=settings.office.name,
            models=place.models,
            bundles=place.bundles,
            ask_again_ms=settings.ask_again_ms,
        )
        await self._listen(authority)
        await database.run(self._learn_addresses)
        self._start_work()
        log.info("office_serving", **self.addresses())

    def addresses(self) -> dict[str, str | None]:
        """Where the office listens, port 0 resolved."""
        settings = self.settings
        return {
            "http": f"http://{settings.http}",
            "enrol": str(settings.enrol),
            "member": str(settings.member),
            "superlink": str(settings.superlink) if settings.superlink else None,
        }

    async def stop(self) -> None:
        """Finish calls, stop loops and children, let go of the database."""
        if self._web is not None:
            web, serving = self._web
            web.should_exit = True
            await serving
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        grace_seconds = self.settings.stop_grace_seconds
        await asyncio.gather(*(server.stop(grace_seconds) for server in self._servers))
        if self._superlink is not None:
            await self._superlink.stop()
        self._closing.close()

    async def _listen(self, authority: Authority) -> None:
        key, certificate = self._identity(authority, self._clock.now())
        root = authority.certificate_pem.encode()
        open_door = grpc.ssl_server_credentials([(key, certificate)])
        members_only = grpc.ssl_server_credentials(
            [(key, certificate)], root_certificates=root, require_client_auth=True
        )
        enrol, enrol_server = self._port("enrol", self.settings.enrol, open_door)
        member, member_server = self._port("member", self.settings.member, members_only)
        add_enrolment(enrol_server, self._desk)
        add_membership(member_server, self._desk)
        http, listening = _listen_http(self.settings.http)
        self._closing.callback(listening.close)
        superlink = self.settings.superlink
        if superlink is not None:
            superlink = await _free_soon(superlink)
        self.settings = replace(
            self.settings, enrol=enrol, member=member, http=http, superlink=superlink
        )
        for server in self._servers:
            checks = health.aio.HealthServicer()
            health_pb2_grpc.add_HealthServicer_to_server(checks, server)
            await checks.set("", health_pb2.HealthCheckResponse.SERVING)
            await server.start()
        await self._serve_http(listening)

    def _identity(self, authority: Authority, now: datetime) -> tuple[bytes, bytes]:
        settings = self.settings
        bound = [settings.enrol, settings.member, *filter(None, [settings.superlink])]
        hosts = [LOOPBACK, "localhost", *(one.host for one in bound if one.host != "0.0.0.0")]  # noqa: S104 (compared, not bound)
        if settings.public_host:
            hosts.append(settings.public_host)
        key, certificate = server_identity(
            authority, key_path=settings.place.server_key, hosts=hosts, now=now
        )
        write_file(settings.place.server_certificate, certificate)
        return key, certificate

    def _port(
        self, purpose: str, address: Address, credentials: grpc.ServerCredentials
    ) -> tuple[Address, grpc.aio.Server]:
        settings = self.settings
        server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),  # else two offices could share a port unnoticed
                ("grpc.max_receive_message_length", settings.message_bytes_max),
                ("grpc.max_send_message_length", settings.message_bytes_max),
                ("grpc.max_concurrent_streams", settings.connection_streams_max),
            ]
        )
        try:
            port = server.add_secure_port(str(address), credentials)
        except RuntimeError as error:
            problem = "it is in use, or not this machine's"
            raise AddressUnusable(address=str(address), purpose=purpose, problem=problem) from error
        self._servers.append(server)
        return replace(address, port=port), server

    async def _serve_http(self, listening: socket.socket) -> None:
        dashboard = Dashboard(self._database, self._clock, district=self.settings.office.name)
        web = _Web(
            uvicorn.Config(
                web_app(dashboard),
                access_log=False,
                log_config=None,
                ws="none",
                backlog=BACKLOG_CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                server_header=False,
            )
        )
        serving = asyncio.create_task(web.serve(sockets=[listening]), name="dashboard")
        while not web.started and not serving.done():
            await asyncio.sleep(START_POLL_SECONDS)
        self._web = (web, serving)

    def _learn_addresses(self, session: Session) -> None:
        settings = self.settings
        superlink = settings.reachable(settings.superlink) if settings.superlink else ""
        listen = {
            "enrol_listen": str(settings.enrol),
            "member_listen": str(settings.member),
            "http_listen": str(settings.http),
        }
        if settings.superlink is not None:
            listen["superlink_listen"] = str(settings.superlink)
        directory.learn(
            session,
            **listen,
            **{
                directory.ENROL_ADDRESS: settings.reachable(settings.enrol),
                directory.MEMBER_ADDRESS: settings.reachable(settings.member),
                directory.HTTP_ADDRESS: settings.reachable(settings.http),
                directory.SUPERLINK_ADDRESS: superlink,
            },
        )

    def _start_work(self) -> None:
        settings, place = self.settings, self.settings.place
        if self._open_chain is not None:
            work = ChainWork(
                settings=settings,
                database=self._database,
                clock=self._clock,
                desk=self._desk,
                relay_key=read_relay_key(place.relay_key),
                open_chain=self._open_chain,
            )
            self._tasks.append(asyncio.create_task(work.run(), name="chain work"))
        if settings.superlink is not None:
            self._superlink = SuperLink(
                SuperLinkPlace(
                    directory=place.superlink,
                    host=settings.superlink.host,
                    port=settings.superlink.port,
                    root_certificate=place.authority_certificate,
                    certificate=place.server_certificate,
                    private_key=place.server_key,
                )
            )
            training = TrainingWork(settings, self._database, self._clock, self._superlink)
            self._tasks.append(asyncio.create_task(training.run(), name="training work"))


async def serve(server: OfficeServer, on_ready: OnReady) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await server.start()
        on_ready({"ready": True, **server.addresses()})
        await stop.wait()
    finally:
        await server.stop()


def is_served(place: Place) -> bool:
    """Whether a process serves this office now."""
    try:
        with _serving(place):
            return False
    except OfficeServing:
        return True


@contextlib.contextmanager
def _serving(place: Place) -> Iterator[None]:
    """Hold the office's lock; the kernel lets go of it when the process dies, however it dies."""
    handle = os.open(place.serving_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OfficeServing(directory=str(place.directory)) from error
        yield
    finally:
        os.close(handle)


def _listen_http(address: Address) -> tuple[Address, socket.socket]:
    listening = _bound(address, purpose="http")
    return replace(address, port=listening.getsockname()[1]), listening


async def _free_soon(address: Address) -> Address:
    """The address with a free port; a predecessor that was killed may still be letting go of it."""
    give_up_at = time.monotonic() + PREDECESSOR_PATIENCE_SECONDS
    while True:
        try:
            return _free(address)
        except AddressUnusable:
            if time.monotonic() >= give_up_at:
                raise
            await asyncio.sleep(PREDECESSOR_POLL_SECONDS)


def _free(address: Address) -> Address:
    probe = _bound(address, purpose="superlink")
    port = probe.getsockname()[1]
    probe.close()
    return replace(address, port=port)


def _bound(address: Address, *, purpose: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address.host.strip("[]"), address.port))
    except OSError as error:
        listening.close()
        problem = error.strerror or str(error)
        raise AddressUnusable(address=str(address), purpose=purpose, problem=problem) from error
    return listening
