"""Disputes, limits, comparisons and evidence, as JSON."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import claim, compare, dispute, evidence, limits, receipts
from node.exchange.house import ARBITERS, DESK, WATCHERS, sealer_of, trading_house
from node.exchange.model import Dispute, Evidence, PeerLimit, ReceiptRecord
from node.exchange.refusals import ReceiptUnknown
from node.kernel.errors import NotAllowed
from node.kernel.messages import Sealer
from node.residents.rules import Scope
from node.web import idempotency
from node.web.session import AnyRequest, Caller, require

ROWS_MAX = 200


class DisputeBody(msgspec.Struct):
    exchange_id: UUID
    code: str
    minutes: int
    words: str = ""


class AnswerBody(msgspec.Struct):
    code: str
    minutes: int
    words: str = ""


class MinutesBody(msgspec.Struct):
    minutes: int


class LimitBody(msgspec.Struct):
    peer: str
    minutes: int


@get("/api/receipts/{exchange_id:uuid}")
async def show_receipt(request: AnyRequest, exchange_id: FromPath[UUID]) -> dict[str, Any]:
    """What one side owes the other for an exchange, gift or reversal (desk, arbiters)."""
    require(request, *DESK, *ARBITERS, *WATCHERS)
    node = trading_house(request)
    with node.database.read() as session:
        record = session.get(ReceiptRecord, exchange_id)
        if record is None:
            raise ReceiptUnknown(exchange=str(exchange_id))
        line = receipts.line_of(record, node.community)
        return {
            "id": str(line.id),
            "kind": line.kind,
            "debtor": line.debtor,
            "creditor": line.creditor,
            "minutes": line.minutes,
            "captured_at": line.captured_at.isoformat(),
            "refers_to": str(line.refers_to) if line.refers_to else None,
            "is_settled": record.settled_at is not None,
        }


@post("/api/disputes")
async def open_dispute(request: AnyRequest, data: JSONBody[DisputeBody]) -> dict[str, Any]:
    """Say that an exchange was not so: the resident of it here, or the desk."""
    node, dispute_id = trading_house(request), idempotency.key(request)
    who = require_party(request, data.exchange_id)
    return await _say(
        request,
        lambda session, sealer: dispute_as_json(
            dispute.open_dispute(
                session,
                node.clock,
                sealer,
                dispute_id=dispute_id,
                exchange_id=data.exchange_id,
                code=data.code,
                minutes=data.minutes,
                words=data.words,
                recorded_by=who.hand,
            )
        ),
    )


@get("/api/disputes")
async def show_disputes(request: AnyRequest) -> list[dict[str, Any]]:
    """Disputes with other communities, those that need somebody first (desk, arbiters)."""
    require(request, *DESK, *ARBITERS, *WATCHERS)
    with trading_house(request).database.read() as session:
        return [dispute_as_json(one) for one in dispute.latest(session)]


@get("/api/disputes/{dispute_id:uuid}")
async def show_dispute(request: AnyRequest, dispute_id: FromPath[UUID]) -> dict[str, Any]:
    """One dispute, with what our side wrote (desk, arbiters)."""
    require(request, *DESK, *ARBITERS)
    with trading_house(request).database.read() as session:
        found = dispute.find(session, dispute_id)
        said = claim.of(session, found)
        claimed = {"their_receipt_minutes": said.minutes if said else None}
        return dispute_as_json(found) | {"words": found.words} | claimed


@post("/api/disputes/{dispute_id:uuid}/answer", status_code=200)
async def answer_dispute(
    request: AnyRequest, dispute_id: FromPath[UUID], data: JSONBody[AnswerBody]
) -> dict[str, Any]:
    """Our side's word in a dispute that the other community opened (desk)."""
    who, node = require(request, *DESK), trading_house(request)
    return await _say(
        request,
        lambda session, sealer: dispute_as_json(
            dispute.answer(
                session,
                node.clock,
                sealer,
                dispute_id=dispute_id,
                code=data.code,
                minutes=data.minutes,
                words=data.words,
                recorded_by=who.hand,
            )
        ),
    )


@post("/api/disputes/{dispute_id:uuid}/judge", status_code=200)
async def judge_dispute(
    request: AnyRequest, dispute_id: FromPath[UUID], data: JSONBody[MinutesBody]
) -> dict[str, Any]:
    """Our arbiter's verdict: these minutes go back; 0: none (social worker, secretary)."""
    who, node = require(request, *ARBITERS), trading_house(request)
    return await _say(
        request,
        lambda session, sealer: dispute_as_json(
            dispute.judge(
                session,
                node.clock,
                sealer,
                dispute_id=dispute_id,
                minutes=data.minutes,
                arbiter=who.hand,
            )
        ),
    )


