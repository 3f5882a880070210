"""Help next door: my passes, a slip to carry, and the desk's side for guests."""

from base64 import urlsafe_b64encode
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.exchange import evidence, home, host, limits, pages_gifts, pages_trust, rules
from node.exchange.house import (
    ARBITERS,
    DESK,
    SLIP_TEXT_MAX,
    WATCHERS,
    code_shown,
    sealer_of,
    trading_house,
)
from node.exchange.model import VISITS, Dispute, Pass, Visit
from node.exchange.pages_gifts import (
    acted_for,
    available_minutes,
    consent_in,
    consents,
    gift_state,
    gifts_of,
    needs_consent,
)
from node.exchange.reasons import reason
from node.exchange.rules import DisputeState, PassState, VisitState
from node.kernel.errors import DomainError, NotFound
from node.kernel.ids import new_code
from node.residents import service as residents
from node.residents.rules import Scope
from node.web import qr
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import Card, Link, page
from node.web.session import AnyRequest, Caller, require, require_for, require_subject

ROWS_MAX = 50


def pass_state(state: str) -> str:
    """A pass's state in the reader's language."""
    return {
        PassState.ISSUED: _("ready to use"),
        PassState.ACCEPTED: _("presented"),
        PassState.CAPTURED: _("paid"),
        PassState.RELEASED: _("given back"),
        PassState.VOIDED: _("taken back"),
        PassState.EXPIRED: _("expired"),
    }[PassState(state)]


def visit_state(state: str) -> str:
    """A visit's state in the reader's language."""
    return {
        VisitState.PRESENTED: _("waiting for the home community"),
        VisitState.ACCEPTED: _("accepted: the help can be given"),
        VisitState.DELIVERED: _("given, to be confirmed by both"),
        VisitState.CONFIRMED: _("confirmed, waiting for the receipt"),
        VisitState.CAPTURED: _("paid and credited"),
        VisitState.RELEASED: _("called off"),
        VisitState.REFUSED: _("refused"),
    }[VisitState(state)]


@get("/exchange")
async def overview(request: AnyRequest) -> Response[str]:
    """My passes; at the desk, the guests too."""
    who, node = require(request), trading_house(request)
    with node.database.read() as session:
        passes = _passes(session, who.subject) if who.subject else []
        visits = _visits(session) if who.has(*DESK) else []
        return page(
            request,
            "exchange/overview.html",
            passes=passes,
            visits=visits,
            gifts=gifts_of(session, who.subject) if who.subject else [],
            is_desk=who.has(*DESK),
            is_arbiter=who.has(*ARBITERS),
            is_watcher=who.has(*WATCHERS),
            gift_state=gift_state,
            pass_state=pass_state,
            visit_state=visit_state,
            names=dict(node.neighbours()),
        )


@get("/exchange/new")
async def new_pass(request: AnyRequest) -> Response[str]:
    """The form: where and how long; what is available is said first.

    Each neighbour is asked for its limit in the background, if its last word is not fresh.
    """
    require_subject(request, Scope.TIMEBANK)
    node = trading_house(request)
    if (sealer := node.sealer) is not None:
        neighbours = [community for community, _name in node.neighbours()]

        def ask(session: Session) -> None:
            for community in neighbours:
                limits.ask_headroom(session, node.clock, sealer, community)

        await node.database.run(ask)
    return _new_pass(request, Form())


@post("/exchange/new")
async def issue(request: AnyRequest) -> Response[Any]:
    """Hold the minutes and show the slip."""
    who, resident_id = require_subject(request, Scope.TIMEBANK)
    node, form = trading_house(request), await Form.read(request)
    minutes = form.integer("minutes", least=15, most=rules.MINUTES_MAX)
    community = form.choice("host", [one for one, _name in node.neighbours()] or [""])
    consent = consent_in(form, who, resident_id)
    if form.errors:
        return _new_pass(request, form, status=422)
    sealer, code = sealer_of(node), new_code(rules.CODE_LENGTH)

    def command(session: Session) -> UUID:
        issued = home.issue_pass(
            session,
            node.clock,
            sealer,
            pass_id=form.id,
            resident_id=resident_id,
            issued_by=who.recorder(resident_id),
            consent=consent,
            host=community,
            minutes=minutes,
            code=code,
            debt_limit_minutes=node.debt_limit_minutes,
        )
        return issued.id

    try:
        pass_id = await node.database.run(command)
    except DomainError as refusal:
        form.refuse(refusal, "minutes")
        return _new_pass(request, form, status=422)
    return Redirect(f"/exchange/passes/{pass_id}", status_code=303)


