"""The office is killed outright in the middle of a round, and started again: one batch, once.

Method: `linli-district serve` as its own process, nodes and devchain in this one. SIGKILL after a
delay drawn from the seed (it is in the test's name), restart, wait for the round's end.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.client import SettlementChain
from coordinator import settlement
from coordinator.app import open_database
from coordinator.authority import load_authority
from coordinator.deploying import deploy
from coordinator.rules import RoundState
from coordinator.settings import Place, read_office
from node.kernel.clock import SystemClock
from node.kernel.files import write_file
from tests.contracts.district import CHAIN_ID, OFFICE_KEY, LocalChain
from tests.coordinator.bookkeeper import (
    COMMUNITIES,
    Bookkeeper,
    are_on_chain,
    balances,
    both_signed,
    ended,
    keeping,
    open_round,
)
from tests.coordinator.serving import ServedOffice, until

START_TIMEOUT_SECONDS = 60.0
PROGRAM = (sys.executable, "-m", "coordinator.cli")

pytestmark = pytest.mark.processes


class OfficeProcess:
    """`linli-district serve`, to be killed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ports = ["--enrol", "--member", "--http"]
        self._process: Process | None = None

    async def start(self, *, first: bool) -> None:
        """Free ports the first time, the remembered ones after that."""
        where = [word for port in self._ports for word in (port, "127.0.0.1:0")] if first else []
        self._process = await asyncio.create_subprocess_exec(
            *PROGRAM, "serve", str(self._directory), "--superlink", "none", *where,
            stdout=PIPE, stderr=DEVNULL,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), START_TIMEOUT_SECONDS)
        assert json.loads(line)["ready"] is True

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_office_settles_once(tmp_path: Path, seed: int) -> None:
    with LocalChain(tmp_path / "chain.sqlite") as local:
        local.clock.seconds = time.time()
        asyncio.run(_kill_and_settle(tmp_path, local.url, random.Random(seed)))  # noqa: S311 (seeded)


async def _kill_and_settle(folder: Path, url: str, dice: random.Random) -> None:
    place = await _founded(folder, url)
    process = OfficeProcess(place.directory)
    try:
        await process.start(first=True)
        async with _beside(place) as office:
            address, _ = await asyncio.to_thread(
                deploy, office.database, office.clock, place=place, office=read_office(place)
            )
            chain = SettlementChain(url, contract_address=address, chain_id=CHAIN_ID)
            members = {one: await office.admit(one) for one in COMMUNITIES}
            await until(lambda: are_on_chain(office), seconds=40)
            keepers = {one: Bookkeeper(members[one], chain) for one in COMMUNITIES}
            keepers["A"].owed = (both_signed(members["A"], members["B"], minutes=90),)
            keepers["B"].owed = (both_signed(members["B"], members["C"], minutes=30),)
            async with keeping(keepers.values()):
                open_round(office)
                for _ in range(2):
                    await asyncio.sleep(dice.uniform(0.0, 1.5))
                    await process.kill()
                    await process.start(first=False)
                settled = await ended(office)
            assert settled.state is RoundState.SETTLED
            assert settlement.left_out_of(settled) == {}
            assert balances(chain) == {"A": -90, "B": 60, "C": 30}
            assert len(chain.settled_batches(0, chain.head()[0])) == 1
    finally:
        await process.kill()


async def _founded(folder: Path, url: str) -> Place:
    place = Place(folder / "office")
    words = ("init", str(place.directory), "--name", "District", "--rpc", url, "--json")
    made = await asyncio.create_subprocess_exec(*PROGRAM, *words, stdout=DEVNULL)
    assert await made.wait() == 0
    write_file(place.relay_key, OFFICE_KEY.hex().encode(), is_private=True)
    return place


@contextlib.asynccontextmanager
async def _beside(place: Place) -> AsyncIterator[ServedOffice]:
    """The database as the terminal's commands see it."""
    clock = SystemClock()
    database = open_database(place, clock)
    authority = load_authority(
        key_path=place.authority_key, certificate_path=place.authority_certificate
    )
    try:
        yield ServedOffice(None, database, authority, clock, place.directory.parent)
    finally:
        database.close()
