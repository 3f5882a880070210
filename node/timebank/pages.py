"""My hours: what I have, what runs, what help there is, and asking a neighbour for it."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, DomainError
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.residents import service as residents
from node.residents.rules import Scope, clean_phone
from node.timebank import (
    calls,
    pages_exchange,
    pages_listings,
    pages_pool,
    pages_statement,
    rules,
    service,
)
from node.timebank.api import ARBITER_ROLES
from node.timebank.api_listings import TRAINING_ROLES
from node.timebank.model import Exchange
from node.timebank.pages_exchange import Row, planned, reader_of, rows_of
from node.timebank.rules import Act
from node.timebank.words import services, state_names
from node.web import language
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import Card, Link, page
from node.web.session import AnyRequest, Caller, caller, house, require_subject

EXCHANGES_SHOWN = 30  # of mine, on my page


@get("/timebank")
async def show(request: AnyRequest) -> Response[str]:
    """My minutes, what runs, what help there is, and for arbiters what is disputed."""
    who = caller(request)
    resident_id, is_arbiter = reader_of(who), who.has(*ARBITER_ROLES)
    account_id = ledger.resident_account(resident_id, Unit.MINUTES) if resident_id else None
    with house(request).database.read() as session:
        mine = _mine(session, resident_id)
        disputes = service.disputed(session).rows if is_arbiter else ()
        today = house(request).clock.now().astimezone(language.LOCAL_TIME).date()
        return page(
            request,
            "timebank/show.html",
            is_mine=resident_id is not None,
            balance=ledger.balance(session, account_id) if account_id else 0,
            available=ledger.available(session, account_id) if account_id else 0,
            rows=rows_of(session, mine, resident_id),
            disputes=rows_of(session, disputes, None),
            calls=calls.open_calls(session, after=today, reader_id=resident_id),
            services=services(),
            may_train=who.has(*TRAINING_ROLES),
            state_names=state_names(),
        )


@post("/timebank/calls/{day:date}")
async def answer_call(request: AnyRequest, day: FromPath[date]) -> Response[Any]:
    """I come on that day, or I do not after all."""
    _who, resident_id = require_subject(request, Scope.TIMEBANK)
    node, form = house(request), await Form.read(request)

    def command(session: Session) -> None:
        if form.values.get("comes") == "no":
            calls.take_back(session, day=day, resident_id=resident_id)
        else:
            calls.promise(session, node.clock, day=day, resident_id=resident_id)

    await node.database.run(command)
    return Redirect("/timebank", status_code=303)


@get("/timebank/request")
async def show_request(request: AnyRequest) -> Response[str]:
    """The form: what help, from whom, how long."""
    return _request_form(request, Form.of({"minutes": "60", **dict(request.query_params)}))


@post("/timebank/request")
async def ask(request: AnyRequest) -> Response[Any]:
    """Ask a neighbour for help."""
    who, resident_id = require_subject(request, Scope.TIMEBANK)
    node, form = house(request), await Form.read(request)
    kind = form.choice("service", rules.SERVICES)
    minutes = form.integer("minutes", least=1, most=rules.EXCHANGE_MINUTES_MAX)
    phone = form.check("phone", lambda: clean_phone(form.text("phone")))
    planned_at = form.check("planned_at", lambda: planned(form))
    if form.errors or phone is None:
        return _request_form(request, form, status=422)

    def command(session: Session) -> None:
        service.request(
            session,
            node.clock,
            exchange_id=form.id,
            provider_id=residents.with_phone(session, phone),
            receiver_id=resident_id,
            service=kind,
            minutes=minutes,
            planned_at=planned_at,
            recorded_by=who.recorder(resident_id),
        )

    try:
        await node.database.run(command)
    except BadInput as refusal:
        name = "planned_at" if refusal.details["field"] == "planned_at" else "phone"
        form.errors[name] = _(str(refusal.details["problem"]))
    except DomainError as refusal:
        form.refuse(refusal, "minutes")
    if form.errors:
        return _request_form(request, form, status=422)
    return Redirect(f"/timebank/exchanges/{form.id}", status_code=303)


def card(request: AnyRequest, session: Session, who: Caller) -> Card | None:
    """My minutes, and what waits for me, on the home page."""
    resident_id, links = reader_of(who), [Link("/timebank", _("Time bank"))]
    if resident_id is None:
        return Card(_("Time bank"), [_("An hour of help for an hour of help.")], links)
    balance = ledger.balance(session, ledger.resident_account(resident_id, Unit.MINUTES))
    lines = [_("You have %(minutes)s minutes.") % {"minutes": balance}]
    mine = rows_of(session, _mine(session, resident_id), resident_id)
    if count := sum(1 for row in mine if _waits_for(row)):
        lines.append(_("%(count)s exchanges wait for your answer.") % {"count": count})
    return Card(_("Time bank"), lines, [*links, Link("/timebank/request", _("Ask for help"))])


def _mine(session: Session, resident_id: UUID | None) -> Sequence[Exchange]:
    if resident_id is None:
        return ()
    return service.exchanges_of(session, resident_id, limit=EXCHANGES_SHOWN).rows


def _waits_for(row: Row) -> bool:
    return bool({Act.ACCEPT, Act.CONFIRM} & set(row.acts))


def _request_form(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    _who, resident_id = require_subject(request, Scope.TIMEBANK)
    account_id = ledger.resident_account(resident_id, Unit.MINUTES)
    with house(request).database.read() as session:
        available = ledger.available(session, account_id)
    return page(
        request,
        "timebank/request.html",
        status=status,
        form=form,
        available=available,
        options=[(code, name) for code, name, _standard in services()],
        step=rules.STEP_MINUTES,
    )


routes = [
    answer_call,
    show,
    show_request,
    ask,
    *pages_exchange.routes,
    *pages_listings.routes,
    *pages_statement.routes,
    *pages_pool.routes,
]
