"""SIGKILL to any process of the exchange and the settlement, at any moment: no minute is lost.

Method: one district of two communities for all rounds. In each, three passes are redeemed and a
settlement round runs while one process is killed at a moment drawn from the round's seed (in the
test's name) and started again. Then all is settled, and everything is compared with what the
passes say: both books, the mirror of what each owes the other, the audits and the chain.
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from simulation import settling, visits
from simulation.house import House
from simulation.processes import Child
from simulation.refusals import StepFailed
from simulation.visits import Guest, Visit
from tests.end_to_end.district import STEP, Founded, found, minutes_accounts

pytestmark = pytest.mark.processes

ROUNDS = 20
VISITS = 3
KILL_WITHIN_SECONDS, DOWN_SECONDS_MAX = 4.0, 0.8
ROUND_TIMEOUT_SECONDS = 180.0
SETTLE_SECONDS_MAX = 40
# A round may be cut short by the kill itself: then the office says so, and it is asked again.
MAY_BE_SAID = (
    "office.not_serving",
    "settlement.round_open",
    "settlement.round_too_slow",
    "settlement.round_failed",
)
CREDIT_MINUTES = 10_000


@dataclass
class World:
    """A district, and what the ended passes say must be in its books."""

    founded: Founded
    runner: asyncio.Runner
    owed: dict[tuple[str, str], int] = field(default_factory=dict)  # home, host -> minutes

    @property
    def houses(self) -> list[House]:
        return self.founded.district.houses

    def targets(self) -> dict[str, Child]:
        district = self.founded.district
        first, second = district.houses
        return {
            "node A": first.child,
            "node B": second.child,
            "office": district.office,
            "devchain": district.chain,
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home: Path = tmp_path_factory.mktemp("kills")
    with asyncio.Runner() as runner:
        founded = runner.run(
            found(
                home,
                ("aster", "birch"),
                has_training=False,
                node_settings={"credit_limit_minutes": CREDIT_MINUTES},
            )
        )
        try:
            yield World(founded, runner)
        finally:
            runner.run(founded.closing.aclose())


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_no_minute_is_lost(world: World, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    name = list(world.targets())[seed % 4]
    moment, down = dice.uniform(0, KILL_WITHIN_SECONDS), dice.uniform(0, DOWN_SECONDS_MAX)
    print(f"seed {seed}: kill -9 of {name} after {moment:.3f} s, down {down:.3f} s")  # noqa: T201

    async def play() -> None:
        async with asyncio.timeout(ROUND_TIMEOUT_SECONDS):
            await asyncio.gather(
                kill(world.targets()[name], after=moment, down=down),
                settle(world),
                *(visit(world, dice) for _ in range(VISITS)),
            )
            await settle(world, insist=True)
            await check(world)

    world.runner.run(play())


async def kill(child: Child, *, after: float, down: float) -> None:
    await asyncio.sleep(after)
    await child.kill()
    await asyncio.sleep(down)
    await child.start(step=STEP)


async def visit(world: World, dice: random.Random) -> None:
    """One pass, from its issue to one of its ends; both communities must tell the same end."""
    people = world.founded.people
    home, host = dice.sample((0, 1), 2)
    minutes, is_called_off = dice.randint(5, 40), dice.random() < 0.25
    pause = dice.uniform(0, 2)
    guest = Guest(
        world.houses[home], people[home].elder, world.houses[host], people[host].volunteer, 60
    )
    issued = await visits.issue(guest, step=STEP)
    await visits.present(issued, step=STEP)
    await visits.host_state(issued, "accepted", step=STEP)
    await asyncio.sleep(pause)
    if is_called_off:
        await guest.host.post(f"/api/visits/{issued.exchange_id}/release", step=STEP)
        await both_say(issued, "released")
        return
    await visits.deliver(issued, minutes=minutes, step=STEP)
    for party in ("elder", "provider"):
        await visits.confirm(issued, by=party, step=STEP)
    await both_say(issued, "captured")
    pair = guest.home.id, guest.host.id
    world.owed[pair] = world.owed.get(pair, 0) + minutes


async def both_say(issued: Visit, state: str) -> None:
    at_host = await visits.host_state(issued, state, step=STEP)
    while (at_home := await visits.pass_at_home(issued, step=STEP))["state"] != state:
        await asyncio.sleep(0.1)  # a release is on its way; the round's own limit ends this
    assert state == "released" or at_home["minutes"] == at_host["minutes"]


async def settle(world: World, *, insist: bool = False) -> dict[str, Any] | None:
    """A settlement round; with `insist`, again until one has come to its end."""
    while True:
        try:
            result = await world.founded.district.settle(
                step=STEP, timeout_seconds=SETTLE_SECONDS_MAX
            )
        except StepFailed as failure:
            if not any(code in str(failure) for code in MAY_BE_SAID):
                raise
            if not insist:
                return None
            await asyncio.sleep(0.3)
        else:
            if not insist or not result["left_out"]:
                return result


async def check(world: World) -> None:
    first, second = world.houses
    net = world.owed.get((first.id, second.id), 0) - world.owed.get((second.id, first.id), 0)
    await settling.until_booked(world.houses, step=STEP)
    audits = await settling.audit_all(world.houses)
    assert [audit["problem"] for audit in audits.values()] == ["", ""]
    assert all(audit["ok"] for audit in audits.values())
    positions = await settling.chain_positions(world.founded.district, step=STEP)
    assert positions == {first.name: -net, second.name: net}
    assert sum(positions.values()) == 0
    for index, house in enumerate(world.houses):
        other = world.houses[1 - index]
        people = world.founded.people[index]
        accounts = minutes_accounts(house)
        assert sum(balance for _, _, balance, _ in accounts) == 0
        assert sum(held for _, _, _, held in accounts) == 0
        balances = {owner: balance for _, owner, balance, _ in accounts}
        assert balances[other.id] == 0  # all of it is settled, on both sides
        assert balances[people.elder] == -world.owed.get((house.id, other.id), 0)
        assert balances[people.volunteer] == world.owed.get((other.id, house.id), 0)
