"""One exchange: where it stands, who did what to it, what I can do now, and its dispute."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, DomainError, NotAllowed
from node.residents import service as residents
from node.residents.model import Resident
from node.residents.rules import Scope
from node.timebank import disputes, rules, service
from node.timebank.api import ARBITER_ROLES, actor, arbiter, may_see
from node.timebank.model import Exchange, ExchangeStep
from node.timebank.rules import Act, DisputeReason, ExchangeState, Side
from node.timebank.words import act_names, dispute_names, standard, state_names, step_names
from node.web import language
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest, Caller, house, require

Command = Callable[..., Exchange]
SAYABLE = tuple(reason for reason in DisputeReason if reason is not DisputeReason.SILENCE)


class Row(NamedTuple):
    """One exchange as its reader sees it."""

    exchange: Exchange
    side: Side | None
    other: str
    acts: tuple[Act, ...]


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
    by = arbiter(request) if act is Act.SETTLE else actor(request)
    command = _COMMANDS[act](form)
    if form.errors:
        return _one(request, exchange_id, form, status=422)
    try:
        await node.database.run(
            lambda session: command(session, node.clock, exchange_id=exchange_id, actor=by)
        )
    except DomainError as refusal:
        form.refuse(refusal, "minutes")
        return _one(request, exchange_id, form, status=409)
    return Redirect(f"/timebank/exchanges/{exchange_id}", status_code=303)


def _deliver(form: Form) -> Command:
    minutes = form.integer("minutes", least=1, most=rules.EXCHANGE_MINUTES_MAX)
    return partial(service.deliver, minutes=minutes)


def _dispute(form: Form) -> Command:
    reason = DisputeReason(form.choice("reason", [reason.value for reason in SAYABLE]))
    words = form.text("words", least=0, most=rules.WORDS_LENGTH_MAX)
    return partial(service.dispute, reason=reason, words=words)


def _settle(form: Form) -> Command:
    minutes = form.integer("minutes", least=0, most=rules.EXCHANGE_MINUTES_MAX)
    verdict = form.text("verdict", most=rules.WORDS_LENGTH_MAX)
    return partial(service.settle, minutes=minutes, verdict=verdict)


_COMMANDS: Mapping[Act, Callable[[Form], Command]] = {
    Act.ACCEPT: lambda _form: service.accept,
    Act.DECLINE: lambda _form: service.decline,
    Act.CANCEL: lambda _form: service.cancel,
    Act.DELIVER: _deliver,
    Act.CONFIRM: lambda _form: service.confirm,
    Act.DISPUTE: _dispute,
    Act.SETTLE: _settle,
}
"""What each button says to the service, with what its form holds."""


def planned(form: Form) -> datetime | None:
    """The agreed moment that was typed, in this community's time; None where none was."""
    text = form.text("planned_at", least=0, most=25)
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=language.LOCAL_TIME)
    except ValueError:
        raise BadInput(field="planned_at", problem="give a day and a time") from None


def reader_of(who: Caller) -> UUID | None:
    """Whose minutes this reader may see here."""
    subject = who.subject
    return subject if subject is not None and who.may_act_for(subject, Scope.TIMEBANK) else None


def rows_of(session: Session, exchanges: Sequence[Exchange], resident_id: UUID | None) -> list[Row]:
    """Exchanges as this resident sees them."""
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


def _one(request: AnyRequest, exchange_id: UUID, form: Form, *, status: int = 200) -> Response[str]:
    who, node = require(request), house(request)
    with node.database.read() as session:
        exchange = service.find(session, exchange_id)
        is_arbiter = who.has(*ARBITER_ROLES)
        if not (may_see(who, exchange) or is_arbiter):
            raise NotAllowed(what=request.url.path)
        row = _row(session, exchange, reader_of(who))
        quarrel = disputes.of(session, exchange_id)
        is_late = node.clock.now() > exchange.changed_at + rules.CONTEST_TIME
        if exchange.state == ExchangeState.CAPTURED and (quarrel is not None or is_late):
            row = row._replace(acts=())
        if "minutes" not in form.values:
            used = exchange.delivered_minutes
            form.values["minutes"] = str(exchange.minutes if used is None else used)
        names = {
            side: residents.resident(session, resident_id).name
            for side, resident_id in (
                (Side.PROVIDER.value, exchange.provider_id),
                (Side.RECEIVER.value, exchange.receiver_id),
            )
        }
        in_dispute = exchange.state in (ExchangeState.DISPUTED, ExchangeState.CONTESTED)
        return page(
            request,
            "timebank/exchange.html",
            status=status,
            form=form,
            row=row,
            names=names | {Side.ARBITER.value: _("social worker"), Side.HOUSE.value: _("nobody")},
            kind=rules.SERVICES[exchange.service],
            standard=standard(rules.SERVICES[exchange.service]),
            act_names=act_names(row.side),
            state_names=state_names(),
            history=_history(session, exchange_id),
            quarrel=quarrel,
            said=disputes.words_of(session, exchange_id) if quarrel else (),
            dispute_names=dispute_names(),
            sayable=[(reason.value, dispute_names()[reason]) for reason in SAYABLE],
            may_settle=is_arbiter and in_dispute,
            may_say=row.side is not None and in_dispute,
        )


def _history(session: Session, exchange_id: UUID) -> list[tuple[ExchangeStep, str, str]]:
    """Each step, in words, with who wrote it down for that side: both names stand there."""
    words = step_names()
    return [
        (step, words.get(step.act, step.act), _scribe(session, step.recorded_by))
        for step in service.steps_of(session, exchange_id)
    ]


def _scribe(session: Session, recorded_by: UUID | None) -> str:
    if recorded_by is None:
        return ""
    known = session.get(Resident, recorded_by)
    return known.name if known else _("the service desk")  # a program's token has no name


routes = [show_one, do_act]
