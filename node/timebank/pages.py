"""My hours: what I give and get, asking a neighbour, one exchange, my statement of account."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, DomainError, NotAllowed
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.residents import service as residents
from node.residents.model import Resident
from node.residents.rules import Scope, clean_phone
from node.timebank import calls, pages_pool, rules, service
from node.timebank.api import ARBITER_ROLES, actor, arbiter, may_see, recorder
from node.timebank.model import Exchange
from node.timebank.rules import Act, ExchangeState, Side, Training
from node.timebank.service import Actor
from node.web import language
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import Card, Link, page
from node.web.session import AnyRequest, Caller, caller, house, require, require_subject


class Row(NamedTuple):
    """One exchange as its reader sees it."""

    exchange: Exchange
    side: Side | None
    other: str
    acts: tuple[Act, ...]


@get("/timebank")
async def show(request: AnyRequest) -> Response[str]:
    """My minutes, what runs, what help there is, and for arbiters what is disputed."""
    who = caller(request)
    resident_id, is_arbiter = _reader(who), who.has(*ARBITER_ROLES)
    account_id = ledger.resident_account(resident_id, Unit.MINUTES) if resident_id else None
    with house(request).database.read() as session:
        mine = service.exchanges_of(session, resident_id) if resident_id else ()
        disputes = service.disputed(session) if is_arbiter else ()
        today = house(request).clock.now().astimezone(language.LOCAL_TIME).date()
        return page(
            request,
            "timebank/show.html",
            is_mine=resident_id is not None,
            balance=ledger.balance(session, account_id) if account_id else 0,
            available=ledger.available(session, account_id) if account_id else 0,
            rows=_rows(session, mine, resident_id),
            disputes=_rows(session, disputes, None),
            calls=calls.open_calls(session, after=today, reader_id=resident_id),
            services=_services(),
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
    if form.errors or phone is None:
        return _request_form(request, form, status=422)

    def command(session: Session) -> None:
        service.request(
            session,
            node.clock,
            exchange_id=form.id,
            provider_id=_with_phone(session, phone),
            receiver_id=resident_id,
            service=kind,
            minutes=minutes,
            recorded_by=recorder(who, resident_id),
        )

    try:
        await node.database.run(command)
    except BadInput as refusal:
        form.errors["phone"] = _(str(refusal.details["problem"]))
    except DomainError as refusal:
        form.refuse(refusal, "minutes")
    if form.errors:
        return _request_form(request, form, status=422)
    return Redirect(f"/timebank/exchanges/{form.id}", status_code=303)


@get("/timebank/statement")
async def statement(request: AnyRequest) -> Response[str]:
    """Every movement on my account and what stood after it."""
    _who, resident_id = require_subject(request, Scope.TIMEBANK)
    account_id = ledger.resident_account(resident_id, Unit.MINUTES)
    with house(request).database.read() as session:
        return page(
            request,
            "timebank/statement.html",
            lines=service.statement(session, resident_id),
            balance=ledger.balance(session, account_id),
            reason_names=reason_names(),
        )


@get("/timebank/exchanges/{exchange_id:uuid}")
async def show_one(request: AnyRequest, exchange_id: FromPath[UUID]) -> Response[str]:
    """One exchange: where it stands and what I can do now."""
    return _one(request, exchange_id, Form())


@post("/timebank/exchanges/{exchange_id:uuid}/{act_name:str}")
async def do_act(
    request: AnyRequest, exchange_id: FromPath[UUID], act_name: FromPath[str]
) -> Response[Any]:
    """One of the buttons of an exchange's page."""
    node, form = house(request), await Form.read(request)
    act = next((act for act in Act if act.value == act_name), None)
    if act is None:
        raise NotAllowed(what=act_name)
    minutes: int | None = None
    if act in _WITH_MINUTES:
        least = 0 if act is Act.SETTLE else 1
        minutes = form.integer("minutes", least=least, most=rules.EXCHANGE_MINUTES_MAX)
        if form.errors:
            return _one(request, exchange_id, form, status=422)
    by = arbiter(request) if act is Act.SETTLE else actor(request)
    try:
        await node.database.run(
            lambda session: _perform(session, node.clock, act, exchange_id, by, minutes)
        )
    except DomainError as refusal:
        form.refuse(refusal, "minutes")
        return _one(request, exchange_id, form, status=409)
    return Redirect(f"/timebank/exchanges/{exchange_id}", status_code=303)


def card(request: AnyRequest, session: Session, who: Caller) -> Card | None:
    """My minutes, and what waits for me, on the home page."""
    resident_id, links = _reader(who), [Link("/timebank", _("Time bank"))]
    if resident_id is None:
        return Card(_("Time bank"), [_("An hour of help for an hour of help.")], links)
    balance = ledger.balance(session, ledger.resident_account(resident_id, Unit.MINUTES))
    lines = [_("You have %(minutes)s minutes.") % {"minutes": balance}]
    mine = _rows(session, service.exchanges_of(session, resident_id), resident_id)
    if count := sum(1 for row in mine if _waits_for(row)):
        lines.append(_("%(count)s exchanges wait for your answer.") % {"count": count})
    return Card(_("Time bank"), lines, [*links, Link("/timebank/request", _("Ask for help"))])


_WITH_MINUTES = {Act.DELIVER: service.deliver, Act.SETTLE: service.settle}
_PLAIN: dict[Act, Callable[..., Exchange]] = {
    Act.ACCEPT: service.accept,
    Act.DECLINE: service.decline,
    Act.CANCEL: service.cancel,
    Act.CONFIRM: service.confirm,
    Act.DISPUTE: service.dispute,
}


