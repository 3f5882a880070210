"""The repairs API against the Express sample of the original document, both over HTTP.

Ours is the real node (`linli-node serve`): authenticated, SQLite with synchronous=FULL, answering a
POST after its commit. Theirs is the sample as it stands, but for its port and the rows it begins
with: in memory, without authentication. Needs node and npm; express is installed in a temporary
folder. Its text is read from the folder that LINLI_ANCHORS names.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from bench.figures import Figure, Skipped, against
from bench.repairs_load import Load, load, pages, request
from node import migrations, settings
from node.kernel.clock import SystemClock
from node.kernel.db import Database
from node.kernel.ids import new_id
from node.repairs import service
from node.repairs.kept import SERVICE_REQUEST
from node.residents import service as residents
from node.residents.rules import Role

CONNECTIONS = 16
REPORTERS = 100
PAGES = 20
READY_SECONDS_MAX = 60.0
SAMPLE = "seed_repairs.js"
EXPRESS = "express@5.3.0"
STATUSES = ("pending", "processing", "completed")
LABELS = ("ours", "express")
REPORT = {
    "title": "电梯停了",
    "description": "七号楼电梯从中午起不动，老人上不了楼。",
    "location": "7-2-301",
    "contact": "13900000000",
}


@dataclass(frozen=True)
class Server:
    """One of the two, as a process of its own."""

    port: int
    pid: int

    def processor_seconds(self) -> float:
        """What all its threads have used so far."""
        words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """One load on one server, and what an answer cost it."""

    load: Load
    processor_us: float


def figures(
    folder: Path, *, seconds: float, rounds: int, tickets: int = 1_000_000
) -> Sequence[Figure | Skipped]:
    """Reads at 200,000 and 10,000 tickets, reports, and our own reads as the table grows."""
    found: list[Figure | Skipped] = []
    sample = _sample()
    if sample is None or shutil.which("node") is None or shutil.which("npm") is None:
        found.append(Skipped("GET and POST /api/repairs / Express", f"node, npm and {SAMPLE}"))
    else:
        script = _express(folder / "express", sample)
        found += _reads(folder, script, seconds=seconds, rounds=rounds)
        found += _reports(folder, script, seconds=seconds, rounds=rounds)
    found.append(_growth(folder, tickets=tickets, seconds=seconds, rounds=rounds))
    return found


def _reads(folder: Path, script: Path, *, seconds: float, rounds: int) -> list[Figure]:
    found = []
    for count, must, aim in ((200_000, 20, 50), (10_000, 0.7, 1.5)):
        with ExitStack() as stack:
            ours, token = stack.enter_context(_node(folder / f"reads-{count}", count))
            theirs = stack.enter_context(_process(_node_js(script, count)))
            runs = [
                (_get(ours, token, seconds), _get(theirs, None, seconds)) for _ in range(rounds)
            ]
        name = f"GET /api/repairs page, {count:,} tickets, rps / Express"
        found.append(_rates(name, runs, must=must, aim=aim, labels=LABELS))
    return found


def _reports(folder: Path, script: Path, *, seconds: float, rounds: int) -> list[Figure]:
    with ExitStack() as stack:
        ours, _token = stack.enter_context(_node(folder / "reports", 10_000))
        theirs = stack.enter_context(_process(_node_js(script, 10_000)))
        secrets = json.loads((folder / "reports" / "reporters.json").read_text())
        runs = [
            (_post(ours, secrets, seconds), _post(theirs, None, seconds)) for _ in range(rounds)
        ]
    name = "durable authenticated POST /api/repairs"
    waits = [(one.load.p99_ms, other.load.p99_ms) for one, other in runs]
    return [
        _rates(f"{name} rps / Express in memory", runs, must=0.6, aim=1.2, labels=LABELS),
        against(
            f"{name} p99 / Express's",
            waits,
            must=1.5,
            aim=0.6,
            labels=LABELS,
            is_lower_better=True,
        ),
    ]


def _growth(folder: Path, *, tickets: int, seconds: float, rounds: int) -> Figure:
    with ExitStack() as stack:
        many, many_token = stack.enter_context(_node(folder / "many", tickets))
        few, few_token = stack.enter_context(_node(folder / "few", 1_000))
        runs = [
            (_get(many, many_token, seconds), _get(few, few_token, seconds)) for _ in range(rounds)
        ]
    name = f"GET /api/repairs page, rps at {tickets:,} tickets / at 1,000"
    return _rates(name, runs, must=0.8, aim=0.95, labels=("many", "few"))


def _rates(
    name: str,
    runs: Sequence[tuple[Run, Run]],
    *,
    must: float,
    aim: float,
    labels: tuple[str, str],
) -> Figure:
    """Answers a second; beside them what one cost in processor time, which load changes less."""
    pairs = [(one.load.rate, other.load.rate) for one, other in runs]
    figure = against(name, pairs, must=must, aim=aim, labels=labels)
    costs = {
        f"{label} us": statistics.median(pair[side].processor_us for pair in runs)
        for side, label in enumerate(labels)
    }
    return replace(figure, parts=figure.parts | costs)


def _run(server: Server, make: Callable[[int], bytes], *, seconds: float, status: int) -> Run:
    before = server.processor_seconds()
    found = load(server.port, make, connections=CONNECTIONS, seconds=seconds, status=status)
    spent = server.processor_seconds() - before
    return Run(found, 1e6 * spent / (found.rate * seconds))


def _get(server: Server, token: str | None, seconds: float) -> Run:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    asked = [
        request("GET", f"/api/repairs?page={page}&limit=10&status={status}", headers=headers)
        for page in pages(PAGES)
        for status in STATUSES
    ]
    return _run(server, lambda number: asked[number % len(asked)], seconds=seconds, status=200)


def _post(server: Server, secrets: Sequence[str] | None, seconds: float) -> Run:
    """Each report under a key of its own; ours says who reports, theirs does not ask."""
    run = f"{new_id()}"[:23]
    mark = "f" * 12
    made = []
    for secret in secrets or [""]:
        named = {"Authorization": f"Bearer {secret}", "Idempotency-Key": f"{run}-{mark}"}
        headers = named if secrets else {}
        made.append(request("POST", "/api/repairs", headers=headers, body=REPORT))
    split = [one.partition(mark.encode()) for one in made]

    def make(number: int) -> bytes:
        before, found, after = split[number % len(split)]
        return before + (b"%012x" % number if found else b"") + after

    return _run(server, make, seconds=seconds, status=201)


@contextmanager
def _node(directory: Path, count: int) -> Iterator[tuple[Server, str]]:
    """A serving node with so many requests in it, and a staff program's token."""
    made = settings.create(directory, name="Bench", database="")
    migrations.migrate(made.database_url)
    database = Database(made.database_url, clock=SystemClock())
    token, secrets = database.do(lambda session: _people(session, count))
    database.close()
    (directory / "reporters.json").write_text(json.dumps(secrets))
    port = _free_port()
    command = [
        *(str(Path(sys.executable).parent / "linli-node"), "serve", str(directory)),
        *("--http", f"127.0.0.1:{port}", "--peer", f"127.0.0.1:{_free_port()}"),
    ]
    with _process((command, {}, port)) as server:
        yield server, token


