"""What can be promised next door, gift codes and gifts, as JSON."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.orm import Session

from node.exchange import gift, limits, rules
from node.exchange.house import ActedBy, SaidConsent, acting, sealer_of, trading_house
from node.exchange.model import Gift, GiftCode
from node.kernel.errors import NotFound
from node.kernel.ids import new_code
from node.residents.rules import Role, Scope
from node.web import idempotency
from node.web.session import AnyRequest, require_for, require_subject


class GiftBody(msgspec.Struct):
    resident_id: UUID
    code: str
    minutes: int
    consent: SaidConsent = None
    acted_by: ActedBy = None


@get("/api/exchange/quote")
async def show_quote(request: AnyRequest, host: FromQuery[str]) -> dict[str, Any]:
    """How much the caller (or whom they act for) can promise to `host`, and which limit says so.

    The host's own limit is its word of `told_at`; a fresh one is asked for in the background.
    """
    _who, resident_id = require_subject(request, Scope.TIMEBANK)
    node = trading_house(request)
    sealer = sealer_of(node)

    def command(session: Session) -> limits.Quote:
        found = limits.quote(
            session,
            node.clock,
            resident_id=resident_id,
            host=host,
            debt_limit_minutes=node.debt_limit_minutes,
        )
        limits.ask_headroom(session, node.clock, sealer, host)
        return found

    return quote_as_json(await node.database.run(command))


@post("/api/gift-codes")
async def make_code(request: AnyRequest) -> dict[str, Any]:
    """A code under which the caller (or whom they act for) can be given minutes."""
    who, resident_id = require_subject(request, Scope.TIMEBANK)
    node = trading_house(request)
    sealer_of(node)
    code = new_code(rules.GIFT_CODE_LENGTH)

    def command(session: Session) -> dict[str, Any]:
        made = gift.make_code(
            session,
            node.clock,
            code=code,
            resident_id=resident_id,
            made_by=who.recorder(resident_id),
        )
        return code_as_json(node.community, made)

    return await node.database.run(command)


@get("/api/gift-codes")
async def show_codes(request: AnyRequest) -> list[dict[str, Any]]:
    """The caller's codes that are in use."""
    _who, resident_id = require_subject(request, Scope.TIMEBANK)
    node = trading_house(request)
    with node.database.read() as session:
        mine = gift.codes_of(session, resident_id)
        return [code_as_json(node.community, one) for one in mine]


@post("/api/gift-codes/{code:str}/withdraw", status_code=200)
async def withdraw_code(request: AnyRequest, code: FromPath[str]) -> dict[str, Any]:
    """No more gifts under this code."""
    node = trading_house(request)
    _here, short = rules.split_code(code, length=rules.GIFT_CODE_LENGTH)
    with node.database.read() as session:
        found = session.get(GiftCode, short)
        if found is None:
            raise NotFound(what="gift code", id=code)
        require_for(request, found.resident_id, Scope.TIMEBANK)
    return await node.database.run(
        lambda session: code_as_json(
            node.community, gift.withdraw_code(session, node.clock, code=short)
        )
    )


@post("/api/gifts")
async def give(request: AnyRequest, data: JSONBody[GiftBody]) -> dict[str, Any]:
    """Give minutes of a resident to whoever handed out the code (themselves, or acting)."""
    who = require_for(request, data.resident_id, Scope.TIMEBANK)
    node, gift_id = trading_house(request), idempotency.key(request)
    sealer = sealer_of(node)

    def command(session: Session) -> dict[str, Any]:
        acts = acting(
            session,
            node.clock,
            who,
            data.resident_id,
            consent=data.consent,
            acted_by=data.acted_by,
        )
        return gift_as_json(
            gift.send_gift(
                session,
                node.clock,
                sealer,
                gift_id=gift_id,
                resident_id=data.resident_id,
                recorded_by=acts.by,
                consent=acts.consent,
                code=data.code,
                minutes=data.minutes,
                debt_limit_minutes=node.debt_limit_minutes,
            )
        )

    return await node.database.run(command)


@get("/api/gifts/{gift_id:uuid}")
async def show_gift(request: AnyRequest, gift_id: FromPath[UUID]) -> dict[str, Any]:
    """One gift and where it stands (its resident here, or the desk)."""
    with trading_house(request).database.read() as session:
        found = session.get(Gift, gift_id)
        if found is None:
            raise NotFound(what="gift", id=str(gift_id))
        require_for(request, found.resident_id, Scope.TIMEBANK, Role.OPERATOR)
        return gift_as_json(found)


def quote_as_json(quote: limits.Quote) -> dict[str, Any]:
    """A quote as the API shows it; null: the host has not told us yet."""
    return {
        "host": quote.host,
        "available_minutes": quote.suggested_max_minutes,
        "limits": {
            "own_minutes": quote.own_minutes,
            "all_peers_minutes": quote.all_peers_minutes,
            "peer_minutes": quote.peer_minutes,
            "peer_told_at": quote.told_at.isoformat() if quote.told_at else None,
        },
        "suggested_max_minutes": quote.suggested_max_minutes,
    }


def code_as_json(community: str, found: GiftCode) -> dict[str, Any]:
    """A gift code as it is handed out."""
    return {
        "code": rules.full_code(home=community, code=found.code),
        "resident_id": str(found.resident_id),
        "is_in_use": found.withdrawn_at is None,
    }


def gift_as_json(found: Gift) -> dict[str, Any]:
    """A gift as the API shows it."""
    return {
        "id": str(found.id),
        "resident_id": str(found.resident_id),
        "peer": found.peer,
        "minutes": found.minutes,
        "state": found.state,
        "refusal": found.refusal,
        "consent": found.consent,
        "acted_by": str(found.recorded_by) if found.recorded_by else None,
        "made_at": found.made_at.isoformat(),
    }


routes = [show_quote, make_code, show_codes, withdraw_code, give, show_gift]
