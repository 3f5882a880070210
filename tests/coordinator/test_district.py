"""A whole settlement round: office, three nodes, TLS, EIP-712 and the committed contract.

Method: the office and the nodes' loops run in this process, the devchain answers beside them over
JSON-RPC; deploying and everything after it goes the way the commands go.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from contracts.client import SettlementChain
from coordinator import settlement
from coordinator.app import chain_opener
from coordinator.deploying import deploy
from coordinator.model import Community, Round, Transaction
from coordinator.rules import RoundState
from coordinator.settings import Office, Place
from node.enrolment.directory import Membership
from node.enrolment.loop import MembershipLoop
from node.enrolment.rounds import BatchProposal, Position, RoundNotice, SignedStatement
from node.kernel import merkle, signing
from node.kernel.clock import SystemClock
from node.kernel.ids import new_id
from protos import peer_pb2
from tests.contracts.district import CHAIN_ID, OFFICE_KEY, LocalChain
from tests.coordinator.serving import QUICK_SECONDS, ServedOffice, serving, until

COMMUNITIES = ("A", "B", "C")


@dataclass
class Bookkeeper:
    """A node's settlement, as far as the office can tell."""

    membership: Membership
    chain: SettlementChain
    owed: tuple[SignedStatement, ...] = ()
    agrees: bool = True
    ended: list[RoundNotice] = field(default_factory=list)

    async def state_position(self, notice: RoundNotice) -> Position | None:
        return Position(ledger_head=b"\7" * 32, statements=self.owed)

    async def sign_batch(self, notice: RoundNotice, proposal: BatchProposal) -> bytes | None:
        assert merkle.root(proposal.statements) == proposal.batch.merkle_root
        if not self.agrees:
            return None
        return self.chain.sign_batch(proposal.batch, self.membership.keys.settlement_private_key)

    async def round_ended(self, notice: RoundNotice) -> None:
        self.ended.append(notice)


def both_signed(debtor: Membership, creditor: Membership, *, minutes: int) -> SignedStatement:
    payload = peer_pb2.Statement(
        statement_id=str(new_id()),
        debtor=debtor.community,
        creditor=creditor.community,
        count=1,
        minutes=minutes,
        merkle_root=bytes(32),
    ).SerializeToString()
    signatures = [
        signing.sign(side.keys.signing, context=signing.STATEMENT, payload=payload)
        for side in (debtor, creditor)
    ]
    return SignedStatement(payload, signatures[0], signatures[1])


def latest(office: ServedOffice) -> Round:
    with office.database.read() as session:
        current = settlement.latest_round(session)
    assert current is not None
    return current


def open_round(office: ServedOffice, *, signing_seconds: int = 30) -> None:
    office.database.do(
        lambda session: settlement.open_round(
            session, office.clock, collect_seconds=30, signing_seconds=signing_seconds
        )
    )


def are_on_chain(office: ServedOffice) -> bool:
    with office.database.read() as session:
        return all(one.on_chain_at is not None for one in session.query(Community))


async def ended(office: ServedOffice) -> Round:
    await until(lambda: latest(office).ended_at is not None, seconds=40)
    return latest(office)


def balances(chain: SettlementChain) -> Mapping[str, int]:
    return {
        community: chain.position(number).balance_minutes
        for number, community in enumerate(COMMUNITIES, start=1)
    }


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
        loops = [
            asyncio.create_task(
                MembershipLoop(
                    keeper.membership,
                    clock=SystemClock(),
                    rounds=keeper,
                    heartbeat_seconds=QUICK_SECONDS,
                ).run()
            )
            for keeper in keepers.values()
        ]
        try:
            await _first_round_without_c(office, chain, keepers)
            await _second_round_with_c(office, chain, keepers)
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)


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
