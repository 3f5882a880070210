"""`linli-node serve`: pages and API for residents, and, for a member, everything district-wide."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
from sqlalchemy.orm import Session

from node.app import Node
from node.council import sealing
from node.enrolment.directory import load_membership
from node.exchange import compare, home, host
from node.forecast import comparison, exporting
from node.forecast.rules import HistoryTooShort, local_day
from node.kernel import memory
from node.kernel.errors import BadInput, DomainError
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.notices import running as notices
from node.outbox import service as outbox
from node.points import shelf
from node.repairs import deadlines
from node.repairs.rules import CATEGORIES
from node.timebank import lapsing

if TYPE_CHECKING:
    from node.member import MemberServices

SWEEP_SECONDS = 60.0  # between two looks for what has expired
FORECAST_RETRY_SECONDS = 3_600.0  # after one that failed: it costs this machine a minute
JOINED_POLL_SECONDS = 2.0  # how soon a serving node notices that it has joined a district
KEEP_ALIVE_SECONDS = 30
BACKLOG_CONNECTIONS = 512
PORT_MAX = 65_535

log = structlog.get_logger()

Part = Callable[[Session, Clock], object]  # of what is looked at every SWEEP_SECONDS


class AlreadyServing(DomainError):
    code = "node.serving"
    message = "Another process serves {directory} already."


class _Web(uvicorn.Server):
    """uvicorn inside our own loop: we decide when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(node: Node, *, http: str, peer: str) -> None:
    """Serve until SIGTERM or SIGINT; raises PortInUse before anything is half started."""
    if _port(peer, field="--peer") == 0:
        raise BadInput(field="--peer", problem="neighbours need a port that stays the same")
    with _alone(node.settings.directory):
        await _serve(node, http=http, peer=peer)


