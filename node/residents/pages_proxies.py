"""Who may act for me: grant it, see it, end it. The desk does it for whoever stands there."""

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, DomainError, NotAllowed
from node.residents import proxies, rules, service
from node.residents.rules import ACTING_ROLES, Evidence, Scope
from node.residents.words import evidence_names, scope_names
from node.web.forms import Form
from node.web.language import LOCAL_TIME
from node.web.layout import page
from node.web.session import AnyRequest, Caller, house, require

DAYS_AT_FIRST = 90


@get("/proxies")
async def show_proxies(request: AnyRequest) -> Response[str]:
    """The agreements in which I am elder or helper."""
    return _show(request, Form())


@post("/proxies")
async def agree(request: AnyRequest) -> Response[Any]:
    """Let a relative act for me (or, at the desk, for whom the clerk serves)."""
    who, elder_id = self_or_desk(request)
    node, form = house(request), await Form.read(request)
    name, phone = form.text("name"), form.text("phone")
    scope = Scope(form.choice("scope", list(Scope)))
    evidence = Evidence.SELF
    if who.resident_id != elder_id:
        heard = [one for one in Evidence if one is not Evidence.SELF]
        evidence = Evidence(form.choice("evidence", heard))
    ends_at = form.check("ends_on", lambda: _end_of(form.values.get("ends_on", "")))
    recorded_by = who.hand
    assert recorded_by is not None, "who is known came by one of the two"

    def command(session: Session) -> None:
        assert ends_at is not None, "an unreadable day was refused above"
        helper_id = proxies.named(session, name=name, phone=rules.clean_phone(phone))
        proxies.agree_proxy(
            session,
            node.clock,
            proxy_id=form.id,
            elder_id=elder_id,
            helper_id=helper_id,
            scope=scope,
            ends_at=ends_at,
            recorded_by=recorded_by,
            evidence=evidence,
        )

    if not form.errors:
        try:
            await node.database.run(command)
        except DomainError as refusal:
            form.refuse(refusal, "name")
    if form.errors:
        return _show(request, form, status=422)
    return Redirect("/proxies?done=agreed", status_code=303)


@post("/proxies/{proxy_id:uuid}/end")
async def end(request: AnyRequest, proxy_id: FromPath[UUID]) -> Response[Any]:
    """End an agreement: the elder, the helper or the desk may, at any time."""
    who, node = require(request), house(request)

    def command(session: Session) -> None:
        agreed = proxies.proxy(session, proxy_id)
        is_mine = who.resident_id in (agreed.elder_id, agreed.helper_id)
        if not (is_mine or who.has(*ACTING_ROLES)):
            raise NotAllowed(what="/proxies")
        proxies.withdraw_proxy(session, node.clock, proxy_id=proxy_id)

    await node.database.run(command)
    return Redirect("/proxies?done=ended", status_code=303)


def self_or_desk(request: AnyRequest) -> tuple[Caller, UUID]:
    """Who asks and whose matter it is: one's own, or, for desk staff, whom they act for.

    A relative's agreement never covers this: it would let them widen it by themselves.
    """
    who = require(request)
    if who.subject is None:
        raise BadInput(field="X-Acting-For", problem="name the resident you act for")
    if who.acting_for is not None and not who.has(*ACTING_ROLES):
        raise NotAllowed(what=request.url.path)
    return who, who.subject


def _end_of(text: str) -> datetime:
    """The last moment of the day that was chosen."""
    try:
        chosen = date.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(field="ends_on", problem="choose a day") from None
    return datetime.combine(chosen, time(23, 59, 59), LOCAL_TIME)


def _show(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    who, resident_id = self_or_desk(request)
    node = house(request)
    with node.database.read() as session:
        resident = service.resident(session, resident_id)
        found = proxies.agreements(session, node.clock, resident_id=resident_id)
    last = node.clock.now() + timedelta(days=DAYS_AT_FIRST)
    form.values.setdefault("ends_on", last.astimezone(LOCAL_TIME).date().isoformat())
    evidence = {kind: name for kind, name in evidence_names().items() if kind != Evidence.SELF}
    shown: dict[str, Any] = {
        "me": resident,
        "as_elder": [one for one in found if one.proxy.elder_id == resident_id],
        "as_helper": [one for one in found if one.proxy.helper_id == resident_id],
        "is_desk": who.resident_id != resident_id,
        "scopes": scope_names(),
        "evidence": evidence,
        "evidence_names": evidence_names(),
        "done": request.query_params.get("done", ""),
        "form": form,
    }
    return page(request, "residents/proxies.html", status=status, **shown)


routes = [show_proxies, agree, end]
