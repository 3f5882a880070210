"""One community's node in a process of its own, driven through a pipe.

The parts are those that `linli-node serve` puts together: Database, sealer, relay, inbox, gRPC
inside mTLS. Only the web server is missing: the load is made inside the host's process, through the
functions that its pages call.
"""

import asyncio
import logging
import os
import statistics
import time
from collections.abc import Coroutine
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from sqlalchemy import func, make_url, select
from sqlalchemy.orm import Session

import node.tables  # noqa: F401 (every table, so that all of them are made)
from bench.books import Template, clone, exchange_id, open_accounts, write_history
from bench.district import HOST, Member
from node.exchange import home, host
from node.exchange.model import VISITS, Visit
from node.exchange.rules import VisitState
from node.kernel import memory
from node.kernel.clock import SystemClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.ids import derived_id, new_code
from node.kernel.messages import Envelope, Sealed
from node.ledger.audit import audit_ledger
from node.ledger.model import ACCOUNT, ENTRY
from node.outbox.relay import Relay
from node.peer import wire
from node.peer.answers import Answers
from node.peer.book import PeerBook
from node.peer.client import SIZE_OPTIONS, GrpcPeers
from node.peer.seal import Ed25519Sealer
from node.peer.servicer import GrpcPeerServicer, Inbox
from node.peer.tls import channel_credentials, server_credentials
from protos.peer_pb2_grpc import add_PeerServicer_to_server

TEMPLATE = derived_id("bench", "template")
MINUTES = 60
PAGE_BYTES = 4_096
LIMIT_MINUTES = 1_000_000_000  # no limit is met while we measure
WAIT_SECONDS_MAX = 30.0


