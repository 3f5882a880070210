"""Two sides state, countersign and settle what one owes the other; each checks the other."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from node.exchange.model import ReceiptRecord
from node.kernel import merkle, signing
from node.kernel.errors import NotFound
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Refusal, Sealed
from node.kernel.netting import net_positions
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.model import Unit
from node.outbox.model import OUTBOX
from node.peer import wire
from node.settlement import rules, service
from node.settlement.messages import (
    ProposeStatement,
    StatementAgreed,
    StatementContent,
    StatementDiffers,
)
from node.settlement.model import Batch, Statement, StatementState
from tests.node.two_nodes import (
    HOME,
    HOST,
    VOLUNTEER,
    District,
    Fault,
    Side,
    exchange_id,
    two_nodes,
)

ROUND = bytes(range(32))


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def state_debts(district: District) -> None:
    """Home says what it owes, and asks for the host's signature."""

    def command(session: Session) -> None:
        service.state_debts(session, district.clock, district.home.sealer, wire.encode_statement)
        session.flush()
        service.propose_open(session, district.clock, district.home.sealer, wire.decode_statement)

    district.home.do(command)


def statement_of(side: Side) -> Statement:
    return side.ask(lambda session: session.scalars(select(Statement)).one())


def agreed(district: District) -> tuple[StatementContent, bytes]:
    """Two helped guests, stated and countersigned; home owes 90 minutes."""
    district.help_guest(0, minutes=60)
    district.help_guest(1, minutes=30)
    state_debts(district)
    district.drain()
    payload = statement_of(district.home).payload
    return wire.decode_statement(payload), payload


def keep_batch(district: District, round_id: bytes = ROUND) -> None:
    statement_id = statement_of(district.home).id
    for side in district.sides:
        batch = Batch(
            round_id=round_id,
            merkle_root=bytes(32),
            digest=bytes(32),
            delta_minutes=0,
            signature=bytes(65),
            signed_at=district.clock.now(),
        )
        side.do(lambda session, batch=batch: service.keep_batch(session, batch, [statement_id]))  # type: ignore[misc]  # the default binds the loop's value


def settle(district: District, side: Side, round_id: bytes = ROUND) -> int:
    return side.do(
        lambda session: service.settle(
            session,
            district.clock,
            side.community,
            round_id=round_id,
            transaction="0xfeed",
            block=7,
        )
    )


def ask_host(district: District, body: Body, *, name: str = "statement") -> Body:
    item = district.home.say(body, to=HOST, message_id=derived_id(name))
    return district.home.read_answer(district.host.hear(item, caller=HOME), sender=HOST)


def proposal(district: District, content: StatementContent) -> ProposeStatement:
    """A statement that home really signed, whatever it says."""
    payload = wire.encode_statement(content)
    return ProposeStatement(content, payload, district.home.sealer.sign_statement(payload))


def truth(district: District) -> StatementContent:
    """What an honest home would state, without stating it."""
    state_debts(district)
    return wire.decode_statement(statement_of(district.home).payload)


def test_both_sign_the_same_bytes(district: District) -> None:
    content, payload = agreed(district)
    assert (content.debtor, content.creditor, content.count, content.minutes) == (HOME, HOST, 2, 90)
    for side in district.sides:
        row = statement_of(side)
        assert (row.state, row.payload) == (StatementState.AGREED, payload)
        assert row.creditor_signature is not None
        assert signing.verify(
            district.host.key.public_key().public_bytes_raw(),
            context=signing.STATEMENT,
            payload=payload,
            signature=row.creditor_signature,
        )
    debts = district.home.ask(lambda session: service.agreed_debts(session, HOME))
    assert [debt.minutes for debt in debts] == [90]
    assert district.host.ask(lambda session: service.agreed_debts(session, HOST)) == []
    assert district.home.ask(lambda session: service.open_proposals(session, HOME)) == 0


def test_a_receipt_is_stated_once(district: District) -> None:
    agreed(district)
    state_debts(district)
    district.drain()
    assert statement_of(district.home).minutes == 90
    district.help_guest(2, minutes=15)
    state_debts(district)
    district.drain()
    rows = district.host.ask(lambda session: session.scalars(select(Statement)).all())
    assert sorted(row.minutes for row in rows) == [15, 90]


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
def test_a_statement_survives_a_bad_network(tmp_path: Path, fault: Fault) -> None:
    with two_nodes(tmp_path, lambda number: fault if number == 2 else Fault.NONE) as district:
        district.help_guest(minutes=60)
        state_debts(district)
        district.drain()
        assert {statement_of(side).state for side in district.sides} == {StatementState.AGREED}


