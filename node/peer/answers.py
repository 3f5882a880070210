"""Which message causes what: the table between the wire and the domain, in both directions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from node.exchange import compare, dispute, gift, home, host, limits, repair, reversal
from node.exchange.messages import (
    AnswerDispute,
    AskHeadroom,
    AskReversal,
    CompareReceipts,
    DeclineReversal,
    FetchReceipts,
    GiftAccepted,
    GiftOrder,
    Headroom,
    JudgeDispute,
    Noted,
    OfferReversal,
    OpenDispute,
    PassAccepted,
    PassReleased,
    PresentPass,
    Receipt,
    ReceiptsCompared,
    ReceiptsFound,
    ReleasePass,
    RequestCapture,
    RequestReversal,
    ReversalReceipt,
)
from node.exchange.model import PASSES, VISITS
from node.kernel import signing
from node.kernel.errors import DomainError
from node.kernel.messages import Body, Envelope, Refusal, Sealed, Sealer
from node.kernel.ports import Clock
from node.kernel.signing import BadSignature
from node.ledger import service as ledger
from node.peer import wire
from node.peer.admission import ClockAhead
from node.peer.book import PeerBook, UnknownPeer
from node.peer.seal import open_sealed
from node.peer.wire import Unreadable
from node.settlement import regained
from node.settlement import service as settlement
from node.settlement.messages import ProposeStatement, StatementAgreed, StatementDiffers


class NotAQuestion(DomainError):
    code = "peer.not_a_question"
    message = "A {kind} is not something to ask."


class AskAgain(DomainError):
    code = "peer.ask_again"
    message = "{peer} does not take our message yet: {reason}."
    retryable = True


Handler = Callable[[Session, Clock, Envelope], Body]
TellingHandler = Callable[[Session, Clock, Sealer, Envelope], Body]

QUESTIONS: dict[type[Body], Handler] = {
    PresentPass: home.accept_pass,
    RequestCapture: home.capture,
    ReleasePass: home.release,
    GiftOrder: gift.receive,
    AskHeadroom: limits.tell_headroom,
    RequestReversal: reversal.pay_back,
    DeclineReversal: reversal.declined,
    AnswerDispute: dispute.answered,
    FetchReceipts: lambda session, _clock, question: repair.fetch(session, question),
}
"""What a question causes here."""

TELLING_QUESTIONS: dict[type[Body], TellingHandler] = {
    AskReversal: reversal.asked,
    OfferReversal: reversal.offered,
    OpenDispute: dispute.opened,
    JudgeDispute: dispute.judged,
    CompareReceipts: compare.answer,
}
"""What causes messages of our own as well."""


@dataclass(frozen=True)
class Answers:
    """Answers the questions of other communities, and takes their answers to ours."""

    clock: Clock
    sealer: Sealer
    book: PeerBook

    def answer(self, session: Session, question: Envelope) -> Body:
        """Do what is asked and say so; raises DomainError to refuse for good."""
        kind = type(question.body)
        if kind in QUESTIONS:
            return QUESTIONS[kind](session, self.clock, question)
        if kind in TELLING_QUESTIONS:
            return TELLING_QUESTIONS[kind](session, self.clock, self.sealer, question)
        if kind is ProposeStatement:
            return regained.answer(
                session,
                self.clock,
                self.sealer,
                verify=self.has_signed,
                decode=wire.decode_statement,
                question=question,
            )
        raise NotAQuestion(kind=kind.__name__)

    def apply(self, session: Session, question: Envelope, answer: Envelope, sealed: Sealed) -> None:
        """Let an answer change what it must, in the transaction that records it as answered."""
        if isinstance(answer.body, Refusal):
            self._refused(session, question, answer.body)
            return
        kinds = (type(question.body), type(answer.body))
        if kinds not in APPLIED:
            raise NotAQuestion(kind=kinds[1].__name__)
        APPLIED[kinds](self, session, question, answer.body, sealed)

    def prepare(self, session: Session, questions: Sequence[Envelope]) -> None:
        """Read at once what answering many captures looks at: passes, holds, accounts."""
        passes = [q.body.pass_id for q in questions if isinstance(q.body, RequestCapture)]
        if passes:
            PASSES.load(session, passes)
            ledger.load_holds(session, passes)

    def prepare_answers(self, session: Session, pairs: Sequence[tuple[Envelope, Envelope]]) -> None:
        """Read at once what many receipts look at: visits, holds, accounts."""
        visits = [q.body.exchange_id for q, _ in pairs if isinstance(q.body, RequestCapture)]
        if visits:
            VISITS.load(session, visits)
            ledger.load_holds(session, visits)

    def _refused(self, session: Session, question: Envelope, refusal: Refusal) -> None:
        if refusal.code == ClockAhead.code:  # nothing was decided: one of our clocks is wrong
            if host.ask_again(session, self.clock, self.sealer, question):
                return  # ours was, and is right again
            raise AskAgain(peer=question.recipient, reason=refusal.code)
        asked = question.body
        match asked:
            case PresentPass() | RequestCapture():
                host.refused(session, self.clock, question, refusal)
            case GiftOrder():
                gift.refused(session, self.clock, question, refusal)
            case AskReversal() | OfferReversal() | RequestReversal():
                reversal.refused(session, self.clock, question, refusal)
            case OpenDispute() | AnswerDispute() | JudgeDispute():
                dispute.refused(session, self.clock, question, refusal)
            case CompareReceipts():
                compare.not_compared(session, self.clock, question, refusal)
            case ProposeStatement():
                settlement.not_countersigned(session, asked.content.statement_id)
            case _:
                pass  # our side was done when we asked

    def open_signed(self, sealed: Sealed) -> Envelope | None:
        """The message in these bytes, if its sender (we, or a peer we know) signed it."""
        try:
            sender = wire.decode(sealed.payload).sender
            if sender == self.sealer.community:
                return wire.decode(sealed.payload) if self.sealer.has_signed(sealed) else None
            return open_sealed(self.book, sealed, sender=sender)
        except (BadSignature, Unreadable, UnknownPeer):
            return None

    def has_signed(self, community: str, payload: bytes, signature: bytes) -> bool:
        """Whether this community signed this statement."""
        try:
            key = self.book.get(community).signing_public_key
        except UnknownPeer:
            return False
        return signing.verify(key, context=signing.STATEMENT, payload=payload, signature=signature)


Applied = Callable[[Answers, Session, Envelope, Any, Sealed], None]

APPLIED: dict[tuple[type[Body], type[Body]], Applied] = {
    (PresentPass, PassAccepted): lambda us, session, question, answer, sealed: host.pass_accepted(
        session, us.clock, us.sealer, question, answer, sealed
    ),
    (RequestCapture, Receipt): lambda us, session, question, answer, sealed: host.receipt_arrived(
        session, us.clock, question, answer, sealed
    ),
    (GiftOrder, GiftAccepted): lambda us, session, question, answer, sealed: gift.accepted(
        session, us.clock, question, answer, sealed
    ),
    (AskHeadroom, Headroom): lambda us, session, question, answer, _sealed: limits.headroom_told(
        session, us.clock, question, answer
    ),
    (RequestReversal, ReversalReceipt): lambda us, session, question, answer, sealed: (
        reversal.paid_back(session, us.clock, question, answer, sealed)
    ),
    (CompareReceipts, ReceiptsCompared): lambda us, session, question, answer, _sealed: (
        compare.compared(session, us.clock, us.sealer, question, answer)
    ),
    (FetchReceipts, ReceiptsFound): lambda us, session, question, answer, sealed: repair.found(
        session, us.clock, us.sealer, question, answer, sealed, us.open_signed
    ),
    (ProposeStatement, StatementAgreed): lambda us, session, _question, answer, _sealed: (
        settlement.countersigned(session, us.has_signed, answer)
    ),
    (ProposeStatement, StatementDiffers): lambda _us, session, _question, answer, _sealed: (
        settlement.not_countersigned(session, answer.statement_id)
    ),
}
"""What an answer changes here, by the question that it answers."""


def _nothing(
    _us: Answers, _session: Session, _question: Envelope, _answer: Body, _sealed: Sealed
) -> None:
    """Our side was done when we asked, or people decide now."""


APPLIED[ReleasePass, PassReleased] = _nothing
APPLIED |= {
    (said, Noted): _nothing
    for said in (
        AskReversal,
        OfferReversal,
        DeclineReversal,
        OpenDispute,
        AnswerDispute,
        JudgeDispute,
    )
}