class Side:
    """A node, and the orders that the measuring process may give it."""

    def __init__(self, member: Member) -> None:
        self.member = member
        engine = open_engine(member.url)
        Base.metadata.create_all(engine)
        engine.dispose()
        self.clock = SystemClock()
        self.database = Database(member.url, clock=self.clock)
        self.book = PeerBook([member.peer])
        key = Ed25519PrivateKey.from_private_bytes(member.signing_key)
        self.sealer = Ed25519Sealer(member.community, key)
        self.answers = Answers(self.clock, self.sealer, self.book)
        self._waiting: dict[UUID, asyncio.Future[None]] = {}
        self._applied: list[UUID] = []
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        """Listen for the other side and start the relay."""
        inbox = Inbox(
            self.database,
            self.clock,
            self.sealer,
            self.book,
            answer=self.answers.answer,
            prepare=self.answers.prepare,
        )
        server = grpc.aio.server(options=SIZE_OPTIONS)
        add_PeerServicer_to_server(GrpcPeerServicer(inbox), server)  # type: ignore[no-untyped-call]  # generated
        checks = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        await checks.set("", health_pb2.HealthCheckResponse.SERVING)
        server.add_secure_port(self.member.address, server_credentials(self.member.material))
        await server.start()
        self._server = server
        relay = Relay(
            self.database,
            self.clock,
            GrpcPeers(self.book, self.member.material),
            open_question=lambda sealed: wire.decode(sealed.payload),
            apply_answer=self._apply,
            prepare=self.answers.prepare_answers,
        )
        self._loop = asyncio.get_running_loop()
        self.database.on_commit(self._tell, loop=self._loop)
        self._run(relay.run())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop(None)
        self.database.close()

    async def residents(self, count: int) -> None:
        """Accounts for so many residents, the house, and the other community."""
        open_accounts(
            self.database, count=count, peer=self.member.peer.community, limit=LIMIT_MINUTES
        )

    async def history(self, entries: int) -> None:
        """So many entries in the books already."""
        write_history(self.database, self.clock, entries=entries)

    async def issue(self, resident: UUID) -> str:
        """Home: one pass through the domain; its code."""
        code = new_code()

        def command(session: Session) -> None:
            home.issue_pass(
                session,
                self.clock,
                self.sealer,
                pass_id=TEMPLATE,
                resident_id=resident,
                issued_by=None,
                host=HOST,
                minutes=MINUTES,
                code=code,
                debt_limit_minutes=LIMIT_MINUTES,
            )

        await self.database.run(command)
        return f"{self.member.community}-{code}"

    async def help(self, code: str, provider: UUID) -> None:
        """Host: present that pass, give the help, confirm it by the elder: one word is missing."""
        await self.database.run(
            partial(self._present, exchange_id=TEMPLATE, code=code, provider=provider)
        )
        give_up_at = time.monotonic() + WAIT_SECONDS_MAX
        while self._state(TEMPLATE) != VisitState.ACCEPTED:
            assert time.monotonic() < give_up_at, "home does not answer"
            await asyncio.sleep(0.01)
        await self.database.run(
            lambda session: host.deliver(session, exchange_id=TEMPLATE, minutes=MINUTES)
        )
        await self.database.run(partial(self._confirm, exchange_id=TEMPLATE, party="elder"))

    async def clone(self, template: Template, first: int, count: int) -> None:
        """That exchange again, `count` times, each with ids of its own, in the state it is in."""
        clone(self.database, template, first=first, count=count)

    async def load(
        self, first: int, in_flight: int, seconds: float
    ) -> tuple[int, float, list[float]]:
        """Host: `in_flight` at a time, each from the last confirmation to the credited hours.

        Returns how many were credited, in how many seconds, and how long each took.
        """
        took: list[float] = []
        numbers = iter(range(first, first + 10**9))
        start = time.monotonic()

        async def one_after_the_other() -> None:
            while time.monotonic() - start < seconds:
                began = time.monotonic()
                await self._transfer(exchange_id(next(numbers)))
                took.append(time.monotonic() - began)

        async with asyncio.timeout(seconds + WAIT_SECONDS_MAX):
            await asyncio.gather(*(one_after_the_other() for _ in range(in_flight)))
        return len(took), time.monotonic() - start, took

    async def _transfer(self, exchange_id: UUID) -> None:
        credited = self._loop.create_future()
        self._waiting[exchange_id] = credited
        confirm = partial(self._confirm, exchange_id=exchange_id, party="provider")
        await self.database.run(confirm, needs=[(VISITS, exchange_id)])
        await credited

    async def bare(self, times: int) -> tuple[float, float]:
        """What nobody can be faster than: median seconds of one fsync and of one empty call."""
        file = Path(make_url(self.member.url).database or "").with_suffix(".fsync")
        flushes = await asyncio.to_thread(_flushes, file, times)
        name = ("grpc.ssl_target_name_override", self.member.peer.certificate_name)
        credentials = channel_credentials(self.member.material)
        calls = []
        async with grpc.aio.secure_channel(
            self.member.peer.address, credentials, options=(name,)
        ) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            for _ in range(times):
                began = time.monotonic()
                await stub.Check(health_pb2.HealthCheckRequest(), timeout=WAIT_SECONDS_MAX)
                calls.append(time.monotonic() - began)
        return statistics.median(flushes), statistics.median(calls)

    async def cpu_seconds(self) -> float:
        """What this process has used of the processors so far."""
        return time.process_time()

    async def check(self) -> tuple[int, int, str]:
        """Entries in the books, what stands on the clearing account, and what is wrong."""
        with self.database.read() as session:
            audit = audit_ledger(session)
            entries = session.scalar(select(func.count()).select_from(ENTRY))
            cleared = session.scalar(select(ACCOUNT.c.balance).where(ACCOUNT.c.kind == "clearing"))
        return int(entries or 0), int(cleared or 0), audit.problem

    def _apply(
        self, session: Session, question: Envelope, answer: Envelope, sealed: Sealed
    ) -> None:
        self.answers.apply(session, question, answer, sealed)
        exchange_id = getattr(question.body, "exchange_id", None)
        if exchange_id is not None:
            self._applied.append(exchange_id)

    def _tell(self) -> None:
        """After a commit: whoever waits for what it brought may go on."""
        applied, self._applied = self._applied, []
        for one in applied:
            waiting = self._waiting.pop(one, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def _present(self, session: Session, *, exchange_id: UUID, code: str, provider: UUID) -> None:
        host.present_pass(
            session,
            self.clock,
            self.sealer,
            exchange_id=exchange_id,
            code=code,
            provider_id=provider,
            presented_by=None,
        )

    def _confirm(self, session: Session, *, exchange_id: UUID, party: str) -> None:
        host.confirm(session, self.clock, self.sealer, exchange_id=exchange_id, party=party)

    def _state(self, exchange_id: UUID) -> str:
        with self.database.read() as session:
            return session.get_one(Visit, exchange_id).state

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))


def _flushes(file: Path, times: int) -> list[float]:
    """How long one page written and flushed takes, on the disk that the books are on."""
    took = []
    with file.open("wb", buffering=0) as page:
        for _ in range(times):
            began = time.monotonic()
            page.write(bytes(PAGE_BYTES))
            os.fdatasync(page.fileno())
            took.append(time.monotonic() - began)
    file.unlink()
    return took


def become(member: Member, orders: Connection) -> None:
    """The whole life of a side's process: take orders until told to stop."""
    quiet = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=quiet)
    asyncio.run(_obey(member, orders))


async def _obey(member: Member, orders: Connection) -> None:
    side = Side(member)
    await side.start()
    memory.settle()
    orders.send(None)
    while (order := await asyncio.to_thread(_next, orders)) is not None:
        name, arguments = order
        try:
            orders.send(await getattr(side, name)(*arguments))
        except Exception as failure:
            orders.send(failure)
    await side.stop()


def _next(orders: Connection) -> tuple[str, tuple[Any, ...]] | None:
    try:
        order: tuple[str, tuple[Any, ...]] | None = orders.recv()
    except EOFError:  # the measuring process is gone
        return None
    return order
