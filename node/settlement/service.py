"""State what we owe, countersign what we are owed, check a batch, and book what the chain settled.

Every function runs inside the caller's transaction. A receipt is in one statement at most, a
statement is settled once at most, and nothing of it is ever taken back once both have signed: what
is not settled in one round waits for the next. Receipts about which the books differ are in none.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from node.exchange import claim, compare
from node.exchange import receipts as exchange_receipts
from node.exchange.limits import SETTLED
from node.exchange.model import ReceiptRecord
from node.kernel.errors import IdReused, NotFound
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Envelope, Sealer
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.ledger.rules import Leg
from node.outbox import service as outbox
from node.settlement import rules
from node.settlement.messages import (
    ProposeStatement,
    StatementAgreed,
    StatementContent,
    StatementDiffers,
)
from node.settlement.model import Batch, BatchStatement, Statement, StatementState

REASON = "settled"

Encode = Callable[[StatementContent], bytes]
Verify = Callable[[str, bytes, bytes], bool]
"""(community, payload, signature) -> whether that community signed this statement."""


def state_debts(session: Session, clock: Clock, sealer: Sealer, encode: Encode) -> int:
    """Make a statement for every community we owe unstated receipts; returns how many.

    What is in dispute because the two sides' books differ waits for the verdict, alone.
    """
    differing = claim.unsettleable(session)
    _take_apart(session, differing)
    unstated = (
        ReceiptRecord.is_debt,
        ReceiptRecord.statement_id.is_(None),
        ReceiptRecord.exchange_id.not_in(differing),
    )
    creditors = select(ReceiptRecord.peer).where(*unstated).distinct()
    made = 0
    for creditor in session.scalars(creditors.order_by(ReceiptRecord.peer)).all():
        ours = select(ReceiptRecord).where(*unstated, ReceiptRecord.peer == creditor)
        _state_debt(session, clock, sealer, encode, creditor, ours)
        made += 1
    return made


def _take_apart(session: Session, differing: Collection[UUID]) -> None:
    """Statements that the creditor refused to sign, over a receipt that is in dispute now.

    Never while one is asked for: its signature may be on the way. Nobody else signs it later: the
    creditor's books have what stands in its place by then, and a batch with it is not signed here.
    """
    held = select(ReceiptRecord.statement_id).where(ReceiptRecord.exchange_id.in_(differing))
    refused = select(Statement.id).where(
        Statement.id.in_(held),
        Statement.state == StatementState.PROPOSED,
        Statement.proposals > 0,
        Statement.is_proposal_open.is_(False),
    )
    ids = session.scalars(refused.with_for_update()).all()
    stated = update(ReceiptRecord).where(ReceiptRecord.statement_id.in_(ids))
    session.execute(stated.values(statement_id=None))
    withdrawn = update(Statement).where(Statement.id.in_(ids))
    session.execute(withdrawn.values(state=StatementState.WITHDRAWN))


def _state_debt(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    encode: Encode,
    creditor: str,
    unstated: Select[ReceiptRecord],
) -> None:
    by_id = unstated.order_by(ReceiptRecord.exchange_id).limit(rules.RECEIPTS_MAX)
    receipts = session.scalars(by_id).all()
    content = content_of(sealer.community, creditor, receipts)
    known = session.get(Statement, content.statement_id)
    if known is not None and known.state == StatementState.WITHDRAWN:  # it was right after all
        known.state = StatementState.PROPOSED
        _mark_stated(session, content)
        return
    payload = encode(content)
    keep(session, clock, ProposeStatement(content, payload, sealer.sign_statement(payload)))


def propose_open(
    session: Session, clock: Clock, sealer: Sealer, decode: Callable[[bytes], StatementContent]
) -> int:
    """Ask for every signature that is missing and not already asked for; returns how many."""
    unasked = select(Statement).where(
        Statement.state == StatementState.PROPOSED,
        Statement.debtor == sealer.community,
        Statement.is_proposal_open.is_(False),
    )
    statements = session.scalars(unasked.with_for_update()).all()
    for statement in statements:
        statement.is_proposal_open = True
        statement.proposals += 1
        outbox.enqueue(
            session,
            clock,
            sealer,
            message_id=derived_id("propose", statement.id, statement.proposals),
            recipient=statement.creditor,
            body=ProposeStatement(
                decode(statement.payload), statement.payload, statement.debtor_signature
            ),
        )
    return len(statements)


def countersign(
    session: Session, clock: Clock, sealer: Sealer, verify: Verify, question: Envelope
) -> Body:
    """A debtor states what it owes us: sign it if our books say the same, name what we miss."""
    proposal = question.body
    assert isinstance(proposal, ProposeStatement)
    content = proposal.content
    _check_parties(content, debtor=question.sender, creditor=sealer.community)
    if known := session.get(Statement, content.statement_id):
        if known.payload != proposal.payload or known.creditor_signature is None:
            raise IdReused(id=str(content.statement_id))
        return StatementAgreed(known.id, known.creditor_signature)
    if not verify(content.debtor, proposal.payload, proposal.debtor_signature):
        raise rules.StatementWrong(statement=str(content.statement_id), problem="not signed by it")
    ours = _receipts_of(session, content)
    missing = set(content.exchange_ids) - {receipt.exchange_id for receipt in ours}
    if missing:  # on its way most likely; if not, its debtor proves it
        compare.fetch(session, clock, sealer, peer=content.debtor, ids=sorted(missing))
        return StatementDiffers(content.statement_id, tuple(sorted(missing)))
    expected = content_of(content.debtor, content.creditor, ours)
    if expected != content:
        raise rules.StatementWrong(
            statement=str(content.statement_id),
            problem=f"{content.minutes} minutes stated, {expected.minutes} in our books",
        )
    signature = sealer.sign_statement(proposal.payload)
    keep(session, clock, proposal, creditor_signature=signature)
    return StatementAgreed(content.statement_id, signature)


def keep(
    session: Session,
    clock: Clock,
    proposal: ProposeStatement,
    *,
    creditor_signature: bytes | None = None,
) -> None:
    """A statement as its debtor signed it, into our books, with the receipts that it states."""
    content = proposal.content
    session.add(
        Statement(
            id=content.statement_id,
            debtor=content.debtor,
            creditor=content.creditor,
            count=content.count,
            minutes=content.minutes,
            payload=proposal.payload,
            debtor_signature=proposal.debtor_signature,
            creditor_signature=creditor_signature,
            state=StatementState.AGREED if creditor_signature else StatementState.PROPOSED,
            made_at=clock.now(),
        )
    )
    _mark_stated(session, content)


def countersigned(session: Session, verify: Verify, answer: StatementAgreed) -> None:
    """The creditor agreed: from now on this statement can be settled."""
    statement = session.get(Statement, answer.statement_id, with_for_update=True)
    if statement is None:
        raise NotFound(what="statement", id=str(answer.statement_id))
    statement.is_proposal_open = False
    if statement.state == StatementState.PROPOSED and verify(
        statement.creditor, statement.payload, answer.creditor_signature
    ):
        statement.creditor_signature = answer.creditor_signature
        statement.state = StatementState.AGREED


def not_countersigned(session: Session, statement_id: UUID) -> None:
    """The creditor differs or refuses: the statement stands, and is proposed again later."""
    statement = session.get(Statement, statement_id, with_for_update=True)
    if statement is not None:
        statement.is_proposal_open = False


def agreed_debts(session: Session, community: str) -> list[Statement]:
    """Both-signed, unsettled statements in which we are the debtor: our position in a round."""
    mine = select(Statement).where(
        Statement.debtor == community, Statement.state == StatementState.AGREED
    )
    return list(session.scalars(mine.order_by(Statement.id)))


def open_proposals(session: Session, community: str) -> int:
    """Statements of ours that the creditor has not signed yet."""
    waiting = select(func.count()).select_from(Statement)
    mine = Statement.debtor == community
    return int(session.scalar(waiting.where(mine, Statement.state == StatementState.PROPOSED)) or 0)


def own_statements(
    session: Session,
    community: str,
    contents: Sequence[StatementContent],
    payloads: Sequence[bytes],
) -> list[UUID]:
    """Those of a batch that concern us; raises BatchWrong unless each stands so in our books."""
    concerning = []
    for content, payload in zip(contents, payloads, strict=True):
        if community not in (content.debtor, content.creditor):
            continue
        known = session.get(Statement, content.statement_id)
        if known is None or known.payload != payload:
            raise rules.BatchWrong("statement_not_ours", statement=str(content.statement_id))
        if known.state != StatementState.AGREED:
            raise rules.BatchWrong(
                "statement_in_another_state", statement=str(known.id), state=known.state
            )
        concerning.append(known.id)
    return concerning


def keep_batch(
    session: Session,
    batch: Batch,
    statement_ids: Sequence[UUID],
    paths: Mapping[UUID, bytes] | None = None,
) -> None:
    """Store what we are about to sign, before anybody sees the signature.

    `paths` lead from each of our statements to the batch's Merkle root: the other statements are
    not kept, so this is the moment to write down what proves ours.
    """
    if session.get(Batch, batch.round_id) is None:
        session.add(batch)
        for statement_id in statement_ids:
            path = (paths or {}).get(statement_id)
            row = BatchStatement(round_id=batch.round_id, statement_id=statement_id, path=path)
            session.add(row)


def settle(
    session: Session, clock: Clock, community: str, *, round_id: bytes, transaction: str, block: int
) -> int:
    """The chain has this batch: book its statements of ours; returns how many were new."""
    batch = session.get(Batch, round_id)
    if batch is None:
        raise NotFound(what="batch", id=round_id.hex())
    before = batch.transaction_hash
    batch.transaction_hash, batch.block_number = transaction, block
    in_batch = select(BatchStatement.statement_id).where(BatchStatement.round_id == round_id)
    if before not in (None, transaction):  # its block was undone, and another one has it now
        session.execute(
            update(Statement)
            .where(Statement.id.in_(in_batch), Statement.transaction_hash == before)
            .values(transaction_hash=transaction)
        )
    open_now = select(Statement).where(
        Statement.id.in_(in_batch), Statement.state == StatementState.AGREED
    )
    statements = session.scalars(open_now.with_for_update()).all()
    for statement in statements:
        _book(session, clock, community, statement)
        statement.state, statement.transaction_hash = StatementState.SETTLED, transaction
        statement.settled_at = clock.now()
        session.execute(
            update(ReceiptRecord)
            .where(ReceiptRecord.statement_id == statement.id)
            .values(settled_at=clock.now())
        )
    return len(statements)


def settled_position(session: Session) -> int:
    """What our books say the chain's balance of this community is, in minutes."""
    return -ledger.balance(session, ledger.house_account(SETTLED, Unit.MINUTES))


