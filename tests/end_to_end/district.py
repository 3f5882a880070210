"""Small districts of real processes for tests: one event loop, the same people, plain books."""

import sqlite3
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from simulation import everyday
from simulation.district import District
from simulation.everyday import People
from simulation.house import House
from simulation.processes import ProcessTree

PINS = ("720461", "739105")
STEP = "test"


@dataclass
class Founded:
    """A district in which everybody is a member and has residents."""

    district: District
    people: list[People]
    closing: AsyncExitStack


async def found(
    home: Path,
    names: Sequence[str],
    *,
    has_training: bool,
    node_settings: dict[str, int | float] | None = None,
    databases: dict[str, str] | None = None,
) -> Founded:
    """Start everything; close it again by `closing.aclose()`, also after a failure in here."""
    async with AsyncExitStack() as stack:
        tree = await stack.enter_async_context(ProcessTree(home))
        district = District(
            tree,
            names,
            has_training=has_training,
            node_settings=node_settings,
            databases=databases,
        )
        stack.push_async_callback(district.close)
        await district.start_chain(step=STEP)
        await district.enrol(step=STEP)
        await district.numbers(step=STEP)
        people = [
            await everyday.welcome(house, number=number, pins=PINS, step=STEP)
            for number, house in enumerate(district.houses, start=1)
        ]
        return Founded(district, people, stack.pop_all())


def minutes_accounts(house: House) -> list[tuple[str, str, int, int]]:
    """Kind, owner, balance and held minutes of every account, straight from the file."""
    path = house.directory / "node.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        found = database.execute(
            "SELECT kind, owner, balance, held FROM account WHERE unit = 'minutes'"
        ).fetchall()
    return [
        (str(kind), str(owner), int(balance), int(held)) for kind, owner, balance, held in found
    ]
