"""What the chain has settled, on this contract and those before it, and what of it we lack."""

import asyncio
from collections.abc import Sequence

from contracts.terms import BatchEntry, BatchSettled, ChainRefused
from node.kernel.db import Database
from node.kernel.ports import Chain
from node.settlement.model import ChainCheckpoint

CONTRACTS_MAX = 20  # between the one that we read last and the present one


async def unbooked_entries(database: Database, chain: Chain, number: int) -> list[BatchEntry]:
    """What the chain has settled for community `number` after our checkpoint."""
    with database.read() as session:
        checkpoint = session.get(ChainCheckpoint, 1)
    head, _ = await asyncio.to_thread(chain.head)
    first = checkpoint.block_number + 1 if checkpoint else 0
    if first > head:
        return []
    contracts = await asyncio.to_thread(
        contracts_since, chain, checkpoint.contract if checkpoint else ""
    )
    events = await asyncio.to_thread(settled_in, contracts, first, head)
    entries = [entry for event in events for entry in event.entries]
    return [entry for entry in entries if entry.community == number]


def contracts_since(chain: Chain, known: str) -> list[Chain]:
    """From the contract `known` to the present one, each named by the one before it.

    Raises ChainRefused where the district names a contract that does not carry our balances on.
    """
    present = chain.contract_address.lower()
    if known.lower() in ("", present):
        return [chain]
    line = [chain.at(known)]
    while len(line) < CONTRACTS_MAX:
        successor = line[-1].successor()
        if successor is None:
            break
        if successor.lower() == present:
            return [*line, chain]
        line.append(chain.at(successor))
    raise ChainRefused(
        "chain.not_the_successor",
        f"The district names contract {chain.contract_address}, which {known} does not name as "
        f"its successor.",
    )


def settled_in(contracts: Sequence[Chain], first: int, last: int) -> list[BatchSettled]:
    """All events of these blocks, in their order, whichever contract they are of."""
    found = [event for one in contracts for event in one.settled_batches(first, last)]
    return sorted(found, key=lambda event: event.block_number)