def test_a_creditor_names_what_it_misses_and_agrees_once_it_has_it(district: District) -> None:
    """Home's receipt is on its way when home states the debt."""
    district.issue()
    district.present()
    district.drain()
    district.deliver()
    district.confirm()
    capture = district.host.ask(
        lambda session: wire.decode(
            session.connection()
            .exec_driver_sql("SELECT payload FROM outbox_message WHERE kind = 'RequestCapture'")
            .scalar_one()
        )
    )
    item = district.host.say(capture.body, to=HOME, message_id=capture.message_id)
    district.home.hear(item, caller=HOST)
    content = truth(district)
    answer = ask_host(district, proposal(district, content), name="early")
    assert answer == StatementDiffers(content.statement_id, (exchange_id(),))
    district.home.do(lambda session: service.not_countersigned(session, content.statement_id))
    district.drain()
    state_debts(district)
    district.drain()
    assert statement_of(district.host).state == StatementState.AGREED


def test_a_creditor_asks_for_what_it_misses(district: District) -> None:
    """Its question is lost for good, so nothing else would bring the receipt."""
    district.issue()
    district.present()
    district.drain()
    district.deliver()
    district.confirm()
    asked = district.host.ask(
        lambda session: session.execute(
            select(OUTBOX.c.payload, OUTBOX.c.signature).where(OUTBOX.c.kind == "RequestCapture")
        ).one()
    )
    district.home.hear(Sealed(*asked), caller=HOST)
    lost = delete(OUTBOX).where(OUTBOX.c.kind == "RequestCapture")
    district.host.do(lambda session: session.execute(lost) and None)
    for _ in range(2):
        state_debts(district)
        district.drain()
    assert statement_of(district.host).state == StatementState.AGREED
    assert district.host.minutes(VOLUNTEER) == 90
    district.check()


def test_a_wrong_sum_is_not_signed(district: District) -> None:
    district.help_guest(minutes=60)
    content = truth(district)
    for name, wrong in {
        "sum": replace(content, minutes=59),
        "count": replace(content, count=2),
        "root": replace(content, merkle_root=bytes(32)),
        "id": replace(content, statement_id=derived_id("mine")),
        "twice": replace(content, exchange_ids=content.exchange_ids * 2),
        "nothing": replace(content, exchange_ids=()),
        "turned": replace(content, debtor=HOST, creditor=HOME),
    }.items():
        answer = ask_host(district, proposal(district, wrong), name=name)
        assert isinstance(answer, Refusal), name
        assert answer.code == "settlement.statement_wrong", name
    rows = district.host.ask(lambda session: session.scalars(select(Statement)).all())
    assert rows == []


def test_an_unsigned_statement_is_not_signed(district: District) -> None:
    district.help_guest(minutes=60)
    forged = replace(proposal(district, truth(district)), debtor_signature=bytes(64))
    answer = ask_host(district, forged)
    assert isinstance(answer, Refusal)
    assert "not signed" in answer.detail


def test_a_forged_countersignature_changes_nothing(district: District) -> None:
    district.help_guest(minutes=60)
    content = truth(district)
    lie = StatementAgreed(content.statement_id, bytes(64))
    has_signed = district.home.answers.has_signed
    district.home.do(lambda session: service.countersigned(session, has_signed, lie))
    assert statement_of(district.home).state == StatementState.PROPOSED
    unknown = StatementAgreed(derived_id("no such"), bytes(64))
    with pytest.raises(NotFound):
        district.home.do(lambda session: service.countersigned(session, has_signed, unknown))


def test_other_bytes_for_a_signed_statement_are_refused(district: District) -> None:
    content, _ = agreed(district)
    answer = ask_host(district, proposal(district, replace(content, minutes=1)))
    assert isinstance(answer, Refusal)
    assert answer.code == "kernel.id_reused"
    again = ask_host(district, proposal(district, content), name="again")
    assert isinstance(again, StatementAgreed)


def test_settling_moves_the_debt_from_the_pair_to_the_chain_once(district: District) -> None:
    agreed(district)
    keep_batch(district)
    keep_batch(district)
    for side, position in ((district.home, -90), (district.host, 90)):
        assert settle(district, side) == 1
        assert settle(district, side) == 0, "a chain that is read twice is booked once"
        assert side.ask(service.settled_position) == position
        assert side.ask(service.audit_receipts) == ""
        assert side.ask(audit_ledger).ok
        receipts = side.ask(lambda session: session.scalars(select(ReceiptRecord)).all())
        assert all(receipt.settled_at for receipt in receipts)
    assert district.home.clearing(HOST) == district.host.clearing(HOME) == 0
    district.check()