def state_names() -> dict[str, str]:
    """Each state in the reader's language."""
    return {
        ExchangeState.REQUESTED: _("asked for"),
        ExchangeState.ACCEPTED: _("promised"),
        ExchangeState.DELIVERED: _("given, to be confirmed"),
        ExchangeState.CAPTURED: _("confirmed and paid"),
        ExchangeState.DECLINED: _("declined"),
        ExchangeState.CANCELLED: _("called off"),
        ExchangeState.DISPUTED: _("in dispute"),
    }


def act_names() -> dict[Act, str]:
    """Each button in the reader's language."""
    return {
        Act.ACCEPT: _("I will help"),
        Act.DECLINE: _("I cannot"),
        Act.CANCEL: _("Call it off"),
        Act.DELIVER: _("It was given"),
        Act.CONFIRM: _("Yes, it was so"),
        Act.DISPUTE: _("No, it was not so"),
        Act.SETTLE: _("Settle it"),
    }


def reason_names() -> dict[str, str]:
    """What moved minutes, in the reader's language; other reasons show their code."""
    return {
        "exchange": _("Help between neighbours"),
        "redeemed_away": _("Help in another community"),
        "helped_guest": _("Helped a guest from another community"),
        "gift_sent": _("Given to somebody in another community"),
        "gift_received": _("Given by somebody in another community"),
        "taken_back": _("Given back to another community"),
        "given_back": _("Come back from another community"),
        "donated_to_pool": _("Given to the donation pool"),
        "granted_from_pool": _("Granted from the donation pool"),
        "surplus_to_pool": _("Above the limit: gone to the donation pool"),
    }


def _perform(
    session: Session, clock: Clock, act: Act, exchange_id: UUID, by: Actor, minutes: int | None
) -> None:
    if minutes is not None:
        _WITH_MINUTES[act](session, clock, exchange_id=exchange_id, minutes=minutes, actor=by)
    else:
        _PLAIN[act](session, clock, exchange_id=exchange_id, actor=by)


def _reader(who: Caller) -> UUID | None:
    """Whose minutes this reader may see here."""
    subject = who.subject
    return subject if subject is not None and who.may_act_for(subject, Scope.TIMEBANK) else None


def _with_phone(session: Session, phone: str) -> UUID:
    found = session.scalar(select(Resident.id).where(Resident.phone == phone))
    if found is None:
        raise BadInput(field="phone", problem="nobody here has this number")
    return found


def _services() -> list[tuple[str, str, str]]:
    return [(kind.code, _(kind.title), standard(kind)) for kind in rules.SERVICES.values()]


def standard(kind: rules.Service) -> str:
    """What both sides may expect of a kind of help, and what the helper must have."""
    must_have = {
        Training.NONE: "",
        Training.INTRODUCED: _("The social worker shows how before the first time."),
        Training.CERTIFIED: _("Only with a certificate that the desk has seen."),
    }[kind.training]
    usually = _("Usually %(minutes)s minutes.") % {"minutes": kind.usual_minutes}
    return " ".join(part for part in (_(kind.standard), must_have, usually) if part)


def _rows(session: Session, exchanges: Sequence[Exchange], resident_id: UUID | None) -> list[Row]:
    return [_row(session, exchange, resident_id) for exchange in exchanges]


def _row(session: Session, exchange: Exchange, resident_id: UUID | None) -> Row:
    side = service.side_of(exchange, resident_id)
    other_id = exchange.receiver_id if side is Side.PROVIDER else exchange.provider_id
    acts = rules.possible_acts(ExchangeState(exchange.state), side) if side else ()
    if _has_confirmed(exchange, side):
        acts = tuple(act for act in acts if act is not Act.CONFIRM)
    return Row(exchange, side, residents.resident(session, other_id).name, acts)


def _has_confirmed(exchange: Exchange, side: Side | None) -> bool:
    return exchange.provider_confirmed if side is Side.PROVIDER else exchange.receiver_confirmed


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
        options=[(code, name) for code, name, _standard in _services()],
        step=rules.STEP_MINUTES,
    )


def _one(request: AnyRequest, exchange_id: UUID, form: Form, *, status: int = 200) -> Response[str]:
    who = require(request)
    with house(request).database.read() as session:
        exchange = service.find(session, exchange_id)
        is_arbiter = who.has(*ARBITER_ROLES)
        if not (may_see(who, exchange) or is_arbiter):
            raise NotAllowed(what=request.url.path)
        row = _row(session, exchange, _reader(who))
        names = {
            side: residents.resident(session, resident_id).name
            for side, resident_id in (
                ("provider", exchange.provider_id),
                ("receiver", exchange.receiver_id),
            )
        }
        if "minutes" not in form.values:
            form.values["minutes"] = str(exchange.delivered_minutes or exchange.minutes)
        return page(
            request,
            "timebank/exchange.html",
            status=status,
            form=form,
            row=row,
            names=names,
            kind=rules.SERVICES[exchange.service],
            standard=standard(rules.SERVICES[exchange.service]),
            act_names=act_names(),
            state_names=state_names(),
            may_settle=is_arbiter and exchange.state == ExchangeState.DISPUTED,
        )


routes = [answer_call, show, show_request, ask, statement, show_one, do_act, *pages_pool.routes]
