"""Photos for programs: the body of the POST is the picture, whatever it calls itself."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from litestar import Response, get, post
from litestar.openapi.spec import (
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)
from litestar.params import FromPath, FromQuery
from sqlalchemy.orm import Session

from node.kernel.errors import NotAllowed
from node.repairs import photos, service
from node.repairs.access import STAFF, is_own, must_see_all
from node.repairs.model import Photo
from node.repairs.shapes import PhotoMade, PhotoPage
from node.web import idempotency, refusals
from node.web.session import AnyRequest, house, require

refusals.STATUS |= {
    "repairs.photo_not_found": 404,
    "repairs.photo_unreadable": 400,
    "repairs.photo_too_large": 413,
}
CACHED = "private, max-age=86400, immutable"  # a photo never changes; nobody else may keep it


@dataclass
class PhotoBody(Operation):
    """For the schema: the body is the picture."""

    def __post_init__(self) -> None:
        binary = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        kinds = [f"image/{kind.lower()}" for kind in photos.FORMATS]
        content = {kind: OpenAPIMediaType(schema=binary) for kind in kinds}
        self.request_body = RequestBody(content=content, required=True)


@post(
    "/api/repairs/{request_id:int}/photos",
    request_max_body_size=photos.SENT_BYTES_MAX,
    operation_class=PhotoBody,
)
async def add_photo(request: AnyRequest, request_id: FromPath[int]) -> PhotoMade:
    """Add a photo: the body is a JPEG, PNG or WebP. It is made anew without its metadata."""
    who, node, key = require(request), house(request), idempotency.key(request)
    with node.database.read() as session:  # before the work of decoding
        found = service.find(session, request_id)
        if not (who.has(*STAFF) or is_own(who, found)):
            raise NotAllowed(what=request.url.path)
    made = await asyncio.to_thread(photos.make, await request.body())

    def command(session: Session) -> PhotoMade:
        photo = photos.add(
            session,
            node.clock,
            photo_id=key,
            request_id=request_id,
            made=made,
            added_by=who.actor,
        )
        return _made(photo)

    return await node.database.run(command)


@get("/api/repairs/{request_id:int}/photos")
async def list_photos(request: AnyRequest, request_id: FromPath[int]) -> PhotoPage:
    """The request's photos, for its reporter and staff."""
    who = require(request)
    with house(request).database.read() as session:
        must_see_all(request, session, who, service.find(session, request_id))
        return PhotoPage([_made(one) for one in photos.photos_of(session, request_id)])


@get("/api/repairs/{request_id:int}/photos/{photo_id:uuid}", media_type=photos.MEDIA_TYPE)
async def show_photo(
    request: AnyRequest,
    request_id: FromPath[int],
    photo_id: FromPath[UUID],
    preview: FromQuery[bool] = False,
) -> Response[bytes]:
    """The picture itself, for the request's reporter and staff."""
    return answer(request, request_id, photo_id, is_preview=preview)


def answer(
    request: AnyRequest, request_id: int, photo_id: UUID, *, is_preview: bool
) -> Response[bytes]:
    """A picture with the headers that keep it one: never run, never shared, never guessed at."""
    who = require(request)
    with house(request).database.read() as session:
        must_see_all(request, session, who, service.find(session, request_id))
        photo = photos.find(session, request_id=request_id, photo_id=photo_id)
        content = photo.preview if is_preview else photo.content
    headers = {
        "Cache-Control": CACHED,
        "Content-Disposition": f'inline; filename="repair-{request_id}.jpg"',
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(content, media_type=photos.MEDIA_TYPE, headers=headers)


def _made(photo: Photo) -> PhotoMade:
    return PhotoMade(photo.id, photo.width, photo.height)


routes = [add_photo, list_photos, show_photo]
