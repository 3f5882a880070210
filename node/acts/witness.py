"""Around the site: each request's commands are witnessed, so no handler can forget to record.

Who asks is known once the handler has asked for it (`session.require`), which is before it writes.
"""

from functools import partial
from typing import cast
from uuid import UUID

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send
from sqlalchemy.orm import Session

from node.acts import rules, service
from node.kernel.ports import Clock
from node.kernel.witness import witness_is
from node.web.session import Caller

_RESIDENT = "resident_id"  # the name, in every route, of the resident whom an act is about


def witnessing(inner: ASGIApp, clock: Clock) -> ASGIApp:
    """The site, with what staff and relatives change written down beside the change."""

    async def watch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await inner(scope, receive, send)
            return
        with witness_is(partial(_note, clock=clock, scope=scope)):
            await inner(scope, receive, send)

    return watch


def _note(session: Session, *, clock: Clock, scope: HTTPScope) -> None:
    who = cast(Caller | None, scope.get("linli.caller"))
    if who is None or not who.is_known:
        return
    parameters = scope.get("path_params", {})
    route = scope.get("path_template", "")
    acts_for_another = who.acting_for is not None and who.acting_for != who.resident_id
    if not rules.is_noted(route=route, roles=who.roles, acts_for_another=acts_for_another):
        return
    named = parameters.get(_RESIDENT)
    service.note(
        session,
        clock,
        actor=who.actor,
        roles=rules.role_words(who.roles, acts_for_another=acts_for_another),
        for_resident=who.acting_for or (named if isinstance(named, UUID) else None),
        what=f"{scope['method']} {route}",
        subject=rules.subject_of(parameters),
    )
