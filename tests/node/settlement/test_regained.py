"""After a restore, a statement of which one side knows nothing any more blocks neither side."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from contracts.terms import Batch, BatchEntry
from node.enrolment.directory import Directory, Member
from node.enrolment.rounds import BatchProposal
from node.exchange.model import ReceiptRecord
from node.kernel import merkle
from node.kernel.ids import new_id
from node.kernel.messages import Body, Envelope
from node.kernel.ports import Chain
from node.outbox.service import waiting_count
from node.peer import wire
from node.settlement import regained, rules, service
from node.settlement.messages import ProposeStatement, StatementDiffers
from node.settlement.model import Statement, StatementState
from node.settlement.rounds import SettlementRounds
from tests.node.exchange.test_comparison import backup, restore
from tests.node.two_nodes import HOME, HOST, District, Side, exchange_id, two_nodes


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    """Home owes the host 30 minutes."""
    with two_nodes(tmp_path) as district:
        district.help_guest(0, minutes=30)
        yield district


def state(district: District) -> None:
    """What each side does when a round is open."""
    for side in district.sides:
        side.do(lambda session, side=side: _state(session, side))  # type: ignore[misc]  # the default binds the loop's value
    district.drain()


def _state(session: Session, side: Side) -> None:
    service.state_debts(session, side.clock, side.sealer, wire.encode_statement)
    session.flush()
    service.propose_open(session, side.clock, side.sealer, wire.decode_statement)


def statements(side: Side) -> dict[str, list[int]]:
    rows = side.ask(lambda session: session.scalars(select(Statement)).all())
    return {
        found: sorted(one.minutes for one in rows if one.state == found)
        for found in {one.state for one in rows}
    }


def test_a_debtor_that_lost_its_statement_gets_it_back_and_states_the_rest(
    district: District, tmp_path: Path
) -> None:
    copy = backup(district.home, tmp_path)
    state(district)
    restore(district.home, copy)
    district.help_guest(1, minutes=20)
    for _ in range(2):
        state(district)
    assert statements(district.host) == {StatementState.AGREED: [20, 30]}
    assert statements(district.home) == {
        StatementState.AGREED: [20, 30],
        StatementState.WITHDRAWN: [50],
    }
    for side in district.sides:
        assert not side.ask(service.audit_receipts)
    assert agreed(district.home) == agreed(district.host)


def agreed(side: Side) -> list[tuple[bytes, bytes, bytes | None]]:
    rows = side.ask(lambda session: service.agreed_debts(session, HOME))
    return [(one.payload, one.debtor_signature, one.creditor_signature) for one in rows]


def test_a_creditor_that_lost_a_statement_asks_for_it_when_a_batch_has_it(
    district: District, tmp_path: Path
) -> None:
    copy = backup(district.host, tmp_path)
    state(district)
    restore(district.host, copy)
    assert statements(district.host) == {}
    ((payload, *_),) = agreed(district.home)
    entries = (BatchEntry(1, -30, 0, bytes(32)), BatchEntry(2, 30, 0, bytes(32)))
    batch = Batch(b"r" * 32, merkle.root([payload]), 0, entries)
    for _ in range(3):  # the chain watch tries again and again; the debtor is asked once a day
        with pytest.raises(rules.BatchWrong, match="not ours"):
            asyncio.run(rounds(district.host).learn(BatchProposal(batch, (payload,))))
    assert district.host.ask(waiting_count) == 1
    district.drain()
    assert agreed(district.host) == agreed(district.home)
    assert statements(district.host) == {StatementState.AGREED: [30]}
    asyncio.run(rounds(district.host).learn(BatchProposal(batch, (payload,))))


class Contract:
    """As much of the chain as keeping a settled batch needs."""

    contract_address = "0xHERE"

    def digest(self, batch: Batch) -> bytes:
        return bytes(32)


def rounds(side: Side) -> SettlementRounds:
    members = tuple(
        Member(name, name, number, "", b"", "", is_revoked=False)
        for number, name in enumerate((HOME, HOST), 1)
    )
    directory = Directory("D", 1, side.clock.now(), members, None, None, "", None)
    return SettlementRounds(
        side.database,
        side.clock,
        side.sealer,
        chain=lambda: cast(Chain, Contract()),
        verify=lambda *_: False,
        directory=lambda: directory,
        settlement_key=bytes(32),
    )


def show_home(district: District, payload: bytes, signature: bytes) -> Body:
    """The host shows home a statement as one of home's own."""
    content = wire.decode_statement(payload)
    proposal = ProposeStatement(content, payload, signature)
    question = Envelope(new_id(), HOST, HOME, district.clock.now(), proposal)
    home = district.home
    return home.do(
        lambda session: regained.answer(
            session,
            home.clock,
            home.sealer,
            verify=lambda *_: True,
            decode=wire.decode_statement,
            question=question,
        )
    )


def lost_statement(district: District, folder: Path) -> bytes:
    """Home's backup of before it stated anything is restored; the host has what it signed."""
    copy = backup(district.home, folder)
    state(district)
    ((payload, *_),) = agreed(district.host)
    restore(district.home, copy)
    return payload


def test_what_we_have_not_signed_does_not_come_back(district: District, tmp_path: Path) -> None:
    payload = lost_statement(district, tmp_path)
    for signature in (b"", bytes(64), district.host.sealer.sign_statement(payload)):
        with pytest.raises(rules.StatementWrong, match="not signed"):
            show_home(district, payload, signature)
    assert statements(district.home) == {}


def test_it_waits_for_receipts_that_the_backup_lacks(district: District, tmp_path: Path) -> None:
    """The comparison of days brings them; until then the statement is only named as lacking."""
    payload = lost_statement(district, tmp_path)
    signature = district.home.sealer.sign_statement(payload)

    def forget(session: Session) -> None:
        session.execute(delete(ReceiptRecord))

    district.home.do(forget)
    content = wire.decode_statement(payload)
    said = show_home(district, payload, signature)
    assert said == StatementDiffers(content.statement_id, (exchange_id(),))
    assert statements(district.home) == {}


def test_a_receipt_that_both_have_signed_elsewhere_is_not_stated_twice(
    district: District, tmp_path: Path
) -> None:
    payload = lost_statement(district, tmp_path)
    signature = district.home.sealer.sign_statement(payload)
    district.home.do(lambda session: _state(session, district.home))
    other = UUID(int=1)

    def rename(session: Session) -> None:
        session.execute(update(Statement).values(id=other, state=StatementState.AGREED))
        session.execute(update(ReceiptRecord).values(statement_id=other))

    district.home.do(rename)
    with pytest.raises(rules.StatementWrong, match="both have signed"):
        show_home(district, payload, signature)
