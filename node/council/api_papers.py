"""The papers of a motion as JSON and as files."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from node.council import papers
from node.council.access import DESK_ROLES
from node.council.model import Paper
from node.council.papers import PaperKind
from node.web import idempotency
from node.web.session import AnyRequest, house, require

UPLOAD_BYTES_MAX = papers.RECORDING_BYTES_MAX + 100_000  # a form's other fields beside the file


@get("/api/council/motions/{motion_id:uuid}/papers")
async def list_papers(request: AnyRequest, motion_id: FromPath[UUID]) -> list[dict[str, Any]]:
    """Opinions, minutes and recordings of a motion."""
    with house(request).database.read() as session:
        return [paper_json(paper) for paper in papers.listed(session, motion_id)]


@post(
    "/api/council/motions/{motion_id:uuid}/papers",
    request_max_body_size=UPLOAD_BYTES_MAX,
)
async def add_paper(
    request: AnyRequest,
    motion_id: FromPath[UUID],
    title: FromQuery[str],
    kind: FromQuery[PaperKind] = PaperKind.OTHER,
) -> dict[str, Any]:
    """Lay a file, the raw body of this request, beside a motion (clerk, secretary)."""
    who, node = require(request, *DESK_ROLES), house(request)
    paper_id, content = idempotency.key(request), await request.body()
    paper = await node.database.run(
        lambda session: papers.add(
            session,
            node.clock,
            paper_id=paper_id,
            motion_id=motion_id,
            kind=kind,
            title=title,
            content=content,
            added_by=who.hand,
        )
    )
    return paper_json(paper)


@get("/council/papers/{paper_id:uuid}", include_in_schema=False)
async def download(request: AnyRequest, paper_id: FromPath[UUID]) -> Response[bytes]:
    """The file itself, always as a download, so that no browser runs what it holds."""
    with house(request).database.read() as session:
        paper = papers.find(session, paper_id)
        name = f"{paper.kind}-{paper.id}.{papers.SUFFIXES[paper.media_type]}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(paper.content, media_type=paper.media_type, headers=headers)


def paper_json(paper: Paper) -> dict[str, Any]:
    """A paper as the API shows it."""
    return {
        "id": str(paper.id),
        "kind": paper.kind,
        "title": paper.title,
        "media_type": paper.media_type,
        "bytes": paper.bytes_count,
        "sha256": paper.sha256,
        "added_at": paper.added_at.isoformat(),
        "href": f"/council/papers/{paper.id}",
    }


routes = [list_papers, add_paper, download]