def audit_receipts(session: Session) -> str:
    """Compare the receipts with the clearing accounts; empty when they agree."""
    signed = func.sum(ReceiptRecord.minutes)
    unsettled = select(ReceiptRecord.peer, ReceiptRecord.is_debt, signed).where(
        ReceiptRecord.settled_at.is_(None)
    )
    owed: dict[str, int] = {}
    for peer, is_debt, minutes in session.execute(
        unsettled.group_by(ReceiptRecord.peer, ReceiptRecord.is_debt)
    ):
        owed[peer] = owed.get(peer, 0) + (minutes if is_debt else -minutes)
    for peer, account in ledger.clearing_balances(session).items():
        if account != owed.get(peer, 0):
            return (
                f"the clearing account of {peer} shows {account} minutes, "
                f"its unsettled receipts sum to {owed.get(peer, 0)}"
            )
    return ""


def _book(session: Session, clock: Clock, community: str, statement: Statement) -> None:
    peer = statement.creditor if statement.debtor == community else statement.debtor
    owed = statement.minutes if statement.debtor == community else -statement.minutes
    legs = [
        Leg(ledger.clearing_account(peer), -owed),
        Leg(ledger.house_account(SETTLED, Unit.MINUTES), owed),
    ]
    ledger.post(
        session,
        clock,
        entry_id=derived_id("settled", statement.id),
        legs=legs,
        reason=REASON,
        refers_to=statement.id,
        is_covered=True,  # the chain has it: no limit of ours can refuse what is done
    )


