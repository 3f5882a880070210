"""A refusal on its way out: gRPC status, sentence, and the stable code beside it."""

from types import TracebackType
from typing import Any, NoReturn

import grpc
import grpc.aio
import structlog

from coordinator import refusals
from node.kernel.errors import Busy, DomainError, NotFound

CODE_KEY = "linli-code"
STATUSES: dict[type[DomainError], grpc.StatusCode] = {
    refusals.CertificateUnknown: grpc.StatusCode.UNAUTHENTICATED,
    refusals.CommunityRevoked: grpc.StatusCode.PERMISSION_DENIED,
    refusals.InvitationUnknown: grpc.StatusCode.PERMISSION_DENIED,
    refusals.ApplicationUnusable: grpc.StatusCode.INVALID_ARGUMENT,
    refusals.PositionUnusable: grpc.StatusCode.INVALID_ARGUMENT,
    refusals.SignatureUnusable: grpc.StatusCode.INVALID_ARGUMENT,
    refusals.RoundUnknown: grpc.StatusCode.NOT_FOUND,
    refusals.ModelUnknown: grpc.StatusCode.NOT_FOUND,
    NotFound: grpc.StatusCode.NOT_FOUND,
    Busy: grpc.StatusCode.RESOURCE_EXHAUSTED,
}

Context = grpc.aio.ServicerContext[Any, Any]
log = structlog.get_logger()


class RefusalsBecomeStatus:
    """What a rule refuses reaches the caller in words; what breaks reaches only our log."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(problem, DomainError):
            await refuse(self._context, problem)
        if not isinstance(problem, Exception) or isinstance(problem, grpc.aio.AbortError):
            return
        log.error("call_failed", error=type(problem).__name__, reason=str(problem)[:400])
        sentence = "The office failed at this; its log says why."
        await self._context.abort(grpc.StatusCode.INTERNAL, sentence)


async def refuse(context: Context, refusal: DomainError) -> NoReturn:
    """End the call with this refusal."""
    status = STATUSES.get(type(refusal), grpc.StatusCode.FAILED_PRECONDITION)
    await context.abort(status, str(refusal), ((CODE_KEY, refusal.code),))
    raise AssertionError("abort raises")
