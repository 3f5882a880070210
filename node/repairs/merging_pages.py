"""Merging as the desk does it: choose the other request, see both side by side, then say so."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.repairs import following, merging, rules, service, views
from node.repairs.access import WORKERS
from node.web.forms import Form
from node.web.layout import page
from node.web.session import AnyRequest, house, require

NUMBER_MAX = 999_999_999  # that is typed


@get("/repairs/{request_id:int}/merge")
async def choose(request: AnyRequest, request_id: FromPath[int]) -> Response[str]:
    """Which other request means the same? With `kept` in the query: are you sure?"""
    require(request, *WORKERS)
    form = Form(dict(request.query_params))
    if "kept" not in form.values:
        return _choice(request, request_id, form)
    kept_id = form.integer("kept", least=1, most=NUMBER_MAX)
    return _show(request, request_id, kept_id, form)


@post("/repairs/{request_id:int}/merged-into/{kept_id:int}")
async def merge(
    request: AnyRequest, request_id: FromPath[int], kept_id: FromPath[int]
) -> Response[Any]:
    """Merge them, and show the one that goes on."""
    who, node, form = require(request, *WORKERS), house(request), await Form.read(request)

    def command(session: Session) -> None:
        merging.merge(
            session, node.clock, request_id=request_id, kept_id=kept_id, merged_by=who.actor
        )

    try:
        await node.database.run(command)
    except DomainError as refusal:
        if refusal.code == rules.UnknownRepair.code:
            raise
        return _show(request, request_id, kept_id, form)
    return Redirect(f"/repairs/{kept_id}", status_code=303)


def _show(request: AnyRequest, request_id: int, kept_id: int, form: Form) -> Response[str]:
    """Both side by side; back to the choice, with the reason, where they cannot be one."""
    form.values["kept"] = form.values.get("kept", str(kept_id))
    with house(request).database.read() as session:
        duplicate = service.find(session, request_id)
        if not form.errors:
            try:
                original = service.find(session, kept_id)
                merging.check(duplicate, original)
            except DomainError as refusal:
                form.refuse(refusal, "kept")
        if not form.errors:
            count = following.count(session, request_id) + following.count(session, kept_id)
            shown: dict[str, Any] = {
                "row": views.row(request, duplicate),
                "original": views.row(request, original),
                "follower_count": count,
            }
            return page(request, "repairs/merge.html", **shown)
    return _choice(request, request_id, form)


def _choice(request: AnyRequest, request_id: int, form: Form) -> Response[str]:
    with house(request).database.read() as session:
        duplicate = service.find(session, request_id)
        found = merging.candidates(session, house(request).clock, duplicate)
        shown: dict[str, Any] = {
            "row": views.row(request, duplicate),
            "rows": [views.row(request, one) for one in found],
        }
    status = 422 if form.errors else 200
    return page(request, "repairs/merge_choice.html", status=status, form=form, **shown)


routes = [choose, merge]
