"""The API's description as programs need it: what is refused and how, headers, keys, examples.

Litestar writes down paths, parameters and bodies from the handlers; `described` adds what all of
them share, and leaves out the pages, which are for people. It is served at /api/schema.
"""

from typing import Any

from litestar import Request, get
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.response import Redirect

PROBLEM = {
    "type": "object",
    "description": "A refusal (RFC 9457). `code` is stable; `retryable` says if again can help.",
    "required": ["type", "title", "status", "code", "detail", "retryable", "details"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string", "description": "The sentence, in the reader's language."},
        "error": {"type": "string", "description": "The same; for older clients."},
        "retryable": {"type": "boolean"},
        "details": {"type": "object"},
    },
}
REFUSED = {
    "description": "Refused: 400 bad input, 401 sign in, 403 not yours, 404 not there, 409 not "
    "now, 412 changed meanwhile, 413 too large, 429 too often, 503 busy (both with Retry-After).",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
UNCHANGED = {"description": "The same as when you got the ETag that If-None-Match names."}
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of POST /api/sessions (people) or of linli-node token (programs).",
}
UUID_TEXT = {"type": "string", "format": "uuid"}
KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A UUID of your own for what this creates: asking twice does it once. "
    "Creating is refused without it.",
    "schema": UUID_TEXT,
}
ACTING_HEADER = {
    "name": "X-Acting-For",
    "in": "header",
    "required": False,
    "description": "The resident for whom you act; both of you are recorded.",
    "schema": UUID_TEXT,
}
EXAMPLES: dict[str, Any] = {
    "POST /api/residents": {"name": "Lin Mei", "phone": "13900001234", "pin": "804217"},
    "POST /api/repairs": {
        "title": "Lift stands still",
        "description": "Between the second and the third floor, nobody inside.",
        "location": "3-2",
        "category": "elevator",
    },
    "POST /api/council/motions": {
        "title": "A bench by the gate",
        "text": "Two benches in the shade, so that nobody has to stand while waiting.",
    },
}
"""Request bodies that work as they stand; tests/node/web/test_schema.py sends each of them."""


class Described(JsonRenderPlugin):
    """Litestar's schema with what all operations share."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return self.render_json(request, described(openapi_schema))


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """A copy for programs: /api alone, with refusals, headers, keys and examples."""
    found: dict[str, Any] = _without_ellipses(schema)
    paths = {path: item for path, item in found["paths"].items() if path.startswith("/api/")}
    for path, item in paths.items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "responses" in operation:
                _describe(method.upper(), path, operation)
    components = found.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    components["securitySchemes"] = {"token": BEARER}
    return found | {"paths": paths, "security": [{"token": []}, {}]}


def _without_ellipses(value: Any) -> Any:
    """A copy in which a tuple of any length is a list: Litestar takes its `...` for a type, {}."""
    if isinstance(value, list):
        return [_without_ellipses(one) for one in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"oneOf": [{"$ref": _} as first, empty]} if empty == {}:
            return first
    return {name: _without_ellipses(one) for name, one in value.items()}


def _describe(method: str, path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("400", None)  # Litestar's own shape, which ours replaces
    responses["default"] = REFUSED
    if method == "GET":
        responses["304"] = UNCHANGED
    headers = [ACTING_HEADER, *([KEY_HEADER] if method == "POST" else [])]
    operation["parameters"] = [*operation.get("parameters", ()), *headers]
    example = EXAMPLES.get(f"{method} {path}")
    if example is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = example


@get("/schema", include_in_schema=False)
async def schema() -> Redirect:
    """Where programs look for it first."""
    return Redirect("/api/schema", status_code=308)
