"""The states of a pass (at home) and of a visit (at the host), and what may follow what."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from node.kernel.errors import BadInput, DomainError

MINUTES_MAX = 480  # of one pass: a day of help
PASS_LIFETIME = timedelta(days=14)  # to be presented within
CAPTURE_LIFETIME = timedelta(days=30)  # from acceptance to the last possible capture
CODE_LENGTH = 8


class PassState(StrEnum):
    """A pass, as its home community keeps it."""

    ISSUED = "issued"  # minutes held, slip handed out
    ACCEPTED = "accepted"  # presented: bound to one exchange
    CAPTURED = "captured"  # paid
    RELEASED = "released"  # the host gave it back unused
    VOIDED = "voided"  # home took it back before it was presented
    EXPIRED = "expired"  # not presented, or not captured, in time


class VisitState(StrEnum):
    """Help given on a pass, as the host community keeps it."""

    PRESENTED = "presented"  # asked home, no answer yet
    ACCEPTED = "accepted"  # home holds the minutes for us
    DELIVERED = "delivered"  # help given, minutes noted, not yet confirmed by both
    CONFIRMED = "confirmed"  # both confirmed; home is asked for the minutes
    CAPTURED = "captured"  # home's receipt is here, the volunteer is credited
    RELEASED = "released"  # called off
    REFUSED = "refused"  # home said no, and signed it


PASS_STEPS: dict[PassState, frozenset[PassState]] = {
    PassState.ISSUED: frozenset({PassState.ACCEPTED, PassState.VOIDED, PassState.EXPIRED}),
    PassState.ACCEPTED: frozenset({PassState.CAPTURED, PassState.RELEASED, PassState.EXPIRED}),
    PassState.CAPTURED: frozenset(),
    PassState.RELEASED: frozenset(),
    PassState.VOIDED: frozenset(),
    PassState.EXPIRED: frozenset(),
}

VISIT_STEPS: dict[VisitState, frozenset[VisitState]] = {
    VisitState.PRESENTED: frozenset({VisitState.ACCEPTED, VisitState.RELEASED, VisitState.REFUSED}),
    VisitState.ACCEPTED: frozenset({VisitState.DELIVERED, VisitState.RELEASED}),
    VisitState.DELIVERED: frozenset({VisitState.CONFIRMED, VisitState.RELEASED}),
    VisitState.CONFIRMED: frozenset({VisitState.CAPTURED, VisitState.REFUSED}),
    VisitState.CAPTURED: frozenset(),
    VisitState.RELEASED: frozenset(),
    VisitState.REFUSED: frozenset(),
}


class PassNotUsable(DomainError):
    code = "exchange.pass_not_usable"
    message = "This pass is {state}: it cannot be used now."


class PassUnknown(DomainError):
    code = "exchange.pass_unknown"
    message = "There is no pass with this code for this community."


class PassForOther(DomainError):
    code = "exchange.pass_for_other"
    message = "This pass is meant for the community {host}."


class PassTooSmall(DomainError):
    code = "exchange.pass_too_small"
    message = "The pass covers {covered} minutes; {needed} were asked."


class StepRefused(DomainError):
    code = "exchange.step_refused"
    message = "{what} is {state}; it cannot become {to}."


class DebtLimitReached(DomainError):
    code = "exchange.debt_limit_reached"
    message = "This community may promise {available} more minutes to others; {needed} were asked."
    retryable = True


class UnknownCommunity(DomainError):
    code = "exchange.unknown_community"
    message = "{community} is not a community this node knows."


def check_pass_step(*, now: str, to: str) -> None:
    """Raises StepRefused where the pass may not go from `now` to `to`."""
    if to not in PASS_STEPS[PassState(now)]:
        raise StepRefused(what="The pass", state=now, to=to)


def check_visit_step(*, now: str, to: str) -> None:
    """Raises StepRefused where the visit may not go from `now` to `to`."""
    if to not in VISIT_STEPS[VisitState(now)]:
        raise StepRefused(what="The visit", state=now, to=to)


def check_minutes(minutes: int) -> None:
    """Raises BadInput for an amount that no pass can have."""
    if not 1 <= minutes <= MINUTES_MAX:
        raise BadInput(field="minutes", problem=f"between 1 and {MINUTES_MAX}, not {minutes}")


def full_code(*, home: str, code: str) -> str:
    """The code as it is read aloud: which community, then eight characters."""
    return f"{home}-{code}"


def split_code(code: str) -> tuple[str, str]:
    """Home community and short code; spaces and small letters are forgiven."""
    home, _, short = "".join(code.split()).rpartition("-")
    if not home or len(short) != CODE_LENGTH:
        raise BadInput(field="code", problem="a code looks like community-AB12CD34")
    return home.lower(), short.upper()


def receipt_leaf(*, exchange_id: UUID, home: str, host: str, minutes: int, at: datetime) -> bytes:
    """What a receipt contributes to a Merkle tree: the same bytes on both sides."""
    captured_at_us = int(at.timestamp()) * 1_000_000 + at.microsecond
    return f"linli/receipt/v1|{exchange_id}|{home}|{host}|{minutes}|{captured_at_us}".encode()
