"""JSON answers without ceremony: most of what programs ask for has neither cookies nor headers.

`Answer` is the class of every answer that handlers return as plain data. Litestar's own way, which
does all that an answer may need, costs a quarter of a small request's time.
"""

from typing import Any, TypeVar

import msgspec
from litestar import MediaType, Response
from litestar.response.base import ASGIResponse
from litestar.serialization import get_serializer
from litestar.types import Receive, Scope, Send

T = TypeVar("T")
_JSON = (b"content-type", b"application/json")


class Answer(Response[T]):
    """A response that is sent at once where it is JSON and nothing else."""

    def to_asgi_response(self, app: Any, request: Any, **given: Any) -> ASGIResponse:
        """What sends it: `Ready` for plain JSON, Litestar's own for the rest."""
        media_type = self.media_type or given.get("media_type") or MediaType.JSON
        extra = (self.cookies, self.headers, self.background)
        extra += tuple(given.get(name) for name in ("cookies", "headers", "background"))
        content: Any = self.content
        is_plain = media_type == MediaType.JSON and not isinstance(content, str | None)
        if not is_plain or any(extra) or given.get("is_head_response"):
            return super().to_asgi_response(app, request, **given)
        if not isinstance(content, bytes):
            content = msgspec.json.encode(content, enc_hook=get_serializer(None))
        status = self.status_code or given["status_code"]
        ready: Any = Ready(content, status=status)  # an ASGI app, which is all that is asked of it
        return ready  # type: ignore[no-any-return]


class Ready:
    """An ASGI app that sends these bytes of JSON."""

    def __init__(self, body: bytes, *, status: int) -> None:
        self._body = body
        self._status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = str(len(self._body)).encode()
        headers = [_JSON, (b"content-length", length)]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})
