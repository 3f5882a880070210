"""Which message causes what: the table between the wire and the domain, in both directions."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from node.exchange import home, host
from node.exchange.messages import (
    PassAccepted,
    PassReleased,
    PresentPass,
    Receipt,
    ReleasePass,
    RequestCapture,
)
from node.kernel import signing
from node.kernel.errors import DomainError
from node.kernel.messages import Body, Envelope, Refusal, Sealed, Sealer
from node.kernel.ports import Clock
from node.peer.book import PeerBook, UnknownPeer
from node.settlement import service as settlement
from node.settlement.messages import ProposeStatement, StatementAgreed, StatementDiffers


class NotAQuestion(DomainError):
    code = "peer.not_a_question"
    message = "A {kind} is not something to ask."


@dataclass(frozen=True)
class Answers:
    """Answers the questions of other communities, and takes their answers to ours."""

    clock: Clock
    sealer: Sealer
    book: PeerBook

    def answer(self, session: Session, question: Envelope) -> Body:
        """Do what is asked and say so; raises DomainError to refuse for good."""
        match question.body:
            case PresentPass():
                return home.accept_pass(session, self.clock, question)
            case RequestCapture():
                return home.capture(session, self.clock, question)
            case ReleasePass():
                return home.release(session, self.clock, question)
            case ProposeStatement():
                return settlement.countersign(
                    session, self.clock, self.sealer, self.has_signed, question
                )
        raise NotAQuestion(kind=type(question.body).__name__)

    def apply(self, session: Session, question: Envelope, answer: Envelope, sealed: Sealed) -> None:
        """Let an answer change what it must, in the transaction that records it as answered."""
        match question.body, answer.body:
            case PresentPass(), PassAccepted() as accepted:
                host.pass_accepted(session, self.clock, self.sealer, question, accepted)
            case RequestCapture(), Receipt() as receipt:
                host.receipt_arrived(session, self.clock, question, receipt, sealed)
            case ReleasePass(), PassReleased() | Refusal():
                pass  # our side was done when we asked
            case ProposeStatement() as proposal, StatementAgreed() as agreed if (
                agreed.statement_id == proposal.content.statement_id
            ):
                settlement.countersigned(session, self.has_signed, agreed)
            case ProposeStatement() as proposal, StatementDiffers() | Refusal():
                settlement.not_countersigned(session, proposal.content.statement_id)
            case PresentPass() | RequestCapture(), Refusal() as refusal:
                host.refused(session, self.clock, question, refusal)
            case _, other:
                raise NotAQuestion(kind=type(other).__name__)

    def has_signed(self, community: str, payload: bytes, signature: bytes) -> bool:
        """Whether this community signed this statement."""
        try:
            key = self.book.get(community).signing_public_key
        except UnknownPeer:
            return False
        return signing.verify(key, context=signing.STATEMENT, payload=payload, signature=signature)
