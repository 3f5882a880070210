"""The states of passes, visits, gifts, reversals and disputes, what may follow what, all limits."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from node.exchange.refusals import DisputeClosed
from node.kernel.errors import BadInput, DomainError

MINUTES_MAX = 480  # of one pass: a day of help
PASS_LIFETIME = timedelta(days=14)  # to be presented within
CAPTURE_LIFETIME = timedelta(days=30)  # from acceptance to the last possible capture
CODE_LENGTH = 8
GIFT_CODE_LENGTH = 10  # longer than a pass's, so that one is never taken for the other
GIFT_CODES_MAX = 5  # of one resident at a time
WAITING_MAX = 10_000  # unanswered messages for one peer; nothing new is begun with it then
HEADROOM_FRESH = timedelta(minutes=5)  # a peer's word on its limit; older, it is asked again
HEADROOM_STALE = timedelta(days=1)  # older, it is not counted with
EVIDENCE_A_DAY_MAX = 100  # rows of one kind from one peer; more would only fill the disk
COMPARE_DAYS_MAX = 31  # days back for which receipts are still compared with a peer
COMPARE_LINES_MAX = 4_096  # receipts named in one answer; the rest in the next ones
COMPARE_MISSING_MAX = 16_384  # receipts that one comparison finds missing here; then it stops
COMPARE_AGAIN = timedelta(hours=6)  # between two comparisons of a day that differs
COMPARE_TRIES_MAX = 8  # then what the other side cannot prove is a dispute
FETCH_MAX = 64  # receipts asked for in one message; we ask for each alone
PROOF_BYTES_MAX = 4_096  # of an answer that is kept as the proof of the one receipt it names
VERDICTS_MAX = 20  # of one side in one dispute


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
    RELEASED = "released"  # called off, or not confirmed in time
    REFUSED = "refused"  # home said no, and signed it


class GiftState(StrEnum):
    """Minutes given to a resident of another community; the last state is the receiver's side."""

    SENT = "sent"  # held; the order is on its way, and only the answer can end it
    ACCEPTED = "accepted"  # the other side has credited them; paid
    REFUSED = "refused"  # the other side said no, and signed it; given back
    RECEIVED = "received"  # at the receiving side: credited


class ReversalState(StrEnum):
    """Minutes of a captured exchange on their way back; the same states on both sides."""

    ASKED = "asked"  # the side that was paid for is asked to give minutes back
    OFFERED = "offered"  # the payer holds them; the other side has to agree
    AGREED = "agreed"  # the other side agreed and asks for them
    REVERSED = "reversed"  # paid back: a receipt with the debt turned stands on both sides
    DECLINED = "declined"  # one side said no


class DisputeState(StrEnum):
    """A disagreement about an exchange; the same states on both sides."""

    OPENED = "opened"  # one side says it was not so
    ANSWERED = "answered"  # the other side has said how it was; the arbiters judge
    JUDGED = "judged"  # an arbiter of each side said the same


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


GIFT_STEPS: dict[GiftState, frozenset[GiftState]] = {
    GiftState.SENT: frozenset({GiftState.ACCEPTED, GiftState.REFUSED}),
    GiftState.ACCEPTED: frozenset(),
    GiftState.REFUSED: frozenset(),
    GiftState.RECEIVED: frozenset(),
}

REVERSAL_STEPS: dict[ReversalState, frozenset[ReversalState]] = {
    ReversalState.ASKED: frozenset(
        {ReversalState.OFFERED, ReversalState.AGREED, ReversalState.DECLINED}
    ),
    ReversalState.OFFERED: frozenset(
        {ReversalState.AGREED, ReversalState.REVERSED, ReversalState.DECLINED}
    ),
    ReversalState.AGREED: frozenset({ReversalState.REVERSED, ReversalState.DECLINED}),
    ReversalState.REVERSED: frozenset(),
    ReversalState.DECLINED: frozenset(),
}

DISPUTE_STEPS: dict[DisputeState, frozenset[DisputeState]] = {
    DisputeState.OPENED: frozenset({DisputeState.ANSWERED}),
    DisputeState.ANSWERED: frozenset({DisputeState.JUDGED}),
    DisputeState.JUDGED: frozenset(),
}


class ComparisonState(StrEnum):
    """One day's receipts with one peer."""

    ASKED = "asked"  # no answer yet
    SAME = "same"  # both books say the same
    DIFFERS = "differs"  # compared again later, once what is missing was fetched
    DISPUTED = "disputed"  # what nobody could prove is in dispute


