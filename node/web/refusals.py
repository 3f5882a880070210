"""How a refusal reaches the caller: problem+json for programs, a page with a sentence for people.

The status follows the code: `STATUS` first, then the ending (`.not_found` 404, `.bad_input` 400),
else 409. A slice that needs another one says `STATUS["repairs.fields_missing"] = 400` in api.py.
"""

from pathlib import Path
from traceback import extract_tb
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from litestar import Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.response import Redirect

from node.kernel.errors import BadInput, DomainError
from node.web.language import gettext as _
from node.web.language import sentence
from node.web.session import ACTING_COOKIE, SAFE_METHODS, AnyRequest, cookie, is_api

STATUS: dict[str, int] = {
    "kernel.busy": 503,
    "kernel.not_allowed": 403,
    "residents.not_signed_in": 401,
    "residents.no_proxy": 403,
    "residents.sign_in_locked": 429,
    "residents.wrong_phone_or_pin": 401,
    "web.form_expired": 403,
}
ENDINGS = {"not_found": 404, "bad_input": 400}
RETRY_AFTER_SECONDS = 5

log = structlog.get_logger()


class NoSuchPage(DomainError):
    code = "web.not_found"
    message = "There is nothing at this address."


class RequestRefused(DomainError):
    code = "web.request_refused"
    message = "This request cannot be answered (status {status})."


class Broken(DomainError):
    code = "web.internal_error"
    message = "Something went wrong on our side. Nothing was changed. Please try again."
    retryable = True


def status_of(refusal: DomainError) -> int:
    """The HTTP status that says the same as the refusal's code."""
    ending = refusal.code.rpartition(".")[2]
    return STATUS.get(refusal.code) or ENDINGS.get(ending, 409)


def answer_refusal(request: AnyRequest, refusal: DomainError) -> Response[Any]:
    """Litestar's handler for DomainError."""
    return _answer(request, refusal, status_of(refusal))


def answer_http(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """Litestar's handler for its own errors: unknown paths, wrong methods, unreadable bodies."""
    if isinstance(error, ValidationException):
        return _answer(request, _bad_input(error), 400)
    if error.status_code >= 500:
        return answer_failure(request, error)
    if error.status_code == 404:
        return _answer(request, NoSuchPage(), 404)
    return _answer(request, RequestRefused(status=error.status_code), error.status_code)


def answer_failure(request: AnyRequest, error: Exception) -> Response[Any]:
    """Litestar's handler for everything else: where it broke goes to the log, no values do."""
    place = extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    log.error("request_failed", error=type(error).__name__, where=where, method=request.method)
    return _answer(request, Broken(), 500)


def _bad_input(error: ValidationException) -> BadInput:
    extra = error.extra if isinstance(error.extra, list) else []
    first = extra[0] if extra and isinstance(extra[0], dict) else {}
    field = str(first.get("key") or "body")
    return BadInput(field=field, problem=str(first.get("message") or _("cannot be read")))


def _answer(request: AnyRequest, refusal: DomainError, status: int) -> Response[Any]:
    wait_seconds = refusal.details.get("seconds", RETRY_AFTER_SECONDS)
    headers = {"Retry-After": str(wait_seconds)} if status in (429, 503) else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if is_api(request):
        return _problem(refusal, status, headers)
    if refusal.code == "residents.not_signed_in" and request.method in SAFE_METHODS:
        return Redirect(f"/sign-in?next={quote(request.url.path)}", status_code=303)
    from node.web.layout import page  # layout names this module's handlers: one of two must wait

    shown = {"title": _title(status), "sentence": sentence(refusal), "code": refusal.code}
    answer = page(request, "refusal.html", status=status, **shown)
    answer.headers.update(headers)
    if refusal.code == "residents.no_proxy":  # said once; from the next page on it is for oneself
        answer.cookies.append(cookie(request, ACTING_COOKIE, "", max_age=0))
    return answer


def _title(status: int) -> str:
    if status == 404:
        return _("Not found")
    return _("Something went wrong") if status >= 500 else _("This is not possible")


def _problem(refusal: DomainError, status: int, headers: dict[str, str]) -> Response[bytes]:
    detail = sentence(refusal)
    body = {
        "type": f"urn:linli:problem:{refusal.code}",
        "title": str(refusal),
        "status": status,
        "code": refusal.code,
        "detail": detail,
        "error": detail,  # the seed's clients read this member
        "retryable": refusal.retryable,
        "details": refusal.details,
    }
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )
