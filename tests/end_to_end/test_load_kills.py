"""SIGKILL to either node at any moment under load: no exchange is lost, none is doubled.

Method: two real nodes, on SQLite and on PostgreSQL. Residents of both help, call off and give
without a pause; every round, one node (now and then both) is killed at a moment drawn from the
seed, and started again. In the end all that anybody was told is looked up in both books, and the
books are compared with each other, with what was told, and with what their own audit says.

`.ci/run` plays a few rounds. The whole proof, 100 rounds on each database:

    LINLI_KILL_ROUNDS=100 LINLI_TEST_POSTGRES=postgresql+psycopg://USER@HOST/DATABASE \\
        .venv/bin/python -m pytest -q -s -m "processes or postgres" -k under_load tests/end_to_end
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import create_engine, text

from simulation import visits
from simulation.house import House
from simulation.processes import until
from simulation.visits import Guest, Visit
from tests.conftest import new_postgres_database
from tests.end_to_end.district import STEP, Founded, found

ROUNDS = int(os.environ.get("LINLI_KILL_ROUNDS", "3"))
SEED = int(os.environ.get("LINLI_KILL_SEED", "1"))
WORKERS = 24
BOTH_DIE = 0.15  # of the rounds
UP_SECONDS_MAX, DOWN_SECONDS_MAX = 1.5, 0.5
DRAIN_SECONDS_MAX = 120.0
STATE_SECONDS_MAX = 600.0  # a question is tried once a minute: it may find nobody home many times
MINUTES_MAX = 3  # of one exchange: many of them have to fit
LIMIT_MINUTES = 1_000_000
SETTINGS: dict[str, int | float] = {
    "credit_limit_minutes": LIMIT_MINUTES,
    "peer_limit_minutes": LIMIT_MINUTES,
    "debt_limit_minutes": LIMIT_MINUTES,
}
RECEIPTS = "SELECT exchange_id, kind, is_debt, minutes FROM receipt"
ACCOUNTS = "SELECT kind, owner, balance, held FROM account WHERE unit = 'minutes'"
WAITING = "SELECT count(*) FROM outbox_message WHERE state = 'waiting'"

Books = dict[str, Any]


@dataclass
class Told:
    """What was answered to those who asked: exchange or gift, who owes whom, minutes."""

    paid: dict[UUID, tuple[str, str, int]] = field(default_factory=dict)
    released: set[UUID] = field(default_factory=set)

    def owed(self, debtor: str) -> int:
        return sum(minutes for one, _, minutes in self.paid.values() if one == debtor)


@dataclass
class Life:
    """A district in which everybody is busy until it ends."""

    founded: Founded
    codes: list[str]  # of the volunteer of each house, for gifts
    told: Told = field(default_factory=Told)
    is_over: bool = False

    async def work(self, dice: random.Random) -> None:
        """One errand after the other."""
        while not self.is_over:
            home, host = dice.sample((0, 1), 2)
            minutes = dice.randint(1, MINUTES_MAX)
            if dice.random() < 0.25:
                await self._give(home, host, minutes=minutes)
            else:
                await self._help(home, host, minutes=minutes, is_called_off=dice.random() < 0.2)

    async def _help(self, home: int, host: int, *, minutes: int, is_called_off: bool) -> None:
        houses, people = self.founded.district.houses, self.founded.people
        guest = Guest(
            houses[home], people[home].elder, houses[host], people[host].volunteer, MINUTES_MAX
        )
        issued = await visits.issue(guest, step=STEP)
        await visits.present(issued, step=STEP)
        await self._until(issued, "accepted")
        if is_called_off:
            await guest.host.post(f"/api/visits/{issued.exchange_id}/release", step=STEP)
            self.told.released.add(issued.exchange_id)
            return
        await visits.deliver(issued, minutes=minutes, step=STEP)
        for party in ("elder", "provider"):
            await visits.confirm(issued, by=party, step=STEP)
        await self._until(issued, "captured")
        self.told.paid[issued.exchange_id] = (guest.home.id, guest.host.id, minutes)

    async def _until(self, issued: Visit, state: str) -> None:
        async def look() -> bool | None:
            found = await visits.visit_at_host(issued, step=STEP)
            assert found["state"] not in visits.VISIT_ENDED - {state}, found
            return found["state"] == state or None

        await until(
            look,
            what=f"a visit is not {state}",
            step=STEP,
            log=issued.guest.host.child.log,
            timeout_seconds=STATE_SECONDS_MAX,
        )

    async def _give(self, home: int, host: int, *, minutes: int) -> None:
        houses, people = self.founded.district.houses, self.founded.people
        gift_id, giver = uuid4(), people[home].elder
        body = {"resident_id": giver, "code": self.codes[host], "minutes": minutes}
        await houses[home].post(
            "/api/gifts",
            body | {"consent": "in_person"},
            acting_for=giver,
            key=gift_id,
            step=STEP,
        )

        async def look() -> bool | None:
            found = await houses[home].get(f"/api/gifts/{gift_id}", step=STEP)
            assert found["state"] in ("sent", "accepted"), found
            return found["state"] == "accepted" or None

        await until(
            look,
            what="a gift is not accepted",
            step=STEP,
            log=houses[home].child.log,
            timeout_seconds=STATE_SECONDS_MAX,
        )
        self.told.paid[gift_id] = (houses[home].id, houses[host].id, minutes)


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.processes),
        pytest.param("postgres", marks=pytest.mark.postgres),
    ]
)
def databases(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """A database for each house; nothing said means a file in its own folder."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield {}
        else:
            yield {name: stack.enter_context(new_postgres_database()) for name in ("cedar", "elm")}