def test_a_statement_in_two_batches_is_settled_by_the_first(district: District) -> None:
    agreed(district)
    keep_batch(district, ROUND)
    keep_batch(district, ROUND[::-1])
    assert settle(district, district.home, ROUND[::-1]) == 1
    assert settle(district, district.home, ROUND) == 0
    assert district.home.ask(service.settled_position) == -90


def test_a_batch_that_nobody_kept_is_not_booked(district: District) -> None:
    with pytest.raises(NotFound):
        settle(district, district.home)


def test_what_the_chain_settled_is_booked_whatever_our_limits_are_by_then(
    district: District,
) -> None:
    """A debt to a peer counts as room for its guests; settling it may leave less than none."""
    agreed(district)
    keep_batch(district)
    peer = ledger.clearing_account(HOST)
    room = district.home.ask(lambda session: ledger.available(session, peer))
    district.home.do(
        lambda session: ledger.place_hold(
            session,
            district.clock,
            hold_id=derived_id("guests of the host"),
            payer_id=peer,
            payee_id=ledger.house_account("settled", Unit.MINUTES),
            amount=room,
            expires_at=None,
            reason="helped_guest",
        )
    )
    assert settle(district, district.home) == 1
    assert district.home.ask(audit_ledger).ok


def test_the_audit_of_receipts_names_the_peer_that_differs(district: District) -> None:
    district.help_guest(minutes=60)

    def forget(session: Session) -> None:
        session.delete(session.get_one(ReceiptRecord, exchange_id()))

    district.home.do(forget)
    problem = district.home.ask(service.audit_receipts)
    assert problem == (
        f"the clearing account of {HOST} shows 60 minutes, its unsettled receipts sum to 0"
    )


def test_own_statements_are_those_in_our_books(district: District) -> None:
    content, payload = agreed(district)
    other = replace(content, debtor="willow-bank", creditor="lotus-hill")
    kept = district.host.ask(
        lambda session: service.own_statements(
            session, HOST, [other, content], [wire.encode_statement(other), payload]
        )
    )
    assert kept == [content.statement_id]
    for wrong in (replace(content, minutes=91), replace(content, statement_id=derived_id("new"))):
        with pytest.raises(rules.BatchWrong, match="is not ours"):
            district.host.ask(
                lambda session, wrong=wrong: service.own_statements(  # type: ignore[misc]  # the default binds the loop's value
                    session, HOST, [wrong], [wire.encode_statement(wrong)]
                )
            )
    keep_batch(district)
    settle(district, district.host)
    with pytest.raises(rules.BatchWrong, match="already settled"):
        district.host.ask(
            lambda session: service.own_statements(session, HOST, [content], [payload])
        )


def test_a_liars_batch_is_not_signed() -> None:
    contents = [
        StatementContent(derived_id(a, b), a, b, 1, minutes, bytes(32), (derived_id(a),))
        for a, b, minutes in [("plum", "jade", 90), ("jade", "willow", 30), ("willow", "plum", 45)]
    ]
    payloads = [wire.encode_statement(content) for content in contents]
    root, deltas = merkle.root(payloads), net_positions(rules.claims(contents))
    assert deltas == {"plum": -45, "jade": 60, "willow": -15}
    rules.check_batch(contents, payloads, root=root, deltas=deltas)
    rules.check_batch([], [], root=merkle.EMPTY_ROOT, deltas={})
    lies = {
        "another root": (contents, payloads, bytes(32), deltas),
        "a statement left out": (contents[:2], payloads[:2], root, deltas),
        "a minute stolen": (contents, payloads, root, deltas | {"plum": -46, "willow": -14}),
        "a minute made": (contents, payloads, root, deltas | {"jade": 61}),
        "a stranger": (contents, payloads, root, deltas | {"office": 0}),
        "somebody left out": (contents, payloads, root, {"plum": -45, "jade": 60}),
    }
    twice = [*payloads, payloads[0]]
    lies["a statement twice"] = ([*contents, contents[0]], twice, merkle.root(twice), deltas)
    for problem, minutes, debtor in (("nothing", 0, "x"), ("less", -30, "x"), ("self", 30, "y")):
        odd = StatementContent(derived_id(problem), debtor, "y", 1, minutes, bytes(32), ())
        more = [*payloads, wire.encode_statement(odd)]
        lies[problem] = ([*contents, odd], more, merkle.root(more), deltas)
    for stated, bytes_of, root_of, figures in lies.values():
        with pytest.raises(rules.BatchWrong):
            rules.check_batch(stated, bytes_of, root=root_of, deltas=figures)
