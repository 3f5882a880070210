"""The inbox as JSON, for a mini-program or an app of the community."""

from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath

from node.notices import service, words
from node.residents.rules import Scope
from node.web.session import AnyRequest, house, require_subject


@get("/api/notices")
async def list_notices(request: AnyRequest) -> dict[str, Any]:
    """The newest notices of the caller (or of whom they act for), and how many are new."""
    _who, resident_id = require_subject(request, Scope.EVERYTHING)
    with house(request).database.read() as session:
        told = service.inbox(session, resident_id=resident_id)
        unread = service.unread(session, resident_id=resident_id)
    return {"unread": unread, "notices": [_as_json(one) for one in told]}


@post("/api/notices/{notice_id:uuid}/read", status_code=200)
async def read(request: AnyRequest, notice_id: FromPath[UUID]) -> dict[str, Any]:
    """This one was seen. Saying it twice is once."""
    _who, resident_id = require_subject(request, Scope.EVERYTHING)
    node = house(request)
    with node.database.read() as session:
        service.notice_for(session, resident_id=resident_id, notice_id=notice_id)
    await node.database.run(
        lambda session: service.mark_read(
            session, node.clock, resident_id=resident_id, notice_ids=[notice_id]
        )
    )
    return {"id": str(notice_id), "is_read": True}


def _as_json(told: service.Told) -> dict[str, Any]:
    notice = told.notice
    return {
        "id": str(notice.id),
        "kind": notice.kind,
        "details": told.details,
        "text": words.sentence(notice.kind, told.details),
        "link": notice.link,
        "told_at": notice.told_at.isoformat(),
        "starts_at": notice.starts_at.isoformat() if notice.starts_at else None,
        "ends_at": notice.ends_at.isoformat() if notice.ends_at else None,
        "is_read": told.is_read,
    }


routes = [list_notices, read]
