"""What proves an hour to anybody: a receipt, its way into a statement, a batch, and the chain.

The file names communities, ids and minutes, no resident. Who holds it shows that these minutes are
in a batch that both communities signed and the chain has; `linli-sim verify-proof` checks it with
none of this code.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import receipts
from node.exchange.model import ReceiptRecord
from node.kernel import merkle
from node.kernel.errors import DomainError
from node.kernel.merkle import Step
from node.settlement.messages import StatementContent
from node.settlement.model import Batch, BatchStatement, Statement

FORMAT = "linli/proof/v1"
STEP_BYTES = 33  # one for the side, 32 for the neighbour's hash
LEFT, RIGHT = "left", "right"


class NotOnChain(DomainError):
    code = "settlement.not_on_chain"
    message = "{exchange} is not in a batch that the chain has settled: {problem}."


def statement_paths(
    community: str, contents: Sequence[StatementContent], payloads: Sequence[bytes]
) -> dict[UUID, bytes]:
    """From each statement of ours to the batch's Merkle root, as it is kept."""
    return {
        content.statement_id: _packed(merkle.proof(payloads, index))
        for index, content in enumerate(contents)
        if community in (content.debtor, content.creditor)
    }


def prove(
    session: Session,
    community: str,
    *,
    exchange_id: UUID,
    signing_keys: Mapping[str, bytes],
    contract: str,
    chain_id: int,
) -> dict[str, Any]:
    """The proof of one receipt as JSON; raises NotOnChain where it is not settled yet."""
    record = session.get(ReceiptRecord, exchange_id)
    if record is None:
        raise NotOnChain(exchange=str(exchange_id), problem="there is no receipt of it")
    statement, batch, path = _settled(session, record)
    ordered = select(ReceiptRecord).where(ReceiptRecord.statement_id == statement.id)
    lines = [
        receipts.line_of(one, community)
        for one in session.scalars(ordered.order_by(ReceiptRecord.exchange_id))
    ]
    lines.sort(key=lambda line: line.id)
    index = [line.id for line in lines].index(exchange_id)
    steps = merkle.proof([receipts.leaf_of(line) for line in lines], index)
    assert statement.creditor_signature is not None, "only signed statements are settled"
    return {
        "format": FORMAT,
        "leaf": receipts.leaf_of(lines[index]).decode(),
        "receipt_path": _readable(steps),
        "statement": {
            "payload": statement.payload.hex(),
            "debtor": statement.debtor,
            "creditor": statement.creditor,
            "debtor_signature": statement.debtor_signature.hex(),
            "creditor_signature": statement.creditor_signature.hex(),
        },
        "signing_keys": {
            side: signing_keys[side].hex()
            for side in (statement.debtor, statement.creditor)
            if side in signing_keys
        },
        "statement_path": _readable(_unpacked(path)),
        "batch": {
            "round_id": "0x" + batch.round_id.hex(),
            "transaction": batch.transaction_hash,
            "block": batch.block_number,
        },
        "chain": {"chain_id": chain_id, "contract": batch.contract or contract},
    }


def _settled(session: Session, record: ReceiptRecord) -> tuple[Statement, Batch, bytes]:
    name = str(record.exchange_id)
    if record.statement_id is None:
        raise NotOnChain(exchange=name, problem="it waits for the next statement")
    statement = session.get_one(Statement, record.statement_id)
    in_batch = (
        select(Batch, BatchStatement.path)
        .join(BatchStatement, BatchStatement.round_id == Batch.round_id)
        .where(
            BatchStatement.statement_id == statement.id,
            Batch.transaction_hash.is_not(None),
            Batch.transaction_hash == statement.transaction_hash,
        )
    )
    found = session.execute(in_batch).first()
    if found is None:
        raise NotOnChain(exchange=name, problem=f"its statement is {statement.state}")
    if found.path is None:
        raise NotOnChain(exchange=name, problem="its way to the batch's root was not kept")
    if not merkle.is_proven(statement.payload, _unpacked(found.path), found.Batch.merkle_root):
        raise NotOnChain(exchange=name, problem="what was kept does not lead to the batch's root")
    return statement, found.Batch, found.path


def _packed(steps: Sequence[Step]) -> bytes:
    return b"".join(bytes([step.is_left]) + step.neighbour for step in steps)


def _unpacked(path: bytes) -> list[Step]:
    return [
        Step(path[start + 1 : start + STEP_BYTES], is_left=bool(path[start]))
        for start in range(0, len(path), STEP_BYTES)
    ]


def _readable(steps: Sequence[Step]) -> list[dict[str, str]]:
    return [
        {"side": LEFT if step.is_left else RIGHT, "hash": step.neighbour.hex()} for step in steps
    ]
