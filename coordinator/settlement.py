"""The books of a settlement round: opening it, taking positions and signatures, moving it on."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from contracts.terms import Batch, BatchEntry, ChainRefused
from coordinator import directory, rules, wire
from coordinator.model import (
    BatchSeen,
    Community,
    CommunityState,
    Round,
    SettledStatement,
    SubmittedPosition,
    SubmittedSignature,
)
from coordinator.refusals import (
    PositionChanged,
    PositionUnusable,
    RoundClosed,
    RoundOpen,
    RoundUnknown,
    SignatureUnusable,
)
from coordinator.rules import RoundState, SignedStatement, StatedPosition, Statement
from node.kernel import signing
from node.kernel.ports import Clock

STATEMENTS_MAX = 10_000  # in one community's position
MINUTES_MAX = 2**31 - 1  # the contract's int32
LEDGER_HEAD_BYTES = 32
SENDING_TIME = timedelta(hours=1)  # from the last signature's deadline to the batch's own

Recover = Callable[[Batch, bytes], str]


@dataclass(frozen=True)
class Notice:
    """The latest round as one community should see it."""

    round: Round
    has_position: bool
    has_signature: bool
    needs_signature: bool


def open_round(
    session: Session, clock: Clock, *, collect_seconds: int, signing_seconds: int
) -> Round:
    """Ask all communities for their positions; one round at a time."""
    current = current_round(session)
    if current is not None and current.state not in rules.ENDED:
        raise RoundOpen(number=current.number, state=current.state)
    latest = latest_round(session)
    number = latest.number + 1 if latest else 1
    opened = Round(
        number=number,
        state=RoundState.COLLECTING,
        attempt=1,
        round_id=rules.round_id(number=number, attempt=1),
        opened_at=clock.now(),
        closes_at=clock.now() + timedelta(seconds=collect_seconds),
        signing_seconds=signing_seconds,
        left_out_json="{}",
        minutes=0,
    )
    session.add(opened)
    session.flush()
    return opened


def latest_round(session: Session) -> Round | None:
    return session.scalars(select(Round).order_by(Round.number.desc()).limit(1)).first()


def current_round(session: Session) -> Round | None:
    """The round to work on: the oldest that has not ended (its block may have been undone while a
    later one began), else the latest.
    """
    unfinished = select(Round).where(Round.state.not_in(rules.ENDED)).order_by(Round.number)
    return session.scalars(unfinished.limit(1)).first() or latest_round(session)


def notice(session: Session, *, community_id: str) -> Notice | None:
    """What a community should know of the current round; None before the first."""
    current = current_round(session)
    if current is None:
        return None
    community = session.get_one(Community, community_id)
    entries = wire.proposal(current.batch).entries if current.batch else ()
    return Notice(
        round=current,
        has_position=session.get(SubmittedPosition, (current.number, community_id)) is not None,
        has_signature=session.get(SubmittedSignature, (current.round_id, community_id)) is not None,
        needs_signature=current.state is RoundState.SIGNING
        and any(entry.number == community.number for entry in entries),
    )


def take_position(
    session: Session,
    clock: Clock,
    *,
    community_id: str,
    round_id: bytes,
    position: StatedPosition,
) -> None:
    """Keep what a community says it owes; saying it again is harmless, changing it is not."""
    current = _round(session, round_id)
    kept = wire.position_bytes(position)
    found = session.get(SubmittedPosition, (current.number, community_id))
    if found is not None:
        if (found.ledger_head, found.statements) != (position.ledger_head, kept):
            raise PositionChanged(community=community_id, number=current.number)
        return
    _require_state(current, RoundState.COLLECTING)
    _check_position(session, community_id, position)
    session.add(
        SubmittedPosition(
            round_number=current.number,
            community_id=community_id,
            ledger_head=position.ledger_head,
            statements=kept,
            submitted_at=clock.now(),
        )
    )


def batch_of(session: Session, *, round_id: bytes) -> bytes:
    """The proposed batch, as it was kept."""
    current = _round(session, round_id)
    if current.batch is None:
        raise RoundClosed(number=current.number, state=current.state, needed=RoundState.SIGNING)
    return current.batch


def take_signature(
    session: Session,
    clock: Clock,
    *,
    community_id: str,
    round_id: bytes,
    signature: bytes,
    recover: Recover,
) -> None:
    """Keep a community's yes to the proposed batch, if its key gave it."""
    current = _round(session, round_id)
    community = session.get_one(Community, community_id)
    if session.get(SubmittedSignature, (round_id, community_id)) is not None:
        return  # any valid signature of the same batch serves as well as the first
    _require_state(current, RoundState.SIGNING)
    assert current.batch is not None
    batch = terms_batch(wire.proposal(current.batch))
    address = "0x" + (community.settlement_address or b"").hex()
    is_entry = any(entry.community == community.number for entry in batch.entries)
    try:
        is_theirs = is_entry and recover(batch, signature).lower() == address
    except ChainRefused:  # bytes that no key has made, or that the contract would not take
        is_theirs = False
    if not is_theirs:
        raise SignatureUnusable(community=community_id, number=current.number)
    session.add(
        SubmittedSignature(
            round_id=round_id,
            community_id=community_id,
            signature=signature,
            submitted_at=clock.now(),
        )
    )


def move(session: Session, clock: Clock, current: Round, *, to: RoundState) -> None:
    """Take a round to its next state; the table of rules.py refuses jumps."""
    assert to in rules.NEXT_STATES[current.state], f"{current.state} does not lead to {to}"
    current.state = to
    if to in rules.ENDED:
        current.ended_at = clock.now()


