"""Open311 GeoReport v2 for foreign programs: discovery, services, requests, tokens; XML and JSON.

One small table of resources, because the standard puts the format into the last part of each
address. Whatever goes wrong is answered in the standard's words: an array of code and description,
with 403 for a missing or wrong api_key, 404 for what does not exist and 400 for everything else.
"""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, DomainError, NotFound
from node.kernel.ids import derived_id, new_id
from node.repairs import open311_format as formats
from node.repairs import open311_requests as requests
from node.repairs import open311_services as services
from node.repairs import photos, plan, rules, service
from node.repairs.model import OutsideReport, RepairPlan
from node.repairs.open311_format import Listing, Thing
from node.repairs.views import FORM_BYTES_MAX
from node.residents.holders import holder as holder_of
from node.residents.service import Access
from node.web import idempotency
from node.web.language import gettext as _
from node.web.language import sentence
from node.web.session import AnyRequest, house

BASE = "/api/open311"
SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"
FIRST_CHANGESET = "2026-01-01T00:00:00+00:00"  # of the services as they come, before any plan
JURISDICTION_DEFAULT = "linli"  # of a community that is in no district


class NoApiKey(DomainError):
    code = "repairs.open_api_key"
    message = "api_key is missing or wrong."


class NothingHere(DomainError):
    code = "repairs.open_not_found"
    message = "{what} was not found."


@get([f"{BASE}/{{resource:str}}", f"{BASE}/v2/{{resource:str}}"], include_in_schema=False)
async def read(request: AnyRequest, resource: FromPath[str]) -> Response[bytes]:
    """discovery, services and requests."""
    return _answered(request, resource, lambda name: _read(request, name, None))


@get(f"{BASE}/v2/{{kind:str}}/{{resource:str}}", include_in_schema=False)
async def read_one(
    request: AnyRequest, kind: FromPath[str], resource: FromPath[str]
) -> Response[bytes]:
    """One service's definition, one request, or the request of a token."""
    return _answered(request, resource, lambda name: _read(request, kind, name))


@post(
    f"{BASE}/v2/{{resource:str}}",
    include_in_schema=False,
    request_max_body_size=FORM_BYTES_MAX,
)
async def report(request: AnyRequest, resource: FromPath[str]) -> Response[bytes]:
    """Report something; answers with its number, or with a token if somebody looks first."""
    name, as_format = _split(resource)
    try:
        if name != "requests":
            raise NothingHere(what=name[:60])
        body = await _report(request)
    except (DomainError, HTTPException) as refusal:
        return _refused(refusal, as_format)
    return formats.answer(body, as_format=as_format)


def _answered(
    request: AnyRequest, resource: str, look: Callable[[str], Listing | Thing]
) -> Response[bytes]:
    name, as_format = _split(resource)
    try:
        if resource.rpartition(".")[2] not in formats.FORMATS:
            raise BadInput(field="format", problem="ask for .xml or .json")
        _check_jurisdiction(request, request.query_params.get("jurisdiction_id", ""))
        return formats.answer(look(name), as_format=as_format)
    except DomainError as refusal:
        return _refused(refusal, as_format)


def _split(resource: str) -> tuple[str, str]:
    """`requests.json` → requests, json; what names no format is answered in XML."""
    name, _dot, ending = resource.rpartition(".")
    return (name, ending) if ending in formats.FORMATS else (resource, formats.DEFAULT)


def _read(request: AnyRequest, kind: str, name: str | None) -> Listing | Thing:
    node = house(request)
    with node.database.read() as session:
        holder = _holder(request, request.query_params.get("api_key", ""))
        _version, current = plan.current(session)
        match kind, name:
            case "discovery", None:
                return _discovery(request, session)
            case "services", None:
                return services.services(current)
            case "services", str(code):
                if code not in rules.CATEGORIES:
                    raise requests.UnknownService(code)
                return services.definition(code)
            case "requests", None:
                asked = requests.read_question(_field(request.query_params), now=node.clock.now())
                found = requests.find(session, asked, holder=holder)
                return requests.listing(session, found, holder=holder)
            case "requests", str(number):
                return _one(session, current, number, holder)
            case "tokens", str(token):
                return _token(session, current, token, holder)
    raise NothingHere(what=kind[:60])


def _one(session: Session, current: plan.Plan, number: str, holder: Access | None) -> Listing:
    is_number = number.isascii() and number.isdigit() and len(number) <= 19
    found = service.find(session, int(number) if is_number else 0)
    if not requests.may_know(current, found, holder):
        raise rules.UnknownRepair(id=found.id)
    return requests.listing(session, [found], holder=holder)