@get("/exchange/passes/{pass_id:uuid}")
async def show_pass(request: AnyRequest, pass_id: FromPath[UUID]) -> Response[str]:
    """One pass, as a slip to print or to show on the telephone."""
    node = trading_house(request)
    with node.database.read() as session:
        found = _pass(session, pass_id)
        require_for(request, found.resident_id, Scope.TIMEBANK)
        return page(
            request,
            "exchange/pass.html",
            slip=found,
            code=rules.full_code(home=node.community, code=found.code),
            state=pass_state(found.state),
            states=PassState,
            is_open=found.state == PassState.ISSUED,
            owner=residents.resident(session, found.resident_id).name,
            acted=acted_for(session, found.issued_by, found.consent),
            host=dict(node.neighbours()).get(found.host, found.host),
        )


@get("/exchange/passes/{pass_id:uuid}/code.svg")
async def code_picture(request: AnyRequest, pass_id: FromPath[UUID]) -> Response[str]:
    """The signed pass as a QR code."""
    with trading_house(request).database.read() as session:
        found = _pass(session, pass_id)
        require_for(request, found.resident_id, Scope.TIMEBANK)
        picture = qr.svg(urlsafe_b64encode(found.slip).decode(), error="l", scale=4)
    return Response(str(picture), media_type="image/svg+xml")


@post("/exchange/passes/{pass_id:uuid}/void")
async def void(request: AnyRequest, pass_id: FromPath[UUID]) -> Redirect:
    """Take a pass back: the minutes are free again."""
    node = trading_house(request)
    with node.database.read() as session:
        require_for(request, _pass(session, pass_id).resident_id, Scope.TIMEBANK)
    await node.database.run(lambda s: home.void_pass(s, node.clock, pass_id=pass_id).id)
    return Redirect(f"/exchange/passes/{pass_id}", status_code=303)


@get("/exchange/guest")
async def guest(request: AnyRequest) -> Response[str]:
    """The desk's form for a guest who brings a pass."""
    require(request, *DESK)
    return page(request, "exchange/guest.html", form=Form())


@post("/exchange/guest")
async def present(request: AnyRequest) -> Response[Any]:
    """Ask the guest's community to accept the pass."""
    who, node, form = require(request, *DESK), trading_house(request), await Form.read(request)
    text, phone = form.text("code", most=SLIP_TEXT_MAX), form.text("phone", most=20)
    code = form.check("code", lambda: code_shown(node, text)) if text else None
    provider_id = form.check("phone", lambda: _by_phone(request, phone)) if phone else None
    if provider_id is None or code is None or form.errors:
        return page(request, "exchange/guest.html", form=form, status=422)
    sealer = sealer_of(node)

    def command(session: Session) -> UUID:
        return host.present_pass(
            session,
            node.clock,
            sealer,
            exchange_id=form.id,
            code=code,
            provider_id=provider_id,
            presented_by=who.hand,
        ).id

    try:
        exchange_id = await node.database.run(command)
    except DomainError as refusal:
        form.refuse(refusal, "code")
        return page(request, "exchange/guest.html", form=form, status=422)
    return Redirect(f"/exchange/visits/{exchange_id}", status_code=303)


@get("/exchange/visits/{exchange_id:uuid}")
async def show_visit(request: AnyRequest, exchange_id: FromPath[UUID]) -> Response[str]:
    """One visit at the desk, with what can be done next."""
    require(request, *DESK)
    return _visit_page(request, exchange_id, Form())


@post("/exchange/visits/{exchange_id:uuid}")
async def go_on(request: AnyRequest, exchange_id: FromPath[UUID]) -> Response[Any]:
    """The next step of a visit: note the minutes, confirm for both who stand here, or call off."""
    require(request, *DESK)
    node, form = trading_house(request), await Form.read(request)
    sealer = sealer_of(node)
    step = form.choice("step", ("deliver", "elder", "provider", "release"))
    minutes = 0
    if step == "deliver":
        minutes = form.integer("minutes", least=1, most=rules.MINUTES_MAX)
    if form.errors:
        return _visit_page(request, exchange_id, form, status=422)

    def command(session: Session) -> None:
        if step == "deliver":
            host.deliver(session, exchange_id=exchange_id, minutes=minutes, now=node.clock.now())
        elif step == "release":
            host.call_off(session, node.clock, sealer, exchange_id=exchange_id)
        else:
            host.confirm(session, node.clock, sealer, exchange_id=exchange_id, party=step)

    try:
        await node.database.run(command, needs=[(VISITS, exchange_id)])
    except DomainError as refusal:
        form.refuse(refusal, "minutes")
        return _visit_page(request, exchange_id, form, status=422)
    return Redirect(f"/exchange/visits/{exchange_id}", status_code=303)


