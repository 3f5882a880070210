"""Offers, needs, what fits them and why, and who is trained for what, as JSON."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody

from node.residents.rules import Role, Scope
from node.timebank import listings, matching, training
from node.timebank.matching import Match, Part
from node.timebank.model import HelperTraining, Listing
from node.timebank.rules import Kind
from node.web import idempotency
from node.web.paging import PAGE_ROWS_DEFAULT, Cursor, PageRows
from node.web.session import AnyRequest, house, require, require_for, require_subject

TRAINING_ROLES = (Role.SOCIAL_WORKER, Role.CLERK)


class TimeBody(msgspec.Struct):
    day: int  # 0: Monday
    part: Part


class ListingBody(msgspec.Struct):
    resident_id: UUID
    kind: Kind
    service: str
    times: list[TimeBody]
    minutes: int
    note: str = ""


class TrainingBody(msgspec.Struct):
    resident_id: UUID
    service: str


@post("/api/timebank/listings")
async def open_listing(request: AnyRequest, data: JSONBody[ListingBody]) -> dict[str, Any]:
    """Say what a resident offers or needs, and at which times of the week."""
    who = require_for(request, data.resident_id, Scope.TIMEBANK)
    node, listing_id = house(request), idempotency.key(request)
    by = who.recorder(data.resident_id)
    times = 0
    for one in data.times:
        if 0 <= one.day < matching.WEEKDAYS:
            times |= matching.times_of([one.day], [one.part])
    return await node.database.run(
        lambda session: listing_json(
            listings.open_listing(
                session,
                node.clock,
                listing_id=listing_id,
                kind=data.kind,
                resident_id=data.resident_id,
                service=data.service,
                times=times,
                minutes=data.minutes,
                note=data.note,
                recorded_by=by,
            )
        )
    )


@get("/api/timebank/listings")
async def list_listings(
    request: AnyRequest,
    kind: FromQuery[Kind | None] = None,
    service: FromQuery[str | None] = None,
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
    after: FromQuery[Cursor | None] = None,
) -> dict[str, Any]:
    """What neighbours offer and need, newest first: for everybody who is known here."""
    require(request)
    node = house(request)
    with node.database.read() as session:
        found = listings.listings(
            session, node.clock, kind=kind, service=service, limit=limit, after=after
        )
        return found.as_json(listing_json)


@get("/api/timebank/listings/{listing_id:uuid}/matches")
async def list_matches(request: AnyRequest, listing_id: FromPath[UUID]) -> list[dict[str, Any]]:
    """What fits a listing best, and the points that each reason gives: for its resident."""
    node = house(request)
    with node.database.read() as session:
        row = listings.find(session, listing_id)
        require_for(request, row.resident_id, Scope.TIMEBANK)
        return [match_json(one) for one in listings.matches(session, node.clock, row)]


@post("/api/timebank/listings/{listing_id:uuid}/close", status_code=200)
async def close_listing(request: AnyRequest, listing_id: FromPath[UUID]) -> dict[str, Any]:
    """Take one's own listing down."""
    _who, resident_id = require_subject(request, Scope.TIMEBANK)
    node = house(request)
    return await node.database.run(
        lambda session: listing_json(
            listings.close_listing(
                session, node.clock, listing_id=listing_id, resident_id=resident_id
            )
        )
    )


@post("/api/timebank/training", status_code=200)
async def note_training(request: AnyRequest, data: JSONBody[TrainingBody]) -> dict[str, Any]:
    """Write down that a resident may give help that needs training (social worker, clerk)."""
    who, node = require(request, *TRAINING_ROLES), house(request)
    return await node.database.run(
        lambda session: training_json(
            training.note(
                session,
                node.clock,
                resident_id=data.resident_id,
                service=data.service,
                seen_by=who.hand,
            )
        )
    )


def listing_json(row: Listing) -> dict[str, Any]:
    """A listing as the API shows it."""
    times = matching.times_in(row.times)
    return {
        "id": str(row.id),
        "kind": row.kind,
        "resident_id": str(row.resident_id),
        "service": row.service,
        "times": [{"day": day, "part": part.value} for day, part in times],
        "minutes": row.minutes,
        "note": row.note,
        "opened_at": row.opened_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
        "is_closed": row.closed_at is not None,
    }


def match_json(one: Match) -> dict[str, Any]:
    """A match as the API shows it: the score is the sum of its reasons."""
    return {
        "listing_id": str(one.other.id),
        "resident_id": str(one.other.resident_id),
        "score": one.score,
        "reasons": [
            {
                "code": reason.code.value,
                "points": reason.points,
                "of": reason.of,
                "have": reason.have,
                "need": reason.need,
            }
            for reason in one.reasons
        ],
    }


def training_json(row: HelperTraining) -> dict[str, Any]:
    """What a resident may give, and until when."""
    return {
        "resident_id": str(row.resident_id),
        "service": row.service,
        "seen_at": row.seen_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
    }


routes = [open_listing, list_listings, list_matches, close_listing, note_training]
