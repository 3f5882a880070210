"""Settlement from the outside: the round, what the chain says, the audits, and all that left."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from simulation.district import Contract, District
from simulation.house import House
from simulation.processes import until

STEP = "settlement"
AUDIT_STEP = "audit"
ROUND_TIMEOUT_SECONDS = 120.0
BOOKED_TIMEOUT_SECONDS = 60.0
AGREES = "agrees"


@dataclass(frozen=True)
class Settled:
    """A round that is on the chain, and every community's balance there, by its name."""

    transaction: str
    communities: int
    minutes: int
    positions: dict[str, int]

    @property
    def sum(self) -> int:
        return sum(self.positions.values())


async def settle(district: District) -> Settled:
    """Run a round to its end and read the result from the contract itself."""
    result = await district.settle(step=STEP, timeout_seconds=ROUND_TIMEOUT_SECONDS)
    positions = await chain_positions(district, step=STEP)
    return Settled(
        str(result["transaction"]), int(result["communities"]), int(result["minutes"]), positions
    )


async def chain_positions(district: District, *, step: str) -> dict[str, int]:
    """What the contract says of every community, by its name."""
    numbers = await district.numbers(step=step)
    found = await asyncio.to_thread(balances, district.contract, count=max(numbers.values()))
    return {house.name: found[numbers[house.id] - 1] for house in district.houses}


async def until_booked(houses: Sequence[House], *, step: str) -> None:
    """Wait until every node has seen the event and marked all of its receipts settled."""

    async def is_booked(house: House) -> None:
        async def look() -> bool | None:
            return await asyncio.to_thread(open_receipts, house) == 0 or None

        await until(
            look,
            what=f"{house.name} has receipts that are not marked settled",
            step=step,
            log=house.child.log,
            timeout_seconds=BOOKED_TIMEOUT_SECONDS,
        )

    await asyncio.gather(*(is_booked(house) for house in houses))


def open_receipts(house: House) -> int:
    """How many receipts of a node are not settled: read from its file, as a witness would."""
    address = f"{(house.directory / 'node.sqlite').as_uri()}?mode=ro"
    query = "SELECT count(*) FROM receipt WHERE settled_at IS NULL"
    with closing(sqlite3.connect(address, uri=True)) as database:
        return int(database.execute(query).fetchone()[0])


def balances(contract: Contract, *, count: int) -> list[int]:
    """The balances on the chain of the communities numbered 1 to `count`, in minutes."""
    from contracts.client import SettlementChain  # web3 takes a second, and only this needs it

    chain = SettlementChain(
        contract.rpc, contract_address=contract.address, chain_id=contract.chain_id
    )
    return [chain.position(number).balance_minutes for number in range(1, count + 1)]


async def audit_all(houses: Sequence[House]) -> dict[str, dict[str, Any]]:
    """`linli-node audit` in every house, repeated until its watch has booked the batch."""

    async def audited(house: House) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            found = await house.node("audit", "--json", step=AUDIT_STEP)
            return found if found["chain"] == AGREES else None

        return await until(
            look,
            what=f"{house.name}: the books do not yet agree with the chain",
            step=AUDIT_STEP,
            log=house.child.log,
            timeout_seconds=BOOKED_TIMEOUT_SECONDS,
        )

    found = await asyncio.gather(*(audited(house) for house in houses))
    return {house.name: one for house, one in zip(houses, found, strict=True)}


async def left_of(house: House) -> dict[str, dict[str, int]]:
    """All that ever left a house, by kind, over all recipients."""
    kinds: dict[str, dict[str, int]] = {}
    for line in await house.get("/api/left", step=AUDIT_STEP):
        sent = kinds.setdefault(line["kind"], {"messages": 0, "bytes": 0})
        sent["messages"] += int(line["messages"])
        sent["bytes"] += int(line["bytes"])
    return dict(sorted(kinds.items()))
