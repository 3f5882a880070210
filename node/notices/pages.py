"""The inbox, its dates for a calendar, and the ways out of the house that a resident chose."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError, NotFound
from node.notices import calendar, service, settings, words
from node.notices.refusals import ChannelClosed
from node.notices.rules import Channel
from node.residents import privacy
from node.residents.pages_proxies import self_or_desk
from node.residents.rules import Purpose, Scope
from node.web import language
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import Card, Link, page
from node.web.session import AnyRequest, Caller, house, require_subject


@get("/inbox")
async def show_inbox(request: AnyRequest) -> Response[str]:
    """What I was told, newest first; what is new stands out until I say that I have seen it."""
    _who, resident_id = require_subject(request, Scope.EVERYTHING)
    with house(request).database.read() as session:
        told = service.inbox(session, resident_id=resident_id)
    shown: dict[str, Any] = {
        "told": [(one, words.sentence(one.notice.kind, one.details)) for one in told],
        "unread": [one.notice.id for one in told if not one.is_read],
    }
    return page(request, "notices/inbox.html", **shown)


@post("/inbox/read")
async def read_all(request: AnyRequest) -> Redirect:
    """I have seen what was shown; what came since stays new."""
    _who, resident_id = require_subject(request, Scope.EVERYTHING)
    node, form = house(request), await Form.read(request)
    seen = [UUID(one) for one in form.values.get("seen", "").split() if _is_uuid(one)]
    await node.database.run(
        lambda session: service.mark_read(
            session, node.clock, resident_id=resident_id, notice_ids=seen
        )
    )
    return Redirect("/inbox", status_code=303)


@get("/inbox/{notice_id:uuid}/calendar.ics")
async def to_calendar(request: AnyRequest, notice_id: FromPath[UUID]) -> Response[bytes]:
    """A dated notice, for the calendar of a telephone."""
    _who, resident_id = require_subject(request, Scope.EVERYTHING)
    with house(request).database.read() as session:
        notice = service.notice_for(session, resident_id=resident_id, notice_id=notice_id)
        details = service.details_of(notice)
    if notice.ends_at is None:
        raise NotFound(what="notice", id=str(notice_id))
    content = calendar.event(notice, words.sentence(notice.kind, details))
    headers = {"Content-Disposition": 'attachment; filename="linli.ics"'}
    return Response(content, media_type="text/calendar; charset=utf-8", headers=headers)


@get("/inbox/ways")
async def show_ways(request: AnyRequest) -> Response[str]:
    """By which ways notices reach me besides the inbox."""
    return _ways(request, Form())


@post("/inbox/ways")
async def choose_way(request: AnyRequest) -> Response[Any]:
    """From now on this way too; an empty address: no longer."""
    _who, resident_id = self_or_desk(request)
    node, form = house(request), await Form.read(request)
    channel = Channel(form.choice("channel", list(Channel)))
    address = form.values.get(f"address-{channel}", "").strip()
    spoken = language.language.get()

    def command(session: Session) -> None:
        if not address:
            service.leave(session, resident_id=resident_id, channel=channel)
            return
        if channel not in settings.load(node.settings.directory).channels:
            raise ChannelClosed
        service.choose(
            session,
            node.clock,
            resident_id=resident_id,
            channel=channel,
            address=address,
            language=spoken,
        )

    if not form.errors:
        try:
            await node.database.run(command)
        except DomainError as refusal:
            form.refuse(refusal, f"address-{channel}")
    if form.errors:
        return _ways(request, form, status=422)
    return Redirect("/inbox/ways?done=1", status_code=303)


def card(request: AnyRequest, session: Session, who: Caller) -> Card | None:
    """On the home page: is there something new for me?"""
    if who.subject is None or not who.may_act_for(who.subject, Scope.EVERYTHING):
        return None
    count = service.unread(session, resident_id=who.subject)
    if not count:
        return None
    line = _("%(count)s new messages") % {"count": count}
    return Card(_("Messages"), [line], [Link("/inbox", _("Read them"))])


def _ways(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    _who, resident_id = self_or_desk(request)
    with house(request).database.read() as session:
        chosen = service.ways_of(session, resident_id=resident_id)
        has_consent = Purpose.OUTSIDE_MESSAGES in privacy.consents(session, resident_id=resident_id)
    for channel, way in chosen.items():
        form.values.setdefault(f"address-{channel}", way.address)
    shown: dict[str, Any] = {
        "form": form,
        "channels": settings.load(house(request).settings.directory).channels,
        "names": words.channel_names(),
        "chosen": chosen,
        "has_consent": has_consent,
        "done": "done" in request.query_params,
    }
    return page(request, "notices/ways.html", status=status, **shown)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


routes = [show_inbox, read_all, to_calendar, show_ways, choose_way]
