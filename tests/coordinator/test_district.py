"""A whole settlement round: office, three nodes, TLS, EIP-712 and the committed contract.

Method: the office and the nodes' loops run in this process, the devchain answers beside them over
JSON-RPC; deploying and everything after it goes the way the commands go.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from contracts.client import SettlementChain
from coordinator import settlement
from coordinator.app import chain_opener
from coordinator.deploying import deploy
from coordinator.model import Transaction
from coordinator.rules import RoundState
from coordinator.settings import Office, Place
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
from tests.coordinator.serving import ServedOffice, serving, until


def test_a_round_from_statements_to_the_contract(tmp_path: Path) -> None:
    with LocalChain(tmp_path / "chain.sqlite") as local:
        local.clock.seconds = time.time()
        asyncio.run(_settle_twice(tmp_path, local.url))


async def _settle_twice(folder: Path, url: str) -> None:
    async with serving(folder, open_chain=chain_opener(url), relay_key=OFFICE_KEY) as office:
        place = Place(folder / "office")
        configured = Office(name="District", rpc_url=url, chain_id=CHAIN_ID)
        address, is_new = await asyncio.to_thread(
            deploy, office.database, office.clock, place=place, office=configured
        )
        assert is_new
        chain = SettlementChain(url, contract_address=address, chain_id=CHAIN_ID)
        members = {community: await office.admit(community) for community in COMMUNITIES}
        await until(lambda: are_on_chain(office), seconds=40)
        keepers = {one: Bookkeeper(members[one], chain) for one in COMMUNITIES}
        keepers["A"].owed = (both_signed(members["A"], members["B"], minutes=90),)
        keepers["B"].owed = (both_signed(members["B"], members["C"], minutes=30),)
        async with keeping(keepers.values()):
            await _first_round_without_c(office, chain, keepers)
            await _second_round_with_c(office, chain, keepers)


async def _first_round_without_c(
    office: ServedOffice, chain: SettlementChain, keepers: Mapping[str, Bookkeeper]
) -> None:
    keepers["C"].agrees = False
    open_round(office, signing_seconds=4)
    settled = await ended(office)
    assert settled.state is RoundState.SETTLED
    assert settlement.left_out_of(settled) == {"C": "no_signature"}
    assert balances(chain) == {"A": -90, "B": 90, "C": 0}
    await until(lambda: all(one.ended for one in keepers.values()))
    assert keepers["A"].ended[-1].transaction_hash == settled.transaction_hash


async def _second_round_with_c(
    office: ServedOffice, chain: SettlementChain, keepers: Mapping[str, Bookkeeper]
) -> None:
    keepers["C"].agrees = True
    open_round(office)
    settled = await ended(office)
    assert settled.state is RoundState.SETTLED
    assert balances(chain) == {"A": -90, "B": 60, "C": 30}
    assert sum(balances(chain).values()) == 0
    with office.database.read() as session:
        purposes = [one.purpose.split("/")[0] for one in session.query(Transaction)]
    assert sorted(purposes) == ["deploy", *["register"] * 3, *["settle"] * 2]
    events = chain.settled_batches(0, chain.head()[0])
    assert len(events) == 2
    assert isinstance(settled.ended_at, datetime)
