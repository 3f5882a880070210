"""A statement that one side lost with its disk comes back from the other, and blocks nothing.

Both directions use one message: the creditor shows the debtor a statement of the debtor's own, and
the debtor proposes it as it does any other. Nothing is believed: the debtor takes back only what
it has signed itself, about receipts that its books have, and the creditor signs by its own books.
"""

from collections.abc import Callable, Collection, Sequence
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from node.exchange.model import ReceiptRecord
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Envelope, Sealer
from node.kernel.ports import Clock
from node.outbox import service as outbox
from node.outbox.model import OutboxMessage
from node.settlement import rules, service
from node.settlement.messages import ProposeStatement, StatementContent, StatementDiffers
from node.settlement.model import Statement, StatementState
from node.settlement.service import Verify

Decode = Callable[[bytes], StatementContent]

NO_SIGNATURE = b""  # we have lost it; the debtor has its own


def answer(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    *,
    verify: Verify,
    decode: Decode,
    question: Envelope,
) -> Body:
    """A neighbour shows us a statement: one of its own to sign, or one of ours that was lost."""
    proposal = question.body
    assert isinstance(proposal, ProposeStatement)
    if proposal.content.debtor == sealer.community:
        return _take_back(session, clock, sealer, question, proposal)
    said = service.countersign(session, clock, sealer, verify, question)
    if isinstance(said, StatementDiffers):
        _give_back(session, clock, sealer, decode, question, said.missing)
    return said


def ask_for_lost(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    contents: Sequence[StatementContent],
    payloads: Sequence[bytes],
) -> int:
    """Ask for those of a batch that are owed to us and not in our books, each once a day."""
    asked, today = 0, clock.now().date().isoformat()
    for content, payload in zip(contents, payloads, strict=True):
        message_id = derived_id("lost statement", content.statement_id, today)
        is_ours = content.creditor == sealer.community
        is_known = session.get(Statement, content.statement_id) is not None
        if not is_ours or is_known or session.get(OutboxMessage, message_id) is not None:
            continue
        asked += 1
        outbox.enqueue(
            session,
            clock,
            sealer,
            message_id=message_id,
            recipient=content.debtor,
            body=ProposeStatement(content, payload, NO_SIGNATURE),
        )
    return asked


def _give_back(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    decode: Decode,
    question: Envelope,
    missing: Collection[UUID],
) -> None:
    """What the debtor states again is in statements that it has signed before: show it these."""
    stated = select(ReceiptRecord.statement_id).where(ReceiptRecord.exchange_id.in_(missing))
    of_debtor = (Statement.id.in_(stated), Statement.debtor == question.sender)
    for lost in session.scalars(select(Statement).where(*of_debtor).order_by(Statement.id)):
        outbox.enqueue(
            session,
            clock,
            sealer,
            message_id=derived_id("given back", lost.id, question.message_id),
            recipient=lost.debtor,
            body=ProposeStatement(decode(lost.payload), lost.payload, lost.debtor_signature),
        )


def _take_back(
    session: Session, clock: Clock, sealer: Sealer, question: Envelope, proposal: ProposeStatement
) -> Body:
    """Our own statement, shown by its creditor: it stands in our books, and is proposed again."""
    content = proposal.content
    if content.creditor != question.sender:
        problem = f"it is between {content.debtor} and {content.creditor}"
        raise rules.StatementWrong(statement=str(content.statement_id), problem=problem)
    known = session.get(Statement, content.statement_id, with_for_update=True)
    if known is None:
        missing = _adopt(session, clock, sealer, proposal)
        if missing:
            return StatementDiffers(content.statement_id, missing)
        session.flush()
        known = session.get_one(Statement, content.statement_id)
    if not known.is_proposal_open and known.state != StatementState.WITHDRAWN:
        known.is_proposal_open = True
        outbox.enqueue(
            session,
            clock,
            sealer,
            message_id=derived_id("proposed again", known.id, question.message_id),
            recipient=known.creditor,
            body=ProposeStatement(content, known.payload, known.debtor_signature),
        )
    return StatementDiffers(content.statement_id, ())


def _adopt(
    session: Session, clock: Clock, sealer: Sealer, proposal: ProposeStatement
) -> tuple[UUID, ...]:
    """Put a statement that we signed back into our books; else the receipts that these lack."""
    content, name = proposal.content, str(proposal.content.statement_id)
    if proposal.debtor_signature != sealer.sign_statement(proposal.payload):
        raise rules.StatementWrong(statement=name, problem="we have not signed it")
    named = select(ReceiptRecord).where(
        ReceiptRecord.exchange_id.in_(content.exchange_ids),
        ReceiptRecord.peer == content.creditor,
        ReceiptRecord.is_debt,
    )
    ours = session.scalars(named.order_by(ReceiptRecord.exchange_id)).all()
    missing = set(content.exchange_ids) - {one.exchange_id for one in ours}
    if missing:
        return tuple(sorted(missing))
    if service.content_of(content.debtor, content.creditor, ours) != content:
        raise rules.StatementWrong(statement=name, problem="our books have other receipts")
    _withdraw(session, {one.statement_id for one in ours if one.statement_id}, name)
    service.keep(session, clock, proposal)
    return ()


def _withdraw(session: Session, ids: Collection[UUID], name: str) -> None:
    """Statements we made of the same receipts since: the creditor cannot sign them any more."""
    for newer in session.scalars(select(Statement).where(Statement.id.in_(ids)).with_for_update()):
        if newer.state != StatementState.PROPOSED:
            problem = f"a receipt of it is in {newer.id}, which both have signed"
            raise rules.StatementWrong(statement=name, problem=problem)
        newer.state = StatementState.WITHDRAWN
        freed = update(ReceiptRecord).where(ReceiptRecord.statement_id == newer.id)
        session.execute(freed.values(statement_id=None))
