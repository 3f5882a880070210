"""A resident can prove an hour: the file is enough, and a changed one proves nothing."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from contracts.terms import BatchSettled
from node.kernel import merkle, signing
from node.kernel.ids import derived_id
from node.peer import wire
from node.settlement import proof, service
from node.settlement.model import Batch, BatchStatement, Statement
from node.settlement.proof import NotOnChain
from simulation import verify_proof
from simulation.verify_proof import ProofWrong, verify
from tests.contracts.district import CHAIN_ID, LocalChain, found_district
from tests.node.exchange.acts import agree_back, offer_back, reversal_id
from tests.node.two_nodes import (
    ELDER,
    HOME,
    HOST,
    VOLUNTEER,
    District,
    Side,
    exchange_id,
    two_nodes,
)

ROUND, TRANSACTION = b"r" * 32, b"t" * 32
OTHERS = [b"a statement of two others", b"another one", b"and a third"]


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    """Five exchanges and a reversal, stated in both directions and signed by both."""
    with two_nodes(tmp_path) as district:
        for number in range(5):
            district.help_guest(number, minutes=30 + number)
        offer_back(district.host, exchange_id(0), minutes=10)
        district.drain()
        agree_back(district.home)
        district.drain()
        for side in district.sides:
            side.do(lambda session, side=side: state(session, side))  # type: ignore[misc]  # the default binds the loop's value
        district.drain()
        yield district


def state(session: Session, side: Side) -> None:
    service.state_debts(session, side.clock, side.sealer, wire.encode_statement)
    session.flush()
    service.propose_open(session, side.clock, side.sealer, wire.decode_statement)


def statements(district: District) -> list[bytes]:
    """What is in the batch: both of ours among those of others, in the order of its leaves."""
    rows = district.home.ask(lambda session: session.scalars(select(Statement)).all())
    own = sorted((row.payload for row in rows), key=lambda one: wire.decode_statement(one).debtor)
    return [OTHERS[0], own[0], *OTHERS[1:], own[1]]


def settle(
    district: District,
    *,
    round_id: bytes = ROUND,
    transaction: bytes = TRANSACTION,
    block: int = 7,
) -> BatchSettled:
    """The chain has the batch, and both sides have booked it."""
    payloads = statements(district)
    paths = {
        wire.decode_statement(payload).statement_id: proof._packed(merkle.proof(payloads, index))
        for index, payload in enumerate(payloads)
        if payload not in OTHERS
    }

    def keep(session: Session, side: Side) -> None:
        batch = Batch(
            round_id=round_id,
            merkle_root=merkle.root(payloads),
            digest=bytes(32),
            delta_minutes=0,
            signature=bytes(65),
            signed_at=side.clock.now(),
        )
        service.keep_batch(session, batch, list(paths), paths)
        session.flush()
        service.settle(
            session,
            side.clock,
            side.community,
            round_id=round_id,
            transaction="0x" + transaction.hex(),
            block=block,
        )

    for side in district.sides:
        side.do(lambda session, side=side: keep(session, side))  # type: ignore[misc]  # the default binds the loop's value
    return BatchSettled(round_id, merkle.root(payloads), (), block, bytes(32), transaction)


def proven(
    side: Side,
    receipt_id: Any = None,
    *,
    contract: str = "0x" + "ab" * 20,
    chain_id: int = 31337,
) -> Any:
    keys = {
        name: one.key.public_key().public_bytes_raw() for name, one in side.network.sides.items()
    }
    found = side.ask(
        lambda session: proof.prove(
            session,
            side.community,
            exchange_id=receipt_id or exchange_id(2),
            signing_keys=keys,
            contract=contract,
            chain_id=chain_id,
        )
    )
    return json.loads(json.dumps(found))


@pytest.mark.parametrize("number", range(5))
def test_either_side_can_prove_every_hour(district: District, number: int) -> None:
    event = settle(district)
    for side in district.sides:
        found = verify(proven(side, exchange_id(number)), event)
        assert (found.debtor, found.creditor, found.minutes) == (HOME, HOST, 30 + number)
        assert found.kind == "capture"


def test_what_went_back_can_be_proven_too(district: District) -> None:
    event = settle(district)
    found = verify(proven(district.home, reversal_id()), event)
    assert (found.kind, found.debtor, found.minutes) == ("reversal", HOST, 10)


def test_a_proof_names_no_resident(district: District) -> None:
    settle(district)
    text = json.dumps(proven(district.home))
    assert str(ELDER) not in text
    assert str(VOLUNTEER) not in text


def other_root(event: BatchSettled) -> BatchSettled:
    return BatchSettled(event.round_id, bytes(32), (), 7, bytes(32), TRANSACTION)


CHANGES: dict[str, Callable[[Any], None]] = {
    "more minutes": lambda one: one.update(leaf=one["leaf"].replace("|32|", "|320|")),
    "another creditor": lambda one: one.update(leaf=one["leaf"].replace(HOST, "willow-bank")),
    "no path": lambda one: one.update(receipt_path=[]),
    "a path that is no hash": lambda one: one["receipt_path"].append({"side": "left", "hash": ""}),
    "another batch": lambda one: one.update(statement_path=[]),
    "a forged signature": lambda one: one["statement"].update(debtor_signature="00" * 64),
    "another key": lambda one: one["signing_keys"].update({HOST: one["signing_keys"][HOME]}),
    "no key": lambda one: one["signing_keys"].pop(HOST),
    "another round": lambda one: one["batch"].update(round_id="0x" + "00" * 32),
    "no statement": lambda one: one.pop("statement"),
    "a cut statement": lambda one: one["statement"].update(
        payload=one["statement"]["payload"][:20]
    ),
    "another form": lambda one: one.update(format="linli/proof/v2"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_proof_proves_nothing(district: District, change: str) -> None:
    event = settle(district)
    changed = copy.deepcopy(proven(district.home))
    CHANGES[change](changed)
    with pytest.raises(ProofWrong):
        verify(changed, event)


@pytest.mark.parametrize("count", [2, 3, 7, 64, 100])
def test_a_statement_signed_among_many_is_proven_as_well(district: District, count: int) -> None:
    """What leaves together may share one signature: longer than 64 bytes, and as good."""
    event = settle(district)
    found = proven(district.home)
    payload = bytes.fromhex(found["statement"]["payload"])
    others = [number.to_bytes(4, "big") for number in range(count - 1)]
    for place in sorted({0, count // 2, count - 1}):
        signatures = signing.sign_many(
            district.home.key,
            context=signing.STATEMENT,
            payloads=[*others[:place], payload, *others[place:]],
        )
        signature = signatures[place]
        assert len(signature) > signing.SIGNATURE_BYTES
        found["statement"]["debtor_signature"] = signature.hex()
        assert verify(found, event).minutes == 32
        for wrong in (
            signature[:-1],
            signature + bytes(32),
            signature[:64] + signature[96:],
            signature[:66] + b"\0\0" + signature[68:],
            signatures[place - 1] if count > 1 else b"",
            signature[:64],
        ):
            found["statement"]["debtor_signature"] = wrong.hex()
            with pytest.raises(ProofWrong):
                verify(found, event)


def test_the_chain_decides(district: District) -> None:
    event = settle(district)
    with pytest.raises(ProofWrong):
        verify(proven(district.home), other_root(event))
    with pytest.raises(ProofWrong):
        verify(proven(district.home), None)


def test_a_real_chain_is_asked(
    district: District, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The contract's own event, over JSON-RPC; and a file that names another block finds none."""
    with LocalChain(tmp_path / "chain.sqlite") as local:
        chain = found_district(local)
        for number in (1, 2):
            chain.register(number)
        batch = replace(
            chain.batch({1: -150, 2: 150}), merkle_root=merkle.root(statements(district))
        )
        mined = chain.apply(chain.prepare(batch))
        settle(
            district,
            round_id=batch.round_id,
            transaction=mined.transaction_hash,
            block=mined.block_number,
        )
        address = chain.chain.contract_address
        for one, expected in ((exchange_id(3), 33), (reversal_id(), 10)):
            found = proven(district.host, one, contract=address, chain_id=CHAIN_ID)
            file = tmp_path / "proof.json"
            file.write_text(json.dumps(found), encoding="utf-8")
            assert verify_proof.run(file, local.url, as_json=True) == 0
            assert json.loads(capsys.readouterr().out)["minutes"] == expected
        found["batch"]["block"] -= 1
        file.write_text(json.dumps(found), encoding="utf-8")
        assert verify_proof.main([str(file), "--rpc", local.url]) == 2
        found["chain"]["chain_id"] = 1
        file.write_text(json.dumps(found), encoding="utf-8")
        assert verify_proof.main([str(file), "--rpc", local.url]) == 2