def test_nothing_is_lost_or_doubled_under_load(databases: dict[str, str], tmp_path: Path) -> None:
    asyncio.run(live(tmp_path, databases))


async def live(home: Path, databases: dict[str, str]) -> None:
    founded = await found(
        home, ("cedar", "elm"), has_training=False, node_settings=SETTINGS, databases=databases
    )
    try:
        houses = founded.district.houses
        codes = [
            await hand_out_code(house, people.volunteer)
            for house, people in zip(houses, founded.people, strict=True)
        ]
        life = Life(founded, codes)
        await play(life)
        await until_drained(houses)
        await check(life)
        deaths = sum(house.child.starts - 1 for house in houses)
        kinds = f"{len(life.told.paid)} paid, {len(life.told.released)} called off"
        print(f"{ROUNDS} rounds, {deaths} kill -9, {kinds}, nothing lost or doubled")  # noqa: T201
    finally:
        await founded.closing.aclose()


async def hand_out_code(house: House, volunteer: str) -> str:
    answer = await house.post("/api/gift-codes", {}, acting_for=volunteer, step=STEP)
    return str(answer["code"])


async def play(life: Life) -> None:
    """All rounds, with everybody at work."""
    async with asyncio.TaskGroup() as group:
        for number in range(WORKERS):
            group.create_task(life.work(random.Random(f"{SEED}/worker/{number}")))  # noqa: S311
        for number in range(ROUNDS):
            await kill(life.founded.district.houses, random.Random(f"{SEED}/round/{number}"))  # noqa: S311
        life.is_over = True


async def kill(houses: list[House], dice: random.Random) -> None:
    """One node, or both at the same moment."""
    victims = houses if dice.random() < BOTH_DIE else [dice.choice(houses)]
    await asyncio.sleep(dice.uniform(0, UP_SECONDS_MAX))
    await asyncio.gather(*(house.child.kill() for house in victims))
    await asyncio.sleep(dice.uniform(0, DOWN_SECONDS_MAX))
    await asyncio.gather(*(house.child.start(step=STEP) for house in victims))


async def until_drained(houses: list[House]) -> None:
    """Wait until no message waits for an answer."""

    async def look() -> bool | None:
        waiting = [query(house, WAITING)[0][0] for house in houses]
        return not any(waiting) or None

    await until(
        look,
        what="messages wait for ever",
        step=STEP,
        log=houses[0].child.log,
        timeout_seconds=DRAIN_SECONDS_MAX,
    )


async def check(life: Life) -> None:
    """Both books say what everybody was told, and no more."""
    houses, told = life.founded.district.houses, life.told
    assert told.paid, "nobody did anything"
    for house, other, people in zip(houses, houses[::-1], life.founded.people, strict=True):
        audit = await house.node("audit", "--json", step=STEP)
        assert audit["ok"], audit
        accounts = query(house, ACCOUNTS)
        assert sum(balance for _, _, balance, _ in accounts) == 0
        assert sum(held for _, _, _, held in accounts) == 0
        owed, due = told.owed(house.id), told.owed(other.id)
        balances = {owner: balance for _, owner, balance, _ in accounts}
        assert balances[people.elder] == -owed
        assert balances[people.volunteer] == due
        assert balances[other.id] == owed - due
        check_receipts(house, told)
        ended = states(house, "visit") + states(house, "pass") + states(house, "gift")
        assert set(ended) <= {"captured", "released", "accepted", "received"}, ended


def check_receipts(house: House, told: Told) -> None:
    """Each payment stands there once, with its minutes and on its side."""
    rows = query(house, RECEIPTS)
    found = {as_uuid(row[0]): (bool(row[2]), int(row[3])) for row in rows}
    assert len(rows) == len(found)
    assert found == {
        paid: (debtor == house.id, minutes) for paid, (debtor, _, minutes) in told.paid.items()
    }
    assert not found.keys() & told.released


def states(house: House, table: str) -> Counter[str]:
    return Counter(row[0] for row in query(house, f"SELECT state FROM {table}"))  # noqa: S608 (ours)


def query(house: House, statement: str) -> list[tuple[Any, ...]]:
    """Straight from the database, as anyone with access to it reads it."""
    engine = create_engine(house.database or f"sqlite:///{house.directory / 'node.sqlite'}")
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]
    finally:
        engine.dispose()


def as_uuid(value: object) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))
