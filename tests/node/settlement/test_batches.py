"""An office that would settle a statement twice: what the contract takes, and what a node signs.

Method: the real contract on a devchain, and home's real SettlementRounds over its books.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from contracts.terms import Batch, ChainRefused
from node.enrolment.directory import Directory, Member
from node.enrolment.rounds import BatchProposal
from node.kernel import merkle
from node.kernel.netting import net_positions
from node.peer import wire
from node.settlement import rules, service
from node.settlement.messages import StatementContent
from node.settlement.model import Statement
from node.settlement.rounds import SettlementRounds
from node.settlement.watch import ChainWatch
from tests.contracts.district import CHAIN_ID, LocalChain, community_key, found_district
from tests.contracts.district import District as OnChain
from tests.node.two_nodes import HOME, HOST, District, two_nodes

MAPLE, WILLOW = "maple", "willow"
NUMBERS = {HOME: 1, HOST: 2, MAPLE: 3, WILLOW: 4}


@pytest.fixture
def on_chain(tmp_path: Path) -> Iterator[OnChain]:
    """The contract, and four communities on it."""
    with LocalChain(tmp_path / "chain.sqlite") as local:
        chain = found_district(local)
        for number in NUMBERS.values():
            chain.register(number)
        yield chain


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    """Home owes the host 60 minutes, in a statement that both have signed."""
    with two_nodes(tmp_path) as district:
        district.help_guest(minutes=60)
        home, clock = district.home, district.clock

        def state(session: Session) -> None:
            service.state_debts(session, clock, home.sealer, wire.encode_statement)
            session.flush()
            service.propose_open(session, clock, home.sealer, wire.decode_statement)

        home.do(state)
        district.drain()
        yield district


def stated(district: District) -> bytes:
    """The statement that home and host signed."""
    return district.home.ask(lambda session: session.scalars(select(Statement)).one()).payload


def owes(debtor: str, creditor: str) -> bytes:
    """60 minutes between others, as if they had signed it."""
    return wire.encode_statement(
        StatementContent(
            UUID(int=NUMBERS[debtor] * 10 + NUMBERS[creditor]),
            debtor,
            creditor,
            1,
            60,
            bytes(32),
            (),
        )
    )


def proposal(on_chain: OnChain, payloads: Sequence[bytes], *, label: int) -> BatchProposal:
    """What an office would have to show for these statements, right in every figure."""
    figures = net_positions(rules.claims(wire.decode_statement(one) for one in payloads))
    deltas = sorted((NUMBERS[name], minutes) for name, minutes in figures.items())
    batch = replace(on_chain.batch(dict(deltas), label=label), merkle_root=merkle.root(payloads))
    return BatchProposal(batch, tuple(payloads))


def rounds(district: District, on_chain: OnChain) -> SettlementRounds:
    members = tuple(
        Member(name, name, number, "", b"", "", is_revoked=False)
        for name, number in NUMBERS.items()
    )
    contract, now = on_chain.chain.contract_address, district.clock.now()
    directory = Directory("D", 1, now, members, contract, CHAIN_ID, "", None)
    return SettlementRounds(
        district.home.database,
        district.clock,
        district.home.sealer,
        chain=lambda: on_chain.chain,
        verify=lambda *_: True,
        directory=lambda: directory,
        settlement_key=community_key(NUMBERS[HOME]),
    )


def watch(district: District, on_chain: OnChain, *shown: BatchProposal) -> ChainWatch:
    async def fetch(round_id: bytes) -> BatchProposal:
        return next(one for one in shown if one.batch.round_id == round_id)

    return ChainWatch(
        district.home.database,
        district.clock,
        on_chain.chain,
        rounds(district, on_chain),
        community=HOME,
        confirmations=1,
        fetch_batch=fetch,
    )


def settle(on_chain: OnChain, batch: Batch) -> None:
    on_chain.apply(on_chain.prepare(batch))


def test_two_batches_with_one_statement_pass_the_contract_but_not_a_node(
    district: District, on_chain: OnChain
) -> None:
    """In the second home and host are named and come out at zero: the contract asks only the two
    others. Whoever signs it lets the office take 60 minutes from home, so nobody does.
    """
    first = proposal(on_chain, [stated(district)], label=1)
    second = proposal(on_chain, [stated(district), owes(MAPLE, HOME), owes(HOST, WILLOW)], label=3)
    assert [one.community for one in second.batch.entries] == [NUMBERS[MAPLE], NUMBERS[WILLOW]]
    for one in (first, second):
        settle(on_chain, one.batch)
    assert on_chain.balances(1, 2, 3, 4) == [-60, 60, -60, 60]  # owed: 0, 0, -60, 60
    contents = [wire.decode_statement(one) for one in second.statements]
    with pytest.raises(rules.BatchWrong) as refused:
        rules.check_batch(
            contents,
            second.statements,
            root=second.batch.merkle_root,
            deltas={MAPLE: -60, WILLOW: 60},
        )
    assert refused.value.details["reason"] == "community_not_asked"


def test_two_batches_that_both_ask_us_cannot_both_settle(
    district: District, on_chain: OnChain
) -> None:
    """We sign both, as when a round is proposed again; one sequence serves one of them."""
    node = rounds(district, on_chain)
    asyncio.run(watch(district, on_chain).look())
    first = proposal(on_chain, [stated(district)], label=1)
    second = proposal(on_chain, [stated(district), owes(MAPLE, WILLOW)], label=3)
    for one in (first, second):
        assert asyncio.run(node.sign(one))
    settle(on_chain, first.batch)
    with pytest.raises(ChainRefused) as refused:
        settle(on_chain, second.batch)
    assert refused.value.code == "chain.stale_sequence"


def test_what_the_chain_settled_and_we_have_not_read_is_not_signed_again(
    district: District, on_chain: OnChain
) -> None:
    """The sequence in the second is right; only the chain says that its statement is settled."""
    node = rounds(district, on_chain)
    asyncio.run(watch(district, on_chain).look())
    first = proposal(on_chain, [stated(district)], label=1)
    asyncio.run(node.sign(first))
    settle(on_chain, first.batch)
    second = proposal(on_chain, [stated(district)], label=3)
    with pytest.raises(rules.BatchWrong) as refused:
        asyncio.run(node.sign(second))
    assert refused.value.details["reason"] == "books_behind"
    asyncio.run(watch(district, on_chain).look())
    with pytest.raises(rules.BatchWrong) as refused:
        asyncio.run(node.sign(second))
    assert refused.value.details["reason"] == "statement_in_another_state"


def test_a_batch_of_before_is_booked_from_the_chain(district: District, on_chain: OnChain) -> None:
    """Signed by a node whose disk is gone since: the chain has used its sequence, and is right."""
    settled = proposal(on_chain, [stated(district)], label=1)
    settle(on_chain, settled.batch)
    asyncio.run(watch(district, on_chain, settled).look())
    assert district.home.ask(service.settled_position) == -60
