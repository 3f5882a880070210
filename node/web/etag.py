"""ETags: a program that asks again gets 304 and no body, and a change can say what it changes.

Every JSON answer to GET under /api carries one, made of its bytes (`tagged`, around the site).
A handler that changes something may let callers say which state they saw:

    etag.check_match(request, as_json(found))    # If-Match differs: 412, nothing is changed
"""

import hashlib
from typing import Any

import msgspec
from litestar.enums import ScopeType
from litestar.types import (
    ASGIApp,
    HTTPResponseStartEvent,
    Message,
    Receive,
    Scope,
    Send,
)

from node.kernel.errors import DomainError
from node.web import refusals
from node.web.session import Connection

REVALIDATE = "private, no-cache"  # may be kept by the caller, and is asked about each time
TAG_CHARACTERS = 32
_USUAL = (
    (b"cache-control", REVALIDATE.encode()),
    (b"vary", b"Authorization, Cookie, X-Acting-For"),
)
_WANTED = b"if-none-match"


class ChangedMeanwhile(DomainError):
    code = "web.changed_meanwhile"
    message = "This was changed since you looked (If-Match). Look again, then change it."
    retryable = True


refusals.STATUS["web.changed_meanwhile"] = 412


def tag(body: bytes) -> str:
    """The ETag of an answer's body."""
    return f'"{hashlib.sha256(body).hexdigest()[:TAG_CHARACTERS]}"'


def check_match(request: Connection, state: Any) -> None:
    """Refuse a change of another state than the one the caller saw, if they said which one.

    `state` is what GET answers for the same thing, before it is made into bytes.
    """
    wanted = request.headers.get("if-match")
    if wanted is not None and not _matches(wanted, tag(msgspec.json.encode(state))):
        raise ChangedMeanwhile


def tagged(inner: ASGIApp) -> ASGIApp:
    """Around the site: whole JSON answers to GET under /api get their ETag, or become a 304."""

    async def tag_answer(scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_read_by_program(scope):
            await inner(scope, receive, send)
            return
        waiting: list[HTTPResponseStartEvent] = []

        async def send_tagged(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_whole_json(message):
                waiting.append(message)
                return
            if message["type"] == "http.response.body" and waiting:
                start = waiting.pop()
                if not message["more_body"]:
                    message["body"] = _tagged_body(scope, start, message["body"])
                await send(start)
            await send(message)

        await inner(scope, receive, send_tagged)

    return tag_answer


def _is_read_by_program(scope: Scope) -> bool:
    return (
        scope["type"] == ScopeType.HTTP
        and scope["method"] == "GET"
        and scope["path"].startswith("/api/")
    )


def _is_whole_json(start: HTTPResponseStartEvent) -> bool:
    return start["status"] == 200 and any(
        name.lower() == b"content-type" and value.startswith(b"application/json")
        for name, value in start["headers"]
    )


def _tagged_body(scope: Scope, start: HTTPResponseStartEvent, body: bytes) -> bytes:
    """Name the answer by its bytes; none of them if the caller has these already."""
    made = tag(body)
    said = {name.lower() for name, _ in start["headers"]}
    headers = [one for one in start["headers"] if one[0].lower() != b"etag"]
    headers.append((b"etag", made.encode()))
    headers += [one for one in _USUAL if one[0] not in said]
    wanted = [value.decode("latin-1") for name, value in scope["headers"] if name == _WANTED]
    is_known = bool(wanted) and _matches(",".join(wanted), made)
    if is_known:
        start["status"] = 304
        headers = [one for one in headers if one[0].lower() != b"content-length"]
    start["headers"] = headers
    return b"" if is_known else body


def _matches(wanted: str, made: str) -> bool:
    """RFC 9110 13.1: `*`, or one of a list, weak ones compared by their bytes."""
    tags = [one.strip().removeprefix("W/") for one in wanted.split(",")]
    return "*" in tags or made in tags
