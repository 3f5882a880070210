"""Reports over HTTP to a real node that is killed again and again: what it said yes to is there.

`python -m tests.node.acknowledged DIR --kills 20 --writes 50000` makes a node in DIR, lets sixteen
connections report repairs without pause, kills the process (SIGKILL) so many times, and counts the
acknowledged reports that the database does not have. It prints one JSON line.
"""

import argparse
import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select

from node import settings
from node.kernel.clock import SystemClock
from node.kernel.db import Database, open_engine
from node.kernel.ids import new_id
from node.repairs.model import ServiceRequest
from node.residents import service as residents
from node.residents.rules import Role
from tests.node.commands import make_node, serving_node

CONNECTIONS = 16
ANSWER_SECONDS = 10.0
PAUSE_SECONDS = 0.02
BODY = json.dumps({"title": "tap", "description": "drips", "location": "3-2-501"})


class Outcome(NamedTuple):
    """How it went; `lost` must be 0."""

    kills: int
    acknowledged: int
    lost: int
    seconds: float


@dataclass
class Load:
    """Connections that report without pause, and every report that was acknowledged."""

    port: int
    headers: dict[str, str]
    acknowledged: set[UUID] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """One connection's life: whatever ends it, it comes again until told to stop."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        while not self.stop.is_set():
            key = new_id()
            try:
                headers = self.headers | {"Idempotency-Key": str(key)}
                connection.request("POST", "/api/repairs", BODY, headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 201:
                    self.acknowledged.add(key)
            except (OSError, http.client.HTTPException):
                connection.close()
                time.sleep(PAUSE_SECONDS)
        connection.close()


def kill_and_count(directory: Path, *, kills: int, writes: int) -> Outcome:
    """Kill a node under load `kills` times, after so many writes in all; count what is lost."""
    began = time.monotonic()
    make_node(directory)
    headers = {"Content-Type": "application/json", **_caller(directory)}
    with serving_node(directory, is_clerk=False) as served:
        load = Load(int(served.ready["http"].rpartition(":")[2]), headers)
        with _running(load):
            for number in range(1, kills + 1):
                _wait_for(load, writes * number // kills)
                served.kill()
                served.start()
    acknowledged = set(load.acknowledged)
    lost = acknowledged - stored(directory)
    return Outcome(kills, len(acknowledged), len(lost), round(time.monotonic() - began, 1))


@contextmanager
def _running(load: Load) -> Iterator[None]:
    threads = [threading.Thread(target=load.run, daemon=True) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        load.stop.set()
        for thread in threads:
            thread.join(2 * ANSWER_SECONDS)


def _wait_for(load: Load, count: int) -> None:
    while len(load.acknowledged) < count:
        time.sleep(PAUSE_SECONDS)


def _caller(directory: Path) -> dict[str, str]:
    """A clerk's program, acting for a resident."""
    made, clock, resident_id = settings.load(directory), SystemClock(), new_id()
    database = Database(made.database_url, clock=clock)
    try:
        database.do(
            lambda session: residents.join(
                session, clock, resident_id=resident_id, name="Lin", phone="13900001111"
            )
        )
        secret = database.do(
            lambda session: residents.issue_token(
                session, clock, token_id=new_id(), role=Role.CLERK
            )
        )
    finally:
        database.close()
    return {"Authorization": f"Bearer {secret}", "X-Acting-For": str(resident_id)}


def stored(directory: Path) -> set[UUID]:
    engine = open_engine(settings.load(directory).database_url, read_only=True)
    with engine.connect() as connection:
        found = set(connection.scalars(select(ServiceRequest.key)))
    engine.dispose()
    return found


def main() -> int:
    """The long run, from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--writes", type=int, default=50_000)
    asked = parser.parse_args()
    outcome = kill_and_count(asked.directory, kills=asked.kills, writes=asked.writes)
    sys.stdout.write(json.dumps(outcome._asdict()) + "\n")
    return 1 if outcome.lost else 0


if __name__ == "__main__":
    sys.exit(main())
