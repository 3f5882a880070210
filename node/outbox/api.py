"""What left the house, as JSON. It names nobody, so anyone may read it."""

from pathlib import Path
from typing import Any, Protocol, cast

from litestar import get

from node.outbox.left import Left, left
from node.web.session import AnyRequest, house


class ExportSettings(Protocol):
    """The setting that says where the training program notes what it sends."""

    @property
    def exports(self) -> Path: ...


@get("/api/left")
async def show(request: AnyRequest) -> list[dict[str, Any]]:
    """Kind, recipient, messages and bytes of all that ever left."""
    return [line._asdict() for line in read_left(request)]


def read_left(request: AnyRequest) -> list[Left]:
    """The list as it stands."""
    node = house(request)
    settings = cast(ExportSettings, node.settings)
    with node.database.read() as session:
        return left(session, settings.exports)


routes = [show]
