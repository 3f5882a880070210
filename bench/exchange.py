"""Cross-community transfers, end to end: two node processes, mTLS, signatures, hash chains.

A transfer is the part of a redemption that moves the minutes, from the last confirmation at the
host's desk to the volunteer's credit: the host signs and stores its question (1st commit), home
checks it, captures the hold, extends its chain and signs a receipt (2nd commit), the host checks
the receipt, captures its own hold, extends its chain and keeps the proof (3rd commit); one message
each way. Before it lie the pass and its presentation: another message each way, moving nothing.
"""

import multiprocessing
import socket
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.books import RESIDENTS, Template, resident
from bench.district import HOME, HOST, Member, found
from bench.figures import Figure, against
from bench.postgres import Postgres
from bench.side import TEMPLATE, become

STOP_SECONDS_MAX = 20
RATE_MAX = 6_000  # transfers a second that exchanges are kept ready for
WARM_MAX = 3_000
BARE_TIMES = 300
COMMITS = 3
FEW_ENTRIES = 1_000


@dataclass
class Process:
    """A side as the measuring process sees it."""

    orders: Connection
    process: Any

    def ask(self, name: str, *arguments: Any) -> Any:
        """Give an order and wait for what comes of it."""
        self.orders.send((name, arguments))
        return self._answer()

    def _answer(self) -> Any:
        answer = self.orders.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self) -> None:
        self.orders.send(None)
        self.process.join(STOP_SECONDS_MAX)
        self.process.kill()


@dataclass
class Pair:
    """Home and host, with exchanges ready to be confirmed."""

    home: Process
    host: Process
    ready: int = 0
    used: int = 0
    credited: int = field(default=0)

    def prepare(self, history: int) -> None:
        """Residents, history, and one exchange that the others are copied from."""
        for side in (self.home, self.host):
            side.ask("residents", RESIDENTS)
            side.ask("history", history)
        code = self.home.ask("issue", resident(0))
        self.host.ask("help", code, resident(0))

    def more(self, count: int) -> None:
        """Have `count` exchanges ready."""
        missing = self.used + count - self.ready
        if missing > 0:
            self.home.ask("clone", Template(True, TEMPLATE), self.ready, missing)
            self.host.ask("clone", Template(False, TEMPLATE), self.ready, missing)
            self.ready += missing

    def transfers(self, *, in_flight: int, seconds: float, at_most: int) -> "Load":
        """Transfers for `seconds`, `in_flight` at a time."""
        self.more(at_most)
        before = self._cpu_seconds()
        done, took, latencies = self.host.ask("load", self.used, in_flight, seconds)
        used = self._cpu_seconds() - before
        self.used += done
        self.credited += done
        assert done <= at_most, "the exchanges that were ready have run out"
        return Load(done / took, statistics.median(latencies) * 1000, used / done * 1e6)

    def _cpu_seconds(self) -> float:
        return sum(float(side.ask("cpu_seconds")) for side in (self.home, self.host))

    def check(self) -> None:
        """Both books are whole and mirror each other."""
        (_, owed, wrong_home), (_, due, wrong_host) = (
            side.ask("check") for side in (self.home, self.host)
        )
        assert not wrong_home, wrong_home
        assert not wrong_host, wrong_host
        assert owed == -due == self.credited * 60, (owed, due, self.credited)


@dataclass(frozen=True)
class Load:
    """What one load gave."""

    per_second: float
    p50_ms: float
    cpu_us: float  # of both processes together, for one transfer


@contextmanager
def pair(urls: dict[str, str], *, history: int = 0) -> Iterator[Pair]:
    """Two fresh node processes on these databases; checked and stopped at the end."""
    addresses = {name: f"127.0.0.1:{port}" for name, port in zip(urls, _free_ports(2), strict=True)}
    members = found(urls, addresses)
    with ExitStack() as stack:
        sides = {}
        for name, member in members.items():
            sides[name] = _start(member)
            stack.callback(sides[name].stop)
        both = Pair(sides[HOME], sides[HOST])
        both.prepare(history)
        yield both
        both.check()