def _people(session: Session, count: int) -> tuple[str, list[str]]:
    """Reporters who are signed in, a staff token, and `count` requests, a third at each status."""
    clock, secrets, first = SystemClock(), [], new_id()
    for number in range(REPORTERS):
        resident_id = first if number == 0 else new_id()
        phone = f"139{number:08}"
        residents.join(
            session, clock, resident_id=resident_id, name=f"R{number}", phone=phone, building="7"
        )
        secret = residents.sign_in(
            session, clock, token_id=new_id(), phone=phone, resident_id=resident_id
        )
        assert secret is not None
        secrets.append(secret)
    service.report(
        session,
        clock,
        key=new_id(),
        reporter_id=first,
        recorded_by="bench",
        title=REPORT["title"],
        description=REPORT["description"],
        location=REPORT["location"],
        contact=REPORT["contact"],
    )
    session.flush()
    session.execute(text(_copies(count - 1)))
    session.execute(
        text("UPDATE repair_counter SET value = :n WHERE name = 'number'"), {"n": count}
    )
    session.execute(text("DELETE FROM request_total"))
    session.execute(
        text(
            "INSERT INTO request_total (status, total) "
            "SELECT status, count(*) FROM service_request GROUP BY status"
        )
    )
    token = residents.issue_token(session, clock, token_id=new_id(), role=Role.PROPERTY)
    return token, secrets


def _copies(count: int) -> str:
    names = [one.name for one in SERVICE_REQUEST.columns if one.name not in ("id", "key", "status")]
    columns = ", ".join(names)
    status = "CASE n % 3 WHEN 0 THEN 'pending' WHEN 1 THEN 'processing' ELSE 'completed' END"
    return f"""
        WITH RECURSIVE numbers(n) AS
            (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
        INSERT INTO service_request (id, key, status, {columns})
        SELECT n + 1, printf('%032x', n), {status}, {columns}
        FROM numbers, (SELECT {columns} FROM service_request WHERE id = 1)
    """  # noqa: S608 (our own names)


def _sample() -> str | None:
    named = os.environ.get("LINLI_ANCHORS")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "anchors"
    file = folder / SAMPLE
    return file.read_text(encoding="utf-8") if file.exists() else None


def _express(folder: Path, sample: str) -> Path:
    """The sample with its framework; its port and its first rows come from the environment."""
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}')
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", EXPRESS]
    subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=300)  # noqa: S603
    rows = (
        "for (; repairId <= Number(process.env.ROWS); repairId++) repairs.push({ id: repairId, "
        f"...{json.dumps(REPORT, ensure_ascii=False)}, "
        f"status: {json.dumps(STATUSES)}[repairId % 3], "
        "createdAt: new Date(), updatedAt: new Date() });\n"
    )
    changed = sample.replace("const port = 3000;", "const port = Number(process.env.PORT);")
    changed = changed.replace("let repairId = 1;\n", f"let repairId = 1;\n{rows}")
    assert changed.count("process.env") == 2, "the sample is another one than it was"
    script = folder / "server.js"
    script.write_text(changed, encoding="utf-8")
    return script


Start = tuple[list[str], dict[str, str], int]  # command, environment, port


def _node_js(script: Path, count: int) -> Start:
    port = _free_port()
    environment = {"PORT": str(port), "ROWS": str(count), "NODE_ENV": "production"}
    return ["node", str(script)], environment, port


@contextmanager
def _process(start: Start) -> Iterator[Server]:
    """A server as a process of its own, which ends with the block."""
    command, environment, port = start
    process = subprocess.Popen(  # noqa: S603
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(process, port)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(process: Any, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, "a server ended before it was ready"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("a server was not ready in time")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
