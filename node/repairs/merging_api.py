"""Merging for programs of the desk and the property company."""

from litestar import get, put
from litestar.params import FromPath
from sqlalchemy.orm import Session

from node.repairs import merging, service
from node.repairs.access import STAFF, WORKERS
from node.repairs.shapes import Repair, Similar, SimilarPage
from node.repairs.shapes import repair as as_json
from node.web import etag
from node.web.session import AnyRequest, house, require


@put("/api/repairs/{request_id:int}/merged-into/{kept_id:int}")
async def merge(request: AnyRequest, request_id: FromPath[int], kept_id: FromPath[int]) -> Repair:
    """Close a request because `kept_id` means the same (property, clerk). Not to be undone.

    With If-Match and the ETag of the request as it was read: 412 if it has moved on since.
    """
    who, node = require(request, *WORKERS), house(request)

    def command(session: Session) -> Repair:
        etag.check_match(request, as_json(service.find(session, request_id)))
        return as_json(
            merging.merge(
                session,
                node.clock,
                request_id=request_id,
                kept_id=kept_id,
                merged_by=who.actor,
            )
        )

    return await node.database.run(command)


@get("/api/repairs/{request_id:int}/merged")
async def list_merged(request: AnyRequest, request_id: FromPath[int]) -> SimilarPage:
    """For staff: the requests that go on as this one. Where it goes itself says `mergedInto`."""
    require(request, *STAFF)
    names = Similar.__struct_fields__
    with house(request).database.read() as session:
        found = merging.merged_into(session, service.find(session, request_id).id)
        return SimilarPage([Similar(*[getattr(one, name) for name in names]) for one in found])


routes = [merge, list_merged]
