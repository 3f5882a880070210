"""Nodes as far as the office can tell: they state, sign, and hear how a round ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field

from contracts.client import SettlementChain
from coordinator import settlement
from coordinator.model import Community, Round
from node.enrolment.directory import Membership
from node.enrolment.loop import MembershipLoop
from node.enrolment.rounds import BatchProposal, Position, RoundNotice, SignedStatement
from node.kernel import merkle, signing
from node.kernel.clock import SystemClock
from node.kernel.ids import new_id
from protos import peer_pb2
from tests.coordinator.serving import QUICK_SECONDS, ServedOffice, until

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


@contextlib.asynccontextmanager
async def keeping(keepers: Iterable[Bookkeeper]) -> AsyncIterator[None]:
    """Every keeper's node in touch with the office until the block ends."""
    loops = [
        asyncio.create_task(
            MembershipLoop(
                keeper.membership,
                clock=SystemClock(),
                rounds=keeper,
                heartbeat_seconds=QUICK_SECONDS,
            ).run()
        )
        for keeper in keepers
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
