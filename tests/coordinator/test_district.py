"""A whole settlement round: office, three nodes, TLS, EIP-712 and the committed contract.

Method: the office and the nodes' loops run in this process, the devchain answers beside them over
JSON-RPC; deploying and everything after it goes the way the commands go.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from contracts.client import SettlementChain
from coordinator import settlement
from coordinator.app import chain_opener
from coordinator.deploying import deploy
from coordinator.model import Transaction
from coordinator.refusals import RoundOpen
from coordinator.rules import RoundState
from coordinator.settings import Office, Place
from coordinator.upgrading import upgrade
from node.enrolment.rounds import SignedStatement
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

            def move_on() -> tuple[str, int]:
                old = chain.contract_address
                return upgrade(office.database, place=place, office=configured, old_address=old)

            owed = both_signed(members["C"], members["A"], minutes=20)
            await _third_round_on_the_next_contract(office, chain, move_on, keepers, owed)


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


async def _third_round_on_the_next_contract(
    office: ServedOffice,
    old: SettlementChain,
    move_on: Callable[[], tuple[str, int]],
    keepers: Mapping[str, Bookkeeper],
    owed: SignedStatement,
) -> None:
    """The serving office follows the upgrade that a command made; nothing moves on the old one."""
    open_round(office)
    with pytest.raises(RoundOpen):
        move_on()
    await ended(office)
    address, count = await asyncio.to_thread(move_on)
    assert await asyncio.to_thread(move_on) == (address, count), "said again, it is all done"
    new, before = old.at(address), balances(old)
    assert (count, balances(new)) == (len(COMMUNITIES), before)
    for keeper in keepers.values():
        keeper.chain = new
    keepers["C"].owed = (owed,)
    open_round(office)
    assert (await ended(office)).state is RoundState.SETTLED
    assert balances(new) == {"A": before["A"] + 20, "B": before["B"], "C": before["C"] - 20}
    assert balances(old) == before