class ReceiptKind(StrEnum):
    """Why one community owes another minutes."""

    CAPTURE = "capture"  # its resident was helped there
    GIFT = "gift"  # its resident gave minutes to one there
    REVERSAL = "reversal"  # it gives minutes back


class DisputeCode(StrEnum):
    """What a side says was wrong. Words stay at home; only the code travels."""

    NOT_GIVEN = "not_given"
    FEWER_MINUTES = "fewer_minutes"
    WRONG_PERSON = "wrong_person"
    AS_RECORDED = "as_recorded"  # an answer: it was as the receipt says
    RECEIPT_MISSING = "receipt_missing"  # the comparison found one that nothing here proves
    RECEIPT_DIFFERS = "receipt_differs"  # the comparison found other minutes under one id


class Consent(StrEnum):
    """How somebody who acted for a resident heard that they agree; kept with what was done."""

    SELF = "self"  # nobody acted for them
    IN_PERSON = "in_person"
    TELEPHONE = "telephone"
    WRITTEN = "written"
    PROXY = "proxy"  # a relative, under an agreement that the elder made
    UNSTATED = "unstated"  # a program acted and did not say: kept from before it had to


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


class VisitOverdue(DomainError):
    code = "exchange.visit_overdue"
    message = "The time to confirm this help is over: the minutes are free again at home."


class ReceiptAhead(DomainError):
    code = "exchange.receipt_ahead"
    message = "{home} dates its receipt {minutes} minutes ahead of our clock. Set the clocks."
    retryable = True


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


def check_gift_step(*, now: str, to: str) -> None:
    """Raises StepRefused where the gift may not go from `now` to `to`."""
    if to not in GIFT_STEPS[GiftState(now)]:
        raise StepRefused(what="The gift", state=now, to=to)


def check_reversal_step(*, now: str, to: str) -> None:
    """Raises StepRefused where the reversal may not go from `now` to `to`."""
    if to not in REVERSAL_STEPS[ReversalState(now)]:
        raise StepRefused(what="The reversal", state=now, to=to)


def check_dispute_step(*, now: str, to: str) -> None:
    """Raises DisputeClosed where the dispute may not go from `now` to `to`."""
    if to not in DISPUTE_STEPS[DisputeState(now)]:
        raise DisputeClosed(state=now)


def check_minutes(minutes: int) -> None:
    """Raises BadInput for an amount that no pass can have."""
    if not 1 <= minutes <= MINUTES_MAX:
        raise BadInput(field="minutes", problem=f"between 1 and {MINUTES_MAX}, not {minutes}")


def full_code(*, home: str, code: str) -> str:
    """The code as it is read aloud: which community, then eight characters."""
    return f"{home}-{code}"


def split_code(code: str, *, length: int = CODE_LENGTH) -> tuple[str, str]:
    """Community and short code; spaces and small letters are forgiven."""
    home, _, short = "".join(code.split()).rpartition("-")
    if not home or len(short) != length:
        raise BadInput(field="code", problem="a code looks like community-AB12CD34")
    return home.lower(), short.upper()


def consent(said: str | None, *, is_self: bool, is_relative: bool) -> Consent:
    """What is kept about a resident's agreement; raises BadInput for a word that is none of ours.

    A relative acts under the elder's own agreement, a clerk says how the elder was heard.
    """
    if is_self:
        return Consent.SELF
    if is_relative:
        return Consent.PROXY
    heard = (Consent.IN_PERSON, Consent.TELEPHONE, Consent.WRITTEN)
    if said is None or said not in heard:
        raise BadInput(field="consent", problem=f"one of {', '.join(heard)}")
    return Consent(said)


def stated_consent(said: str) -> Consent:
    """What a program says of a resident's agreement; raises BadInput for a word not ours."""
    words = [word for word in Consent if word is not Consent.UNSTATED]
    if said not in words:
        raise BadInput(field="consent", problem=f"one of {', '.join(words)}")
    return Consent(said)


def receipt_leaf(
    *,
    exchange_id: UUID,
    debtor: str,
    creditor: str,
    minutes: int,
    at: datetime,
    kind: str = ReceiptKind.CAPTURE,
) -> bytes:
    """What a receipt contributes to a Merkle tree: the same bytes on both sides.

    A reversal is a receipt like any other, with an id of its own and debtor and creditor turned.
    So minutes are above zero in every leaf and every statement; what goes back shows in the net.
    """
    at_us = int(at.timestamp()) * 1_000_000 + at.microsecond
    return f"linli/receipt/v1|{kind}|{exchange_id}|{debtor}|{creditor}|{minutes}|{at_us}".encode()