@post("/api/disputes/{dispute_id:uuid}/carry-out", status_code=200)
async def carry_out(request: AnyRequest, dispute_id: FromPath[UUID]) -> dict[str, Any]:
    """Try again to pay back an agreed verdict (social worker, secretary)."""
    who, node = require(request, *ARBITERS), trading_house(request)
    return await _say(
        request,
        lambda session, sealer: dispute_as_json(
            dispute.carry_out(
                session,
                node.clock,
                sealer,
                dispute_id=dispute_id,
                decided_by=who.hand,
            )
        ),
    )


@get("/api/exchange/limits")
async def show_limits(request: AnyRequest) -> list[dict[str, Any]]:
    """Each time a limit was set, the latest first (operator)."""
    require(request, *WATCHERS)
    with trading_house(request).database.read() as session:
        rows = select(PeerLimit).order_by(PeerLimit.id.desc()).limit(ROWS_MAX)
        return [
            {"peer": row.peer, "minutes": row.minutes, "set_at": row.set_at.isoformat()}
            for row in session.scalars(rows)
        ]


@post("/api/exchange/limits")
async def set_limit(request: AnyRequest, data: JSONBody[LimitBody]) -> dict[str, Any]:
    """Set what a community (`*`: all together) may owe us (operator); it is recorded."""
    who, node = require(request, *WATCHERS), trading_house(request)
    await node.database.run(
        lambda session: limits.set_limit(
            session, node.clock, peer=data.peer, minutes=data.minutes, set_by=who.actor
        )
    )
    return {"peer": data.peer, "minutes": data.minutes}


@get("/api/exchange/comparisons")
async def show_comparisons(request: AnyRequest) -> list[dict[str, Any]]:
    """What was compared with each neighbour, newest days first (operator)."""
    require(request, *WATCHERS)
    with trading_house(request).database.read() as session:
        return [
            {
                "peer": row.peer,
                "day": row.day,
                "state": row.state,
                "missing_here": row.missing_here,
                "missing_there": row.missing_there,
                "differing": row.differing,
                "repaired": row.repaired,
            }
            for row in compare.comparisons(session)
        ]


@get("/api/exchange/evidence")
async def show_evidence(request: AnyRequest) -> list[dict[str, Any]]:
    """What neighbours signed and should not have (operator)."""
    require(request, *WATCHERS)
    with trading_house(request).database.read() as session:
        return [evidence_as_json(one) for one in evidence.latest(session)]


def require_party(request: AnyRequest, exchange_id: UUID) -> Caller:
    """Who asks, if they work at the desk or the exchange is their own (or their elder's)."""
    who = require(request)
    if who.has(*DESK, *ARBITERS):
        return who
    with trading_house(request).database.read() as session:
        resident_id = receipts.our_resident(session, exchange_id)
    if resident_id is None or not who.may_act_for(resident_id, Scope.TIMEBANK):
        raise NotAllowed(what=request.url.path)
    return who


def dispute_as_json(row: Dispute) -> dict[str, Any]:
    """A dispute as the API shows it, without what people wrote."""
    return {
        "id": str(row.id),
        "exchange_id": str(row.exchange_id),
        "peer": row.peer,
        "is_ours": row.is_ours,
        "state": row.state,
        "our_code": row.our_code,
        "our_minutes": row.our_minutes,
        "their_code": row.their_code,
        "their_minutes": row.their_minutes,
        "our_verdict": row.our_verdict,
        "their_verdict": row.their_verdict,
        "verdict_minutes": row.verdict_minutes,
        "refusal": row.refusal,
    }


def evidence_as_json(row: Evidence) -> dict[str, Any]:
    """A piece of evidence: who, what, when, and the bytes that prove it."""
    return {
        "peer": row.peer,
        "kind": row.kind,
        "at": row.at.isoformat(),
        "payload": row.payload.hex(),
        "signature": row.signature.hex(),
    }


async def _say(
    request: AnyRequest, command: Callable[[Session, Sealer], dict[str, Any]]
) -> dict[str, Any]:
    node = trading_house(request)
    sealer = sealer_of(node)
    return await node.database.run(lambda session: command(session, sealer))


routes = [
    show_receipt,
    open_dispute,
    show_disputes,
    show_dispute,
    answer_dispute,
    judge_dispute,
    carry_out,
    show_limits,
    set_limit,
    show_comparisons,
    show_evidence,
]