def card(request: AnyRequest, session: Session, who: Caller) -> Card | None:
    """On the home page: what of mine can be used next door, and what waits for staff."""
    waiting = _waiting(session, who)
    if who.subject is None:
        return Card(_("Help next door"), *waiting) if waiting[1] else None
    ready = sum(1 for one in _passes(session, who.subject) if one.state == PassState.ISSUED)
    lines = [_("Your hours are worth the same in the communities next door.")]
    if ready:
        lines.append(_("Passes ready to use: %(count)s") % {"count": ready})
    lines += waiting[0]
    links = [Link("/exchange/new", _("Use my hours next door")), *waiting[1]]
    if ready:
        links.append(Link("/exchange", _("My passes")))
    return Card(_("Help next door"), lines, links)


def _waiting(session: Session, who: Caller) -> tuple[list[str], list[Link]]:
    """Disputes for desk and arbiters, evidence for the operator."""
    lines, links = [], []
    if who.has(*DESK, *ARBITERS):
        is_open = Dispute.state != DisputeState.JUDGED
        if count := session.scalar(select(func.count()).where(is_open)):
            lines.append(_("Disputes with other communities: %(count)s") % {"count": count})
            links.append(Link("/exchange/disputes", _("Disputes with other communities")))
    if who.has(*WATCHERS):
        if count := evidence.count(session):
            lines.append(_("Evidence against neighbours: %(count)s") % {"count": count})
        links.append(Link("/exchange/trust", _("Trust between communities")))
    return lines, links


def _new_pass(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    who, resident_id = require_subject(request, Scope.TIMEBANK)
    node = trading_house(request)
    with node.database.read() as session:
        available = available_minutes(session, node, resident_id)
        quotes = [
            (
                name,
                limits.quote(
                    session,
                    node.clock,
                    resident_id=resident_id,
                    host=community,
                    debt_limit_minutes=node.debt_limit_minutes,
                ),
            )
            for community, name in node.neighbours()
        ]
    return page(
        request,
        "exchange/new.html",
        status=status,
        form=form,
        neighbours=node.neighbours(),
        available=available,
        quotes=quotes,
        consents=consents() if needs_consent(who, resident_id) else [],
    )


def _visit_page(
    request: AnyRequest, exchange_id: UUID, form: Form, *, status: int = 200
) -> Response[str]:
    node = trading_house(request)
    with node.database.read() as session:
        visit = session.get(Visit, exchange_id)
        if visit is None:
            raise NotFound(what="visit", id=str(exchange_id))
        is_overdue = host.is_overdue(visit, node.clock.now())  # and not swept yet
        return page(
            request,
            "exchange/visit.html",
            status=status,
            visit=visit,
            state=_("too late to confirm") if is_overdue else visit_state(visit.state),
            states=VisitState,
            reason=reason,
            is_overdue=is_overdue,
            form=form,
            provider=residents.resident(session, visit.provider_id).name,
            home=dict(node.neighbours()).get(visit.home, visit.home),
        )


def _by_phone(request: AnyRequest, phone: str) -> UUID:
    with trading_house(request).database.read() as session:
        return residents.with_phone(session, phone)


def _passes(session: Session, resident_id: UUID) -> list[Pass]:
    mine = select(Pass).where(Pass.resident_id == resident_id)
    return list(session.scalars(mine.order_by(Pass.issued_at.desc()).limit(ROWS_MAX)))


def _visits(session: Session) -> list[Visit]:
    latest = select(Visit).order_by(Visit.presented_at.desc()).limit(ROWS_MAX)
    return list(session.scalars(latest))


def _pass(session: Session, pass_id: UUID) -> Pass:
    found = session.get(Pass, pass_id)
    if found is None:
        raise NotFound(what="pass", id=str(pass_id))
    return found


routes = [
    overview,
    new_pass,
    issue,
    show_pass,
    code_picture,
    void,
    guest,
    present,
    show_visit,
    go_on,
    *pages_gifts.routes,
    *pages_trust.routes,
]