def _token(session: Session, current: plan.Plan, text: str, holder: Access | None) -> Listing:
    """The number behind a token; empty until somebody has looked at the report."""
    try:
        token = UUID(text)
    except ValueError:
        raise NothingHere(what=text[:60]) from None
    row = session.scalar(select(OutsideReport).where(OutsideReport.token == token))
    if row is None:
        raise NothingHere(what=text[:60])
    found = service.find(session, row.request_id)
    number = str(found.id) if requests.may_know(current, found, holder) else None
    fields = {"service_request_id": number, "token": str(token)}
    return Listing("service_requests", "request", [fields])


async def _report(request: AnyRequest) -> Listing:
    node, form = house(request), await request.form()
    field = _field(form)
    _check_jurisdiction(request, field("jurisdiction_id"))
    key = idempotency.key(request) if idempotency.HEADER in request.headers else new_id()
    with node.database.read() as session:
        secret = field("api_key") or request.query_params.get("api_key", "")
        holder = _holder(request, secret)
        if holder is None:
            raise NoApiKey
        _version, current = plan.current(session)
    posted = requests.read_post(field, _attributes(form))
    pictures = [one for one in form.getall("media", []) if isinstance(one, UploadFile)]
    made = [
        await asyncio.to_thread(photos.make, await one.read(photos.SENT_BYTES_MAX + 1))
        for one in pictures[: photos.PHOTOS_AT_ONCE_MAX]
        if one.filename
    ]

    def command(session: Session) -> tuple[int, UUID, UUID | None]:
        written = requests.write(session, node.clock, key=key, posted=posted, holder=holder)
        for one in made:
            photos.add(
                session,
                node.clock,
                photo_id=derived_id("repair photo", key, one.sent_sha256),
                request_id=written[0],
                made=one,
                added_by=str(holder.resident_id or holder.token_id),
            )
        return written

    number, token, reporter_id = await node.database.run(command)
    is_batch = services.is_batch(current, posted.service_code)
    given = {"token": str(token)} if is_batch else {"service_request_id": str(number)}
    account = str(reporter_id) if reporter_id else posted.account_id
    rest = {"service_notice": services.notice(current, posted.service_code), "account_id": account}
    return Listing("service_requests", "request", [given | rest])


def _attributes(form: Any) -> dict[str, list[str]]:
    """attribute[CODE]=value, attribute[CODE][]=value for several."""
    found: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if name.startswith("attribute[") and isinstance(value, str) and value.strip():
            code = name.removeprefix("attribute[").partition("]")[0]
            found.setdefault(code, []).append(value.strip())
    return found


def _field(values: Any) -> Callable[[str], str]:
    """A field without spaces around it; "" for none, as the standard wants it."""

    def field(name: str) -> str:
        value = values.get(name, "")
        return rules.check_text(name, value, most=10_000) or "" if isinstance(value, str) else ""

    return field


def _holder(request: AnyRequest, api_key: str) -> Access | None:
    """Whose key this is; None without one, a refusal for a wrong one."""
    if not api_key:
        return None
    node = house(request)
    holder = holder_of(node.database, node.clock, api_key)
    if holder is None:
        raise NoApiKey
    return holder


def _check_jurisdiction(request: AnyRequest, named: str) -> None:
    if named not in ("", house(request).community or JURISDICTION_DEFAULT):
        raise NothingHere(what=f"jurisdiction_id {named[:60]}")


def _discovery(request: AnyRequest, session: Session) -> Thing:
    newest = select(RepairPlan.changed_at).order_by(RepairPlan.version.desc()).limit(1)
    changed = session.scalar(newest)
    changeset = changed.isoformat() if changed else FIRST_CHANGESET
    mine = house(request)
    jurisdiction = {"id": mine.community or JURISDICTION_DEFAULT}
    endpoint = {
        "specification": SPECIFICATION,
        "url": f"{str(request.base_url).rstrip('/')}{BASE}/v2",
        "changeset": changeset,
        "type": "production",
        "formats": Listing("formats", "format", ["text/xml", "application/json"]),
    }
    return Thing(
        "discovery",
        {
            "changeset": changeset,
            "contact": mine.name,
            "key_service": _("The service desk gives an api_key. jurisdiction_id is %(id)s.")
            % jurisdiction,
            "endpoints": Listing("endpoints", "endpoint", [endpoint]),
        },
    )


def _refused(refusal: DomainError | HTTPException, as_format: str) -> Response[bytes]:
    if isinstance(refusal, HTTPException):
        return formats.errors([(400, refusal.detail)], as_format=as_format)
    return formats.errors([(_status(refusal), sentence(refusal))], as_format=as_format)


def _status(refusal: DomainError) -> int:
    missing = (NothingHere, NotFound, rules.UnknownRepair, requests.UnknownService)
    if isinstance(refusal, missing):
        return 404
    return 403 if isinstance(refusal, NoApiKey) else 400


routes = [read, read_one, report]