def content_of(debtor: str, creditor: str, receipts: Sequence[ReceiptRecord]) -> StatementContent:
    """What a statement of these receipts says, whichever side's books they are from."""
    ordered = sorted(receipts, key=lambda receipt: receipt.exchange_id)
    ours = debtor if ordered and ordered[0].is_debt else creditor
    total = exchange_receipts.summary([exchange_receipts.line_of(one, ours) for one in ordered])
    return StatementContent(
        statement_id=derived_id("statement", debtor, creditor, total.merkle_root.hex()),
        debtor=debtor,
        creditor=creditor,
        count=total.count,
        minutes=total.minutes,
        merkle_root=total.merkle_root,
        exchange_ids=tuple(receipt.exchange_id for receipt in ordered),
    )


def _check_parties(content: StatementContent, *, debtor: str, creditor: str) -> None:
    if (content.debtor, content.creditor) != (debtor, creditor):
        problem = f"it is between {content.debtor} and {content.creditor}"
        raise rules.StatementWrong(statement=str(content.statement_id), problem=problem)
    if not 0 < len(content.exchange_ids) <= rules.RECEIPTS_MAX:
        problem = f"it has {len(content.exchange_ids)} receipts"
        raise rules.StatementWrong(statement=str(content.statement_id), problem=problem)


def _receipts_of(session: Session, content: StatementContent) -> Sequence[ReceiptRecord]:
    named = select(ReceiptRecord).where(
        ReceiptRecord.exchange_id.in_(content.exchange_ids),
        ReceiptRecord.peer == content.debtor,
        ReceiptRecord.is_debt.is_(False),
        ReceiptRecord.statement_id.is_(None),
    )
    return session.scalars(named).all()


def _mark_stated(session: Session, content: StatementContent) -> None:
    session.execute(
        update(ReceiptRecord)
        .where(ReceiptRecord.exchange_id.in_(content.exchange_ids))
        .values(statement_id=content.statement_id)
    )