def test_a_batch_that_another_transaction_carries_in_the_end_is_proven_by_that(
    district: District,
) -> None:
    """Its first block was undone after we had booked it; what is booked stays, once."""
    settle(district)
    owed = district.home.clearing(HOST)
    event = settle(district, transaction=b"u" * 32, block=9)
    found = proven(district.home)
    assert found["batch"]["block"] == 9
    assert verify(found, event).transaction == "0x" + (b"u" * 32).hex()
    assert district.home.clearing(HOST) == owed


def test_what_is_not_settled_is_not_proven(district: District) -> None:
    with pytest.raises(NotOnChain, match="agreed"):
        proven(district.home)
    with pytest.raises(NotOnChain, match="no receipt"):
        proven(district.home, derived_id("no such"))
    district.help_guest(9, minutes=15)
    with pytest.raises(NotOnChain, match="next statement"):
        proven(district.home, exchange_id(9))


def test_a_way_that_was_damaged_in_the_database_is_not_handed_out(district: District) -> None:
    settle(district)
    proven(district.home)

    def damage(session: Session) -> None:
        for row in session.scalars(select(BatchStatement)):
            assert row.path is not None
            row.path = row.path[:-1] + bytes([row.path[-1] ^ 1])

    district.home.do(damage)
    with pytest.raises(NotOnChain, match="does not lead to the batch's root"):
        proven(district.home)


def test_a_file_that_is_none_is_said_to_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "proof.json"
    assert verify_proof.run(file, "http://127.0.0.1:1", as_json=False) == 2
    for content in ("no json", "{}", "[]", '{"chain": {"contract": 1}}'):
        file.write_text(content, encoding="utf-8")
        assert verify_proof.main([str(file), "--rpc", "http://127.0.0.1:1"]) == 2
    assert "proof.wrong" in capsys.readouterr().err


def test_the_paths_of_a_proposal_are_those_of_our_statements(district: District) -> None:
    rows = district.home.ask(lambda session: session.scalars(select(Statement)).all())
    payloads = [row.payload for row in rows]
    contents = [wire.decode_statement(one) for one in payloads]
    paths = proof.statement_paths(HOME, contents, payloads)
    assert paths.keys() == {row.id for row in rows}
    for content, payload in zip(contents, payloads, strict=True):
        steps = proof._unpacked(paths[content.statement_id])
        assert merkle.is_proven(payload, steps, merkle.root(payloads))
    assert proof.statement_paths("willow-bank", contents, payloads) == {}
