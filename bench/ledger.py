"""Ledger postings against the seed's points class, at its own game: add points, durably."""

import asyncio
import importlib
import os
import random
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

import node.tables  # noqa: F401 (every table, so that all of them are made)
from bench.figures import Figure, Skipped, against
from node.kernel import memory
from node.kernel.clock import SystemClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.ids import derived_id, new_id
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.model import Unit

RESIDENTS = 10_000
POINTS = 10
IN_FLIGHT = 256
NAME = "ledger postings/s, hash chain / seed's add_points, durable"
LABELS = ("ours", "seed")
ISSUE = "issue"
SEED_VARIABLE = "LINLI_ANCHORS"  # the folder with the seed's classes


def measure(*, seconds: float, rounds: int) -> Figure | Skipped:
    """Postings a second (two for each award) and the seed's postings a second, in turns."""
    seed_class = _seed_class()
    if seed_class is None:
        return Skipped(NAME, f"seed_points.py ({SEED_VARIABLE} names its folder)")
    with tempfile.TemporaryDirectory(prefix="linli-bench-") as name:
        folder = Path(name)
        seed, ours = _seed_books(seed_class, folder), _our_books(folder)
        memory.settle()  # as a serving process does
        pairs = []
        for _ in range(rounds):
            pairs.append((_our_rate(ours, seconds), _seed_rate(seed, seconds)))
        with ours.read() as session:
            problem = audit_ledger(session).problem
        assert not problem, problem
        ours.close()
        seed.close()
    return against(NAME, pairs, must=20, aim=80, labels=LABELS)


def _seed_class() -> Any:
    named = os.environ.get(SEED_VARIABLE)
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "anchors"
    if not (folder / "seed_points.py").exists():
        return None
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("seed_points").CommunityPointsSystem
    finally:
        sys.path.remove(str(folder))


def _seed_books(seed_class: Any, folder: Path) -> Any:
    books = seed_class(str(folder / "seed.sqlite"))
    people = [(f"resident {number}", f"1{number:010}") for number in range(RESIDENTS)]
    books.conn.executemany("INSERT INTO residents (name, phone) VALUES (?, ?)", people)
    books.conn.commit()
    return books


def _seed_rate(books: Any, seconds: float) -> float:
    """One award is one posting there: a line in the history, and the resident's points."""
    chance, done, start = random.Random(7), 0, time.monotonic()  # noqa: S311 (dice)
    while time.monotonic() - start < seconds:
        books.add_points(1 + chance.randrange(RESIDENTS), "sorting", POINTS, "helped")
        done += 1
    return done / (time.monotonic() - start)


def _our_books(folder: Path) -> Database:
    url = f"sqlite:///{folder / 'ours.sqlite'}"
    engine = open_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    database = Database(url, clock=SystemClock())
    database.do(_open_accounts)
    return database


def _open_accounts(session: Session) -> None:
    owners = [(_account(number), "resident", str(number), 0) for number in range(RESIDENTS)]
    house = (ledger.house_account(ISSUE, Unit.POINTS), "house", ISSUE, -(10**12))
    for account_id, kind, owner, floor in (*owners, house):
        ledger.open_account(
            session, account_id=account_id, unit=Unit.POINTS, kind=kind, owner=owner, floor=floor
        )


def _account(number: int) -> UUID:
    return derived_id("bench points", number)


def _our_rate(database: Database, seconds: float) -> float:
    """Awards, each an entry on the chain with two postings; one award counts as one here too."""
    return asyncio.run(_load(database, seconds))


async def _load(database: Database, seconds: float) -> float:
    chance, clock, done = random.Random(7), SystemClock(), 0  # noqa: S311 (dice)
    start = time.monotonic()

    def award(session: Session, *, entry_id: UUID, number: int) -> None:
        ledger.transfer(
            session,
            clock,
            entry_id=entry_id,
            payer_id=ledger.house_account(ISSUE, Unit.POINTS),
            payee_id=_account(number),
            amount=POINTS,
            reason="repair_award",
        )

    async def one_after_the_other() -> None:
        nonlocal done
        while time.monotonic() - start < seconds:
            number = chance.randrange(RESIDENTS)
            await database.run(partial(award, entry_id=new_id(), number=number))
            done += 1

    await asyncio.gather(*(one_after_the_other() for _ in range(IN_FLIGHT)))
    return done / (time.monotonic() - start)
