"""Minutes on their way back, as JSON: who decides for the resident, and how the resident agreed."""

from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody
from sqlalchemy.orm import Session

from node.exchange import receipts, reversal
from node.exchange.house import (
    DESK,
    WATCHERS,
    ActedBy,
    SaidConsent,
    TradingHouse,
    acting,
    sealer_of,
    trading_house,
)
from node.exchange.model import Reversal
from node.kernel.errors import BadInput, NotAllowed, NotFound
from node.kernel.messages import Sealer
from node.web import idempotency
from node.web.session import AnyRequest, Caller, require


class ReversalBody(msgspec.Struct):
    exchange_id: UUID
    minutes: int
    act: str  # ask, or offer
    consent: SaidConsent = None
    acted_by: ActedBy = None


class DecisionBody(msgspec.Struct):
    consent: SaidConsent = None
    acted_by: ActedBy = None


class Said(NamedTuple):
    """What somebody at the desk says when they decide for a resident."""

    who: Caller
    consent: str | None
    acted_by: UUID | None = None


@post("/api/reversals")
async def begin_reversal(request: AnyRequest, data: JSONBody[ReversalBody]) -> dict[str, Any]:
    """Ask for minutes back, or offer them back (desk); `act` says which."""
    said = Said(require(request, *DESK), data.consent, data.acted_by)
    if data.act not in ("ask", "offer"):
        raise BadInput(field="act", problem="ask or offer")
    reversal_id, node = idempotency.key(request), trading_house(request)
    return await _say(
        node,
        lambda session, sealer: begin(
            session,
            node,
            sealer,
            act=data.act,
            reversal_id=reversal_id,
            exchange_id=data.exchange_id,
            minutes=data.minutes,
            said=said,
        ),
    )


@get("/api/reversals/{reversal_id:uuid}")
async def show_reversal(request: AnyRequest, reversal_id: FromPath[UUID]) -> dict[str, Any]:
    """One reversal and where it stands (desk)."""
    require(request, *DESK, *WATCHERS)
    with trading_house(request).database.read() as session:
        return reversal_as_json(find(session, reversal_id))


@post("/api/reversals/{reversal_id:uuid}/{act:str}", status_code=200)
async def go_on_with_reversal(
    request: AnyRequest,
    reversal_id: FromPath[UUID],
    act: FromPath[str],
    data: JSONBody[DecisionBody | None] = None,
) -> dict[str, Any]:
    """Offer what was asked for, agree to what was offered, or decline (desk)."""
    who, node = require(request, *DESK), trading_house(request)
    said = Said(who, data.consent, data.acted_by) if data else Said(who, None)
    return await _say(
        node,
        lambda session, sealer: step(
            session, node, sealer, reversal_id=reversal_id, act=act, said=said
        ),
    )


def begin(
    session: Session,
    node: TradingHouse,
    sealer: Sealer,
    *,
    act: str,
    reversal_id: UUID,
    exchange_id: UUID,
    minutes: int,
    said: Said,
) -> Reversal:
    """Ask for minutes of an exchange, or offer them, for our resident in it."""
    resident_id = receipts.our_resident(session, exchange_id)
    decided_by, consent = _decided(session, node, said, resident_id)
    return (reversal.ask if act == "ask" else reversal.offer)(
        session,
        node.clock,
        sealer,
        reversal_id=reversal_id,
        exchange_id=exchange_id,
        minutes=minutes,
        decided_by=decided_by,
        consent=consent,
    )


def step(
    session: Session,
    node: TradingHouse,
    sealer: Sealer,
    *,
    reversal_id: UUID,
    act: str,
    said: Said,
) -> Reversal:
    """One of the three steps that people take with a reversal. To decline needs no consent."""
    if act not in ("agree", "decline", "offer"):
        raise NotAllowed(what=act)
    if act == "decline":
        return reversal.decline(
            session, node.clock, sealer, reversal_id=reversal_id, decided_by=said.who.hand
        )
    row = find(session, reversal_id)
    decided_by, consent = _decided(session, node, said, row.resident_id)
    if act == "agree":
        return reversal.agree(
            session,
            node.clock,
            sealer,
            reversal_id=reversal_id,
            decided_by=decided_by,
            consent=consent,
        )
    return reversal.offer(
        session,
        node.clock,
        sealer,
        reversal_id=row.id,
        exchange_id=row.exchange_id,
        minutes=row.minutes,
        decided_by=decided_by,
        consent=consent,
    )


def find(session: Session, reversal_id: UUID) -> Reversal:
    """The reversal with this id; refuses an unknown one."""
    found = session.get(Reversal, reversal_id)
    if found is None:
        raise NotFound(what="reversal", id=str(reversal_id))
    return found


def reversal_as_json(row: Reversal) -> dict[str, Any]:
    """A reversal as the API shows it."""
    return {
        "id": str(row.id),
        "exchange_id": str(row.exchange_id),
        "peer": row.peer,
        "gives_back": row.gives_back,
        "minutes": row.minutes,
        "state": row.state,
        "refusal": row.refusal,
        "dispute_id": str(row.dispute_id) if row.dispute_id else None,
        "consent": row.consent,
        "acted_by": str(row.decided_by) if row.decided_by else None,
    }


def _decided(
    session: Session, node: TradingHouse, said: Said, resident_id: UUID | None
) -> tuple[UUID | None, str | None]:
    """Who decides, and how the resident agreed; the house's own minutes need nobody's consent."""
    if resident_id is None:
        return said.who.hand, None
    acts = acting(
        session,
        node.clock,
        said.who,
        resident_id,
        consent=said.consent,
        acted_by=said.acted_by,
    )
    return acts.by, acts.consent


async def _say(
    node: TradingHouse, command: Callable[[Session, Sealer], Reversal]
) -> dict[str, Any]:
    sealer = sealer_of(node)
    return await node.database.run(lambda session: reversal_as_json(command(session, sealer)))


routes = [begin_reversal, show_reversal, go_on_with_reversal]