async def _serve(node: Node, *, http: str, peer: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    listening = _listen(http)
    with _left_out("pydantic"):
        site = node.web()
    web = _Web(
        uvicorn.Config(
            site,
            access_log=False,
            log_config=None,
            ws="none",
            backlog=BACKLOG_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            server_header=False,
        )
    )
    tasks = [asyncio.create_task(_sweep(node)), asyncio.create_task(_forecast(node))]
    tasks.append(notices.start(node, node.settings.directory))
    follower = _Follower(node, peer)
    try:
        await follower.start()
        serving = asyncio.create_task(web.serve(sockets=[listening]))
        while not web.started and not serving.done():
            await asyncio.sleep(0.01)
        tasks.append(asyncio.create_task(follower.wait_for_membership()))
        memory.settle()
        shown = f"{http.rpartition(':')[0]}:{listening.getsockname()[1]}"  # port 0 resolved
        _say_ready(node, http=shown, peer=peer, is_member=follower.is_member)
        await stop.wait()
        web.should_exit = True
        await serving
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await follower.stop()
        listening.close()


class _Follower:
    """Runs the member's services as soon as there is a membership."""

    def __init__(self, node: Node, peer: str) -> None:
        self._node = node
        self._peer = peer
        self._services: MemberServices | None = None

    @property
    def is_member(self) -> bool:
        return self._services is not None

    async def start(self) -> None:
        """Start the services of a node that has joined; else nothing yet."""
        membership = self._node.membership
        if membership is not None:
            from node.member import MemberServices  # gRPC is 8 MB: only for a member

            services = MemberServices(self._node, membership, peer=self._peer)
            await services.start()
            self._services = services

    async def wait_for_membership(self) -> None:
        """Notice `linli-node join` while serving."""
        while not self.is_member:
            await asyncio.sleep(JOINED_POLL_SECONDS)
            membership = load_membership(self._node.settings.directory)
            if membership is not None:
                self._node.use(membership)
                await self.start()
                log.info("joined", community=membership.community)

    async def stop(self) -> None:
        if self._services is not None:
            await self._services.stop()


async def _sweep(node: Node) -> None:
    """Give back what was promised and not used in time; compare with the neighbours when due."""

    def compare_books(session: Session, clock: Clock) -> None:
        if node.sealer is not None:
            compare.compare_due(session, clock, node.sealer)

    def release_visits(session: Session, clock: Clock) -> None:
        if node.sealer is not None:
            host.release_overdue(session, clock, node.sealer)

    def now(part: Part) -> Callable[[Session], object]:
        return lambda session: part(session, node.clock)

    parts: tuple[Part, ...] = (
        ledger.expire_holds,
        outbox.bring_forward,
        shelf.release_overdue,
        lapsing.lapse_overdue,
        deadlines.escalate_overdue,
        home.expire_passes,
        release_visits,
        compare_books,
    )
    while True:
        for part in parts:  # each for itself: what fails in one must not stop the others
            await _attempt(node.database.run(now(part)), part.__name__)
        await _attempt(sealing.tend(node), "tend")
        await asyncio.sleep(SWEEP_SECONDS)


async def _attempt(work: Awaitable[object], part: str) -> None:
    try:
        await work
    except DomainError as refusal:
        log.warning("sweep_refused", part=part, code=refusal.code)
    except Exception as failure:
        log.error("sweep_failed", part=part, error=type(failure).__name__)


async def _forecast(node: Node) -> None:
    """Each day: noise the counts of the day before, and look at the week ahead anew."""
    refreshed_on: date | None = None
    trouble = ""
    while True:
        try:
            if refreshed_on != (today := local_day(node.clock.now())):
                await asyncio.to_thread(refresh_exports, node)
                refreshed_on = today
            await comparison.renew(node)
            trouble, pause_seconds = "", SWEEP_SECONDS
        except DomainError as refusal:
            if refusal.code != trouble:  # said once, not at every look
                log.warning("forecast_refused", code=refusal.code, reason=str(refusal))
            trouble, pause_seconds = refusal.code, FORECAST_RETRY_SECONDS
        except Exception as failure:
            log.error("forecast_failed", error=type(failure).__name__)
            pause_seconds = FORECAST_RETRY_SECONDS
        await asyncio.sleep(pause_seconds)


def refresh_exports(node: Node) -> None:
    """Noise the days that are over, and write what training and comparison read, if enough."""
    with contextlib.suppress(HistoryTooShort):
        exporting.refresh(node, catalogue=tuple(CATEGORIES))


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the node's folder; the kernel lets go of it when the process dies, however it dies."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise AlreadyServing(directory=str(directory)) from held
        yield
    finally:
        os.close(handle)


def _port(address: str, *, field: str) -> int:
    """The port of HOST:PORT; checked here, since gRPC takes 70000 and listens on 4464."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > PORT_MAX:
        raise BadInput(field=field, problem=f"HOST:PORT is needed, not {address}")
    return int(port)


def _listen(http: str) -> socket.socket:
    port = _port(http, field="--http")
    host = http.rpartition(":")[0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # asyncio does this only for sockets that name their protocol; without it answers wait 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((host.strip("[]"), port))
    except OSError as problem:
        listening.close()
        from node.member import PortInUse

        raise PortInUse(address=http) from problem
    return listening


@contextlib.contextmanager
def _left_out(library: str) -> Iterator[None]:
    """Litestar loads this one wherever it is installed (7 MB); only the chain's client needs it."""
    if library in sys.modules:
        yield
        return
    sys.modules[library] = None  # type: ignore[assignment]  # the import system's own way
    try:
        yield
    finally:
        del sys.modules[library]


def _say_ready(node: Node, *, http: str, peer: str, is_member: bool) -> None:
    facts: dict[str, Any] = {"ready": True, "http": f"http://{http}", "community": node.community}
    facts["peer"] = peer if is_member else None
    print(json.dumps(facts), flush=True)  # noqa: T201 (programs wait for this line)