def unanswered(session: Session, current: Round) -> list[str]:
    """The active communities whose position is still missing."""
    answered = set(
        session.scalars(
            select(SubmittedPosition.community_id).where(
                SubmittedPosition.round_number == current.number
            )
        )
    )
    members = directory.active_members(session)
    return [community.id for community in members if community.id not in answered]


def stated(session: Session, current: Round) -> tuple[dict[str, bytes], list[Statement]]:
    """Ledger heads by community, and the statements that no earlier round has settled.

    Communities that were revoked or left out of this round are absent.
    """
    left_out = left_out_of(current)
    heads: dict[str, bytes] = {}
    statements: list[Statement] = []
    for position in session.scalars(
        select(SubmittedPosition).where(SubmittedPosition.round_number == current.number)
    ):
        community = session.get_one(Community, position.community_id)
        if community.state is CommunityState.ACTIVE and community.id not in left_out:
            heads[community.id] = position.ledger_head
            statements += wire.kept_statements(position.statements)
    settled = _settled_among(session, statements)
    fresh = [one for one in statements if (one.debtor, one.statement_id) not in settled]
    return heads, fresh


def left_out_of(current: Round) -> dict[str, str]:
    """Who is not in this round's batch, and why."""
    found: dict[str, str] = json.loads(current.left_out_json)
    return found


def leave_out(current: Round, reasons: Mapping[str, str]) -> None:
    merged = {**left_out_of(current), **reasons}
    current.left_out_json = json.dumps(merged, sort_keys=True)


def record_settled(session: Session, current: Round) -> None:
    """Mark the batch's statements, so that no later round takes them again."""
    assert current.batch is not None
    for one in wire.proposal(current.batch).statements:
        session.add(
            SettledStatement(
                debtor=one.debtor, statement_id=one.statement_id, round_number=current.number
            )
        )


def batches_above(session: Session, block_number: int) -> list[BatchSeen]:
    """The batches settled in later blocks than this one, in the order of their blocks."""
    later = select(BatchSeen).where(BatchSeen.block_number > block_number)
    return list(session.scalars(later.order_by(BatchSeen.block_number)))


def reopen(session: Session, clock: Clock, seen: BatchSeen) -> Round:
    """The chain has lost this batch: its round is not settled, nor are its statements."""
    undone = _round(session, seen.round_id)
    move(session, clock, undone, to=RoundState.SENDING)
    undone.ended_at = None
    session.execute(delete(BatchSeen).where(BatchSeen.transaction_hash == seen.transaction_hash))
    of_round = SettledStatement.round_number == undone.number
    session.execute(delete(SettledStatement).where(of_round))
    return undone


def terms_batch(proposal: rules.Proposal) -> Batch:
    """The batch as the contract's client knows it."""
    return Batch(
        round_id=proposal.round_id,
        merkle_root=proposal.merkle_root,
        deadline=proposal.deadline,
        entries=tuple(
            BatchEntry(
                community=entry.number,
                delta_minutes=entry.delta_minutes,
                sequence=entry.sequence,
                ledger_head=entry.ledger_head,
            )
            for entry in proposal.entries
        ),
    )


def _round(session: Session, round_id: bytes) -> Round:
    current = session.scalars(select(Round).where(Round.round_id == round_id)).first()
    if current is None:
        raise RoundUnknown(round_id=round_id.hex())
    return current


def _require_state(current: Round, needed: RoundState) -> None:
    if current.state is not needed:
        raise RoundClosed(number=current.number, state=current.state, needed=needed)


def _check_position(session: Session, community_id: str, position: StatedPosition) -> None:
    if len(position.ledger_head) != LEDGER_HEAD_BYTES:
        raise PositionUnusable(community=community_id, problem="the ledger head has not 32 bytes")
    if len(position.statements) > STATEMENTS_MAX:
        raise PositionUnusable(community=community_id, problem="too many statements")
    seen: set[str] = set()
    for signed in position.statements:
        problem = _problem_with(session, community_id, signed, seen)
        if problem:
            raise PositionUnusable(community=community_id, problem=problem)


def _problem_with(
    session: Session, community_id: str, signed: SignedStatement, seen: set[str]
) -> str | None:
    statement = wire.statement(signed.payload)
    if statement is None or not _is_canonical_uuid(statement.statement_id):
        return "a statement is unreadable"
    name = f"statement {statement.statement_id}"
    creditor = session.get(Community, statement.creditor)
    if statement.statement_id in seen:
        return f"{name} is there twice"
    seen.add(statement.statement_id)
    if statement.debtor != community_id:
        return f"{name} is about another debtor"
    if creditor is None or creditor.number is None or statement.creditor == community_id:
        return f"{name} names no neighbour as creditor"
    if not 0 < statement.minutes <= MINUTES_MAX or statement.count <= 0:
        return f"{name} is not about a number of minutes"
    debtor = session.get_one(Community, community_id)
    sides = ((debtor, signed.debtor_signature), (creditor, signed.creditor_signature))
    for side, signature in sides:
        is_signed = signing.verify(
            side.signing_public_key or b"",
            context=signing.STATEMENT,
            payload=signed.payload,
            signature=signature,
        )
        if not is_signed:
            return f"{name} is not signed by {side.id}"
    return None


def _is_canonical_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _settled_among(session: Session, statements: list[Statement]) -> set[tuple[str, str]]:
    keys = [(one.debtor, one.statement_id) for one in statements]
    found: set[tuple[str, str]] = set()
    for start in range(0, len(keys), 500):  # SQLite limits the parameters of one statement
        rows = session.execute(
            select(SettledStatement.debtor, SettledStatement.statement_id).where(
                tuple_(SettledStatement.debtor, SettledStatement.statement_id).in_(
                    keys[start : start + 500]
                )
            )
        )
        found |= {(debtor, statement_id) for debtor, statement_id in rows}
    return found
