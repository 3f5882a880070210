"""Give minutes to somebody next door, and the codes under which a resident here receives them."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import gift, limits, rules
from node.exchange.house import TradingHouse, consent_of, sealer_of, trading_house
from node.exchange.model import Gift, GiftCode
from node.exchange.reasons import reason
from node.exchange.rules import Consent, GiftState
from node.kernel.errors import DomainError, NotFound
from node.kernel.ids import new_code
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.residents import service as residents
from node.residents.model import Resident
from node.residents.rules import ACTING_ROLES, Scope
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest, Caller, require_for, require_subject

ROWS_MAX = 50


def gift_state(state: str) -> str:
    """A gift's state in the reader's language."""
    return {
        GiftState.SENT: _("on its way"),
        GiftState.ACCEPTED: _("arrived"),
        GiftState.REFUSED: _("not taken; given back"),
        GiftState.RECEIVED: _("received"),
    }[GiftState(state)]


def consents() -> list[tuple[str, str]]:
    """How a resident can have agreed, for the desk's forms."""
    return [
        (Consent.IN_PERSON, _("They are here and say yes")),
        (Consent.TELEPHONE, _("They said yes on the telephone")),
        (Consent.WRITTEN, _("They signed for it")),
    ]


def acted_for(session: Session, by: UUID | None, consent: str) -> str:
    """Who did it for the resident, and how they had agreed; empty where nobody acted."""
    if by is None:
        return ""
    found = session.get(Resident, by)
    name = found.name if found is not None else _("a program")
    words = dict(consents()) | {
        Consent.SELF: "",
        Consent.PROXY: _("Their relative, under an agreement that they made"),
        Consent.UNSTATED: _("how they agreed was not said"),
    }
    said = words.get(Consent(consent), "")
    return f"{name} · {said}" if said else name


def needs_consent(who: Caller, resident_id: UUID) -> bool:
    """Whether staff acts for somebody else, and has to say how they agreed."""
    return who.resident_id != resident_id and who.has(*ACTING_ROLES)


def consent_in(form: Form, who: Caller, resident_id: UUID) -> str:
    """The consent that a form brings; where staff acts, it has to be chosen."""
    said = None
    if needs_consent(who, resident_id):
        said = form.choice("consent", [code for code, _name in consents()])
    return consent_of(who, resident_id, said)


@get("/exchange/gifts/new")
async def new_gift(request: AnyRequest) -> Response[str]:
    """The form: to whom, by code, and how long; what is available is said first."""
    return _new_gift(request, Form())


@post("/exchange/gifts/new")
async def give(request: AnyRequest) -> Response[Any]:
    """Hold the minutes and send the order."""
    who, resident_id = require_subject(request, Scope.TIMEBANK)
    node, form = trading_house(request), await Form.read(request)
    sealer = sealer_of(node)
    code = form.text("code", most=100)
    minutes = form.integer("minutes", least=15, most=rules.MINUTES_MAX)
    consent = consent_in(form, who, resident_id)
    if form.errors:
        return _new_gift(request, form, status=422)

    def command(session: Session) -> UUID:
        return gift.send_gift(
            session,
            node.clock,
            sealer,
            gift_id=form.id,
            resident_id=resident_id,
            recorded_by=who.recorder(resident_id),
            consent=consent,
            code=code,
            minutes=minutes,
            debt_limit_minutes=node.debt_limit_minutes,
        ).id

    try:
        gift_id = await node.database.run(command)
    except DomainError as refusal:
        form.refuse(refusal, "minutes")
        return _new_gift(request, form, status=422)
    return Redirect(f"/exchange/gifts/{gift_id}", status_code=303)


@get("/exchange/gifts/{gift_id:uuid}")
async def show_gift(request: AnyRequest, gift_id: FromPath[UUID]) -> Response[str]:
    """One gift and where it stands."""
    node = trading_house(request)
    with node.database.read() as session:
        found = session.get(Gift, gift_id)
        if found is None:
            raise NotFound(what="gift", id=str(gift_id))
        require_for(request, found.resident_id, Scope.TIMEBANK)
        return page(
            request,
            "exchange/gift.html",
            gift=found,
            state=gift_state(found.state),
            reason=reason,
            states=GiftState,
            is_paid=found.state in (GiftState.ACCEPTED, GiftState.RECEIVED),
            is_received=found.state == GiftState.RECEIVED,
            owner=residents.resident(session, found.resident_id).name,
            acted=acted_for(session, found.recorded_by, found.consent),
            peer=dict(node.neighbours()).get(found.peer, found.peer),
        )


@get("/exchange/codes")
async def show_codes(request: AnyRequest) -> Response[str]:
    """My gift codes, to hand out or to take back."""
    return _codes(request, Form())


@post("/exchange/codes")
async def make_code(request: AnyRequest) -> Response[Any]:
    """One more code."""
    who, resident_id = require_subject(request, Scope.TIMEBANK)
    node, form = trading_house(request), await Form.read(request)
    sealer_of(node)
    code = new_code(rules.GIFT_CODE_LENGTH)
    try:
        await node.database.run(
            lambda session: (
                gift.make_code(
                    session,
                    node.clock,
                    code=code,
                    resident_id=resident_id,
                    made_by=who.recorder(resident_id),
                ).code
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "code")
        return _codes(request, form, status=422)
    return Redirect("/exchange/codes", status_code=303)


@post("/exchange/codes/{code:str}/withdraw")
async def withdraw_code(request: AnyRequest, code: FromPath[str]) -> Redirect:
    """Nobody can give under this code any more."""
    node = trading_house(request)
    with node.database.read() as session:
        found = session.get(GiftCode, code)
        if found is None:
            raise NotFound(what="gift code", id=code)
        require_for(request, found.resident_id, Scope.TIMEBANK)
    await node.database.run(lambda session: gift.withdraw_code(session, node.clock, code=code).code)
    return Redirect("/exchange/codes", status_code=303)


def gifts_of(session: Session, resident_id: UUID) -> list[Gift]:
    """A resident's gifts, given and received, newest first."""
    mine = select(Gift).where(Gift.resident_id == resident_id)
    return list(session.scalars(mine.order_by(Gift.made_at.desc()).limit(ROWS_MAX)))


def available_minutes(session: Session, node: TradingHouse, resident_id: UUID) -> int:
    """What a resident can promise to anybody next door, before a community is chosen."""
    own = ledger.available(session, ledger.resident_account(resident_id, Unit.MINUTES))
    headroom = limits.debt_headroom(session, node.debt_limit_minutes)
    return max(0, min(own, headroom, rules.MINUTES_MAX))


def _new_gift(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    who, resident_id = require_subject(request, Scope.TIMEBANK)
    node = trading_house(request)
    with node.database.read() as session:
        available = available_minutes(session, node, resident_id)
    return page(
        request,
        "exchange/new_gift.html",
        status=status,
        form=form,
        available=available,
        consents=consents() if needs_consent(who, resident_id) else [],
    )


def _codes(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    _who, resident_id = require_subject(request, Scope.TIMEBANK)
    node = trading_house(request)
    with node.database.read() as session:
        codes = [
            (one.code, rules.full_code(home=node.community, code=one.code), one.made_at)
            for one in gift.codes_of(session, resident_id)
        ]
    return page(
        request,
        "exchange/codes.html",
        status=status,
        form=form,
        codes=codes,
        limit=rules.GIFT_CODES_MAX,
    )


routes = [new_gift, give, show_gift, show_codes, make_code, withdraw_code]
