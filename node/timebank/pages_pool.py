"""The donation pool's page: what is in it, giving to it, and granting from it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.ledger.cap import HOLDING_MAX_MINUTES
from node.residents import service as residents
from node.residents.rules import Scope, clean_phone
from node.timebank import pool, rules
from node.timebank.api_pool import GRANTING_ROLES
from node.timebank.model import PoolMovement
from node.timebank.rules import Need, PoolAct
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest, caller, house, require, require_subject

FIGURES_DAYS = 365  # that the pool's public figures look back


def needs() -> list[tuple[str, str]]:
    """Why somebody is given minutes, in the reader's language."""
    return [
        (Need.LIVES_ALONE, _("lives alone")),
        (Need.CANNOT_EARN, _("cannot help others any more")),
        (Need.ILLNESS, _("is ill, or just out of hospital")),
        (Need.CARES_FOR, _("cares for somebody day and night")),
    ]


@get("/timebank/pool")
async def show(request: AnyRequest) -> Response[str]:
    """What is in the pool, my own gifts, and for social workers every movement."""
    return _page(request, Form())


@post("/timebank/pool/donate")
async def donate(request: AnyRequest) -> Response[Any]:
    """Give my minutes to the pool."""
    who, resident_id = require_subject(request, Scope.TIMEBANK)
    node, form = house(request), await Form.read(request)
    minutes = form.integer("minutes", least=1, most=rules.POOL_MINUTES_MAX)
    if form.errors:
        return _page(request, form, status=422)
    by = who.recorder(resident_id)
    try:
        await node.database.run(
            lambda session: (
                pool.donate(
                    session,
                    node.clock,
                    donation_id=form.id,
                    resident_id=resident_id,
                    minutes=minutes,
                    recorded_by=by,
                ).id
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "minutes")
        return _page(request, form, status=422)
    return Redirect("/timebank/pool", status_code=303)


@post("/timebank/pool/grant")
async def grant(request: AnyRequest) -> Response[Any]:
    """Give a resident minutes out of the pool."""
    who = require(request, *GRANTING_ROLES)
    node, form = house(request), await Form.read(request)
    minutes = form.integer("granted", least=1, most=rules.POOL_MINUTES_MAX)
    need = form.choice("need", list(Need))
    phone = form.check("phone", lambda: clean_phone(form.text("phone")))
    if form.errors or phone is None:
        return _page(request, form, status=422)

    def command(session: Session) -> UUID:
        return pool.grant(
            session,
            node.clock,
            grant_id=form.id,
            resident_id=residents.with_phone(session, phone),
            minutes=minutes,
            need=need,
            granted_by=who.hand,
        ).id

    try:
        await node.database.run(command)
    except DomainError as refusal:
        form.refuse(refusal, "granted")
        return _page(request, form, status=422)
    return Redirect("/timebank/pool", status_code=303)


def _movements(session: Session, subject: UUID | None, *, is_all: bool) -> Sequence[PoolMovement]:
    """The latest: a social worker's are everybody's, a resident's their own."""
    return pool.movements(session, resident_id=None if is_all else subject).rows


def _page(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    who = caller(request)
    may_grant, subject = who.has(*GRANTING_ROLES), who.subject
    may_give = subject is not None and who.may_act_for(subject, Scope.TIMEBANK)
    with house(request).database.read() as session:
        shown = _movements(session, subject, is_all=may_grant) if may_grant or may_give else []
        since = house(request).clock.now() - timedelta(days=FIGURES_DAYS)
        given, granted = (
            pool.figures(session, act, since=since) for act in (PoolAct.DONATE, PoolAct.GRANT)
        )
        return page(
            request,
            "timebank/pool.html",
            status=status,
            form=form,
            minutes=pool.pool_minutes(session),
            may_give=may_give,
            may_grant=may_grant,
            needs=needs(),
            rows=[
                (
                    row,
                    residents.resident(session, row.resident_id).name,
                    dict(needs()).get(row.need or "", ""),
                )
                for row in shown
            ],
            acts={PoolAct.DONATE: _("given to the pool"), PoolAct.GRANT: _("granted")},
            given=given,
            granted=granted,
            month_hours=rules.GRANTS_A_MONTH_MINUTES // 60,
            cap_hours=HOLDING_MAX_MINUTES // 60,
        )


routes = [show, donate, grant]