def sqlite_urls(folder: Path) -> dict[str, str]:
    """Two new files."""
    folder.mkdir(parents=True, exist_ok=True)
    return {name: f"sqlite:///{folder / name}.sqlite" for name in (HOME, HOST)}


def _start(member: Member) -> Process:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=become, args=(member, theirs), daemon=True)
    process.start()
    started = Process(ours, process)
    started._answer()
    return started


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def against_pgbench(server: Postgres, folder: Path, *, seconds: float, rounds: int) -> list[Figure]:
    """SQLite with 64 and 256 in flight, and both on PostgreSQL, each round beside pgbench."""
    server.fill()
    for name in (HOME, HOST):
        server.create(name)
    on_postgres = {name: server.url(name) for name in (HOME, HOST)}
    loads: dict[tuple[str, int], list[tuple[Load, float]]] = {}
    with pair(sqlite_urls(folder / "files")) as files, pair(on_postgres) as servers:
        for both in (files, servers):  # warm: channels, caches, compiled statements
            both.transfers(in_flight=64, seconds=0.5, at_most=WARM_MAX)
        for _ in range(rounds):
            theirs = server.tps(seconds)
            for store, both in (("SQLite FULL", files), ("PostgreSQL", servers)):
                for in_flight in (64, 256):
                    at_most = round(RATE_MAX * seconds)
                    load = both.transfers(in_flight=in_flight, seconds=seconds, at_most=at_most)
                    loads.setdefault((store, in_flight), []).append((load, theirs))
    bars = {
        ("SQLite FULL", 64): (3, 6),
        ("SQLite FULL", 256): (5, 10),
        ("PostgreSQL", 64): (1, 3),
        ("PostgreSQL", 256): (1, 3),
    }
    figures = []
    for (store, in_flight), rounds_of in loads.items():
        figure = against(
            f"transfers/s, {store}, {in_flight} in flight / pgbench tps",
            [(load.per_second, theirs) for load, theirs in rounds_of],
            must=bars[store, in_flight][0],
            aim=bars[store, in_flight][1],
            labels=("transfers/s", "pgbench tps"),
        )
        # What other work on the machine changes least: processor time of both nodes together.
        used = {"cpu us a transfer": statistics.median(load.cpu_us for load, _ in rounds_of)}
        figures.append(replace(figure, parts=figure.parts | used))
    return figures


def alone(folder: Path, *, seconds: float, rounds: int) -> Figure:
    """One transfer at a time, against its three commits and its one call measured bare."""
    pairs = []
    with pair(sqlite_urls(folder / "alone")) as both:
        both.transfers(in_flight=1, seconds=0.5, at_most=WARM_MAX)
        for _ in range(rounds):
            load = both.transfers(in_flight=1, seconds=seconds, at_most=round(1_000 * seconds))
            flush, call = both.host.ask("bare", BARE_TIMES)
            pairs.append((load.p50_ms, (COMMITS * flush + call) * 1000))
    return against(
        "one transfer alone, p50 / (3 fsyncs + 1 call, bare)",
        pairs,
        must=3,
        aim=1.5,
        labels=("p50 ms", "bare ms"),
        is_lower_better=True,
    )


def growth(folder: Path, *, entries: int, seconds: float, rounds: int) -> Figure:
    """Transfers a second over long books against short ones."""
    few, many = folder / "few", folder / "many"
    pairs = []
    with (
        pair(sqlite_urls(few), history=FEW_ENTRIES) as short,
        pair(sqlite_urls(many), history=entries) as long,
    ):
        for both in (short, long):
            both.transfers(in_flight=64, seconds=0.5, at_most=WARM_MAX)
        for _ in range(rounds):
            at_most = round(RATE_MAX * seconds)
            rates = [
                both.transfers(in_flight=64, seconds=seconds, at_most=at_most).per_second
                for both in (long, short)
            ]
            pairs.append((rates[0], rates[1]))
    return against(
        f"transfers/s with {entries:,} entries in the books / with {FEW_ENTRIES:,}",
        pairs,
        must=0.8,
        aim=0.95,
        labels=("long", "short"),
    )
