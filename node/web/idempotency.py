"""The caller chooses the id of what it creates, so that asking twice does it once."""

from uuid import UUID

from node.kernel.errors import BadInput
from node.web.session import Connection

HEADER = "Idempotency-Key"


def key(request: Connection) -> UUID:
    """The id of what this POST creates; required, so a client cannot forget it."""
    text = request.headers.get(HEADER)
    if text is None:
        raise BadInput(field=HEADER, problem="a POST that creates needs this header, a UUID")
    try:
        return UUID(text)
    except ValueError:
        raise BadInput(field=HEADER, problem="this is not a UUID") from None
