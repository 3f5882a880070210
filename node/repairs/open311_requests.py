"""Requests as Open311 asks for and shows them; strangers learn where things stand, not whose."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput
from node.kernel.ports import Clock
from node.repairs import open311_services as services
from node.repairs import plan, rules, service
from node.repairs.access import STAFF
from node.repairs.model import OutsideReport, ServiceRequest
from node.repairs.open311_format import Listing
from node.repairs.rules import Status
from node.repairs.views import category_name, status_name
from node.residents.rules import ACTING_ROLES
from node.residents.service import Access
from node.web.language import gettext as _

SPAN = timedelta(days=90)
REQUESTS_MAX = 1_000
IDS_MAX = 1_000  # in one question
ADDRESS_LENGTH_MAX = 400
DESCRIPTION_LENGTH_MAX = 4_000  # the standard's own figure
TITLE_LETTERS = 60  # of the description, where a client sends no title
COORDINATES = {"lat": 90.0, "long": 180.0}


class UnknownService(BadInput):
    code = "repairs.open_service"
    message = "There is no service with the code {service}."

    def __init__(self, service: str) -> None:
        super().__init__(service=service[:60])


@dataclass(frozen=True)
class Posted:
    """A POSTed report, checked."""

    service_code: str
    title: str
    description: str
    location: str
    building: str | None
    contact: str | None
    latitude: str | None
    longitude: str | None
    address_id: str | None
    attributes: Mapping[str, Sequence[str]]
    media_url: str | None
    account_id: str | None


@dataclass(frozen=True)
class Asked:
    """Which requests a GET asks for, checked."""

    ids: tuple[int, ...] | None
    categories: tuple[str, ...]
    statuses: frozenset[str]
    first: datetime
    last: datetime


def read_post(get: Callable[[str], str], attributes: Mapping[str, Sequence[str]]) -> Posted:
    """The report in these form fields; an empty field is as good as none."""
    code = get("service_code")
    if not code:
        raise BadInput(field="service_code", problem="this field is needed")
    if code not in rules.CATEGORIES:
        raise UnknownService(code)
    services.check(code, attributes)
    latitude, longitude = (_coordinate(get, name) for name in COORDINATES)
    if (latitude is None) != (longitude is None):
        raise BadInput(field="lat", problem="lat and long go together")
    address, address_id = get("address_string"), get("address_id")
    place = address or address_id or (f"{latitude}, {longitude}" if latitude else "")
    if not place:
        raise BadInput(field="address_string", problem="say where: an address, or lat and long")
    if len(place) > ADDRESS_LENGTH_MAX:
        raise BadInput(field="address_string", problem="this is too long")
    words = get("description")
    if len(words) > DESCRIPTION_LENGTH_MAX:
        raise BadInput(field="description", problem="this is too long")
    name = category_name(code)
    lines = words.splitlines()
    title = lines[0][:TITLE_LETTERS] if lines else name
    description = words or name
    if len(place) > rules.LOCATION_LENGTH_MAX:  # the whole address is not lost
        description = f"{place}\n{description}"[:DESCRIPTION_LENGTH_MAX]
    who = " ".join(filter(None, (get("first_name"), get("last_name"))))
    reach = " ".join(filter(None, (who, get("phone") or get("email"))))
    return Posted(
        service_code=code,
        title=title.strip() or name,
        description=description,
        location=place[: rules.LOCATION_LENGTH_MAX],
        building=address_id[: rules.BUILDING_LENGTH_MAX] or None,
        contact=reach[: rules.CONTACT_LENGTH_MAX] or None,
        latitude=latitude,
        longitude=longitude,
        address_id=address_id or None,
        attributes=attributes,
        media_url=_link(get("media_url")),
        account_id=get("account_id") or None,
    )


def write(
    session: Session, clock: Clock, *, key: UUID, posted: Posted, holder: Access
) -> tuple[int, UUID, UUID | None]:
    """Write the report down: its number, its token, and for whom."""
    reporter_id = _reporter(holder, posted.account_id)
    written = service.report(
        session,
        clock,
        key=key,
        reporter_id=reporter_id,
        recorded_by=str(holder.resident_id or holder.token_id),
        title=posted.title,
        description=posted.description,
        location=posted.location,
        contact=posted.contact,
        category=posted.service_code,
        building=posted.building,
        is_shared=services.is_shared(posted.service_code, posted.attributes),
    )
    if session.get(OutsideReport, written.id) is None:
        session.add(
            OutsideReport(
                request_id=written.id,
                token=key,
                latitude=posted.latitude,
                longitude=posted.longitude,
                address_id=posted.address_id,
                attributes=json.dumps(dict(posted.attributes), ensure_ascii=False),
                media_url=posted.media_url,
            )
        )
        session.flush()
    return written.id, key, reporter_id


def read_question(get: Callable[[str], str], *, now: datetime) -> Asked:
    """What a GET asks for: a list of numbers, or a span of at most 90 days."""
    if numbers := _words(get("service_request_id")):
        if not all(one.isascii() and one.isdigit() and len(one) <= 19 for one in numbers):
            raise BadInput(field="service_request_id", problem="send back the numbers we gave")
        ids = tuple(int(one) for one in numbers[:IDS_MAX])
        return Asked(ids, (), frozenset(), now, now)
    codes = _words(get("service_code"))
    for code in codes:
        if code not in rules.CATEGORIES:
            raise UnknownService(code)
    statuses = frozenset(_words(get("status"))) or frozenset({"open", "closed"})
    if not statuses <= {"open", "closed"}:
        raise BadInput(field="status", problem="open or closed")
    start, end = _moment(get, "start_date"), _moment(get, "end_date")
    last = end or (min(now, start + SPAN) if start else now)
    first = start or last - SPAN
    if last < first:
        raise BadInput(field="end_date", problem="this lies before the start")
    if last - first > SPAN:
        raise BadInput(field="start_date", problem="at most 90 days at once")
    return Asked(None, codes, statuses, first, last)


def find(session: Session, asked: Asked, *, holder: Access | None) -> Sequence[ServiceRequest]:
    """The requests, the newest first; those that nobody has looked at yet only for who may."""
    query = select(ServiceRequest).order_by(ServiceRequest.id.desc()).limit(REQUESTS_MAX)
    if asked.ids is not None:
        query = query.where(ServiceRequest.id.in_([n for n in asked.ids if n <= rules.NUMBER_MAX]))
    else:
        span = ServiceRequest.created_at.between(asked.first, asked.last)
        query = query.where(span)
        if asked.categories:
            query = query.where(ServiceRequest.category.in_(asked.categories))
        if asked.statuses == {"open"}:
            query = query.where(ServiceRequest.status != Status.COMPLETED.value)
        elif asked.statuses == {"closed"}:
            query = query.where(ServiceRequest.status == Status.COMPLETED.value)
    _version, current = plan.current(session)
    found = session.scalars(query).all()
    return [one for one in found if may_know(current, one, holder)]


def may_know(current: plan.Plan, one: ServiceRequest, holder: Access | None) -> bool:
    """Is its number public by now, or does its reporter or staff ask?"""
    waits = services.is_batch(current, one.category) and one.status == Status.PENDING
    return not waits or sees_all(one, holder)


def sees_all(one: ServiceRequest, holder: Access | None) -> bool:
    """Staff see every word, a reporter their own."""
    if holder is None:
        return False
    is_reporter = holder.resident_id is not None and holder.resident_id == one.reporter_id
    return is_reporter or not holder.roles.isdisjoint(STAFF)


def listing(session: Session, found: Sequence[ServiceRequest], *, holder: Access | None) -> Listing:
    """The requests as the standard shows them."""
    _version, current = plan.current(session)
    numbers = [one.id for one in found]
    query = select(OutsideReport).where(OutsideReport.request_id.in_(numbers))
    outside = {row.request_id: row for row in session.scalars(query)} if numbers else {}
    items = [
        _shown(current, one, outside.get(one.id), has_all=sees_all(one, holder)) for one in found
    ]
    return Listing("service_requests", "request", items)


def _shown(
    current: plan.Plan, one: ServiceRequest, outside: OutsideReport | None, *, has_all: bool
) -> dict[str, Any]:
    team = plan.team(current, one.team)
    place = outside if outside is not None and (has_all or one.is_shared) else None
    building = one.building if has_all or one.is_shared else None
    return {
        "service_request_id": str(one.id),
        "status": "closed" if one.status == Status.COMPLETED else "open",
        "status_notes": _notes(one, has_all=has_all),
        "service_name": category_name(one.category),
        "service_code": one.category,
        "description": one.description if has_all else None,
        "agency_responsible": team.name if team else None,
        "service_notice": services.notice(current, one.category),
        "requested_datetime": one.created_at.isoformat(),
        "updated_datetime": (one.completed_at or one.updated_at).isoformat(),
        "expected_datetime": one.due_at.isoformat(),
        "address": one.location if has_all else building,
        "address_id": building,
        "zipcode": None,
        "lat": float(place.latitude) if place and place.latitude else None,
        "long": float(place.longitude) if place and place.longitude else None,
        "media_url": outside.media_url if outside is not None and has_all else None,
    }


def _notes(one: ServiceRequest, *, has_all: bool) -> str:
    """Where it stands: for whoever sees all of it the last note, or the number it goes on as."""
    if one.merged_into is not None and has_all:
        return _("Goes on as No. %(number)s") % {"number": one.merged_into}
    plain = status_name(Status(one.status), is_merged=one.merged_into is not None)
    return (one.notes if has_all else None) or plain


def _reporter(holder: Access, account_id: str | None) -> UUID | None:
    """A resident's key reports for the resident; a desk's program for whom it names, or nobody."""
    if holder.resident_id is not None:
        return holder.resident_id
    if account_id is None or holder.roles.isdisjoint(ACTING_ROLES):
        return None
    try:
        return UUID(account_id)
    except ValueError:
        raise BadInput(field="account_id", problem="there is no such account") from None


def _coordinate(get: Callable[[str], str], name: str) -> str | None:
    text = get(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = COORDINATES[name] + 1
    if not (-COORDINATES[name] <= value <= COORDINATES[name] and len(text) <= 30):
        raise BadInput(field=name, problem="give degrees, such as 31.2304")
    return str(value)


def _link(text: str) -> str | None:
    """An address on the web, kept to be shown to staff; we never fetch it."""
    if not text:
        return None
    if len(text) > 1_000 or not text.isprintable() or not text.startswith(("http://", "https://")):
        raise BadInput(field="media_url", problem="give an address on the web")
    return text


def _moment(get: Callable[[str], str], name: str) -> datetime | None:
    text = get(name)
    if not text:
        return None
    found = services.moment(text.replace(" ", "+"))  # a plus sign that a client did not quote
    if found is None:
        raise BadInput(field=name, problem="give a moment such as 2026-11-24T08:00:00Z")
    return found


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)
