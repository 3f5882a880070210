"""Replay the books and name the first thing that does not fit."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.kernel.db import AnyRow
from node.ledger.model import ACCOUNT, ENTRY, HEAD, HOLD, POSTING, HoldState
from node.ledger.rules import GENESIS_HASH, Leg, entry_hash

PAGE_ENTRIES = 5_000


@dataclass(frozen=True)
class LedgerAudit:
    """What a replay found: `problem` is empty when everything fits."""

    entries: int
    head: str
    problem: str

    @property
    def ok(self) -> bool:
        return not self.problem


class _Standing(NamedTuple):
    """Where the replay has brought an account."""

    balance: int = 0
    last_sequence: int | None = None


_UNTOUCHED = _Standing()


def audit_ledger(session: Session) -> LedgerAudit:
    """Replay every entry from the first: hashes, balances, holds; compare with what stands.

    What a statement walks along, each posting's `previous` and `balance`, is compared too.
    Floors are not compared: one may be raised above what an account already owes (`set_floor`).
    """
    units = {account.id: account.unit for account in session.execute(select(ACCOUNT))}
    standings: dict[UUID, _Standing] = {}
    sequence, link = 0, GENESIS_HASH
    while page := _page(session, after=sequence):
        for entry, postings in page:
            sequence += 1
            legs = [Leg(posting.account_id, posting.amount) for posting in postings]
            problem = (
                _entry_problem(entry, legs, sequence=sequence, previous=link)
                or _unit_problem(entry, legs, units)
                or _posting_problem(entry, postings, standings)
            )
            if problem:
                return LedgerAudit(sequence - 1, link, problem)
            link = entry.hash
            standings |= {one.account_id: _Standing(one.balance, sequence) for one in postings}
    problem = (
        _head_problem(session, sequence, link)
        or _account_problem(session, standings)
        or _hold_problem(session)
    )
    return LedgerAudit(sequence, link, problem)


def _page(session: Session, *, after: int) -> list[tuple[AnyRow, list[AnyRow]]]:
    entries = session.execute(
        select(ENTRY).where(ENTRY.c.sequence > after).order_by(ENTRY.c.sequence).limit(PAGE_ENTRIES)
    ).all()
    if not entries:
        return []
    last = entries[-1].sequence
    postings: dict[int, list[AnyRow]] = defaultdict(list)
    query = select(POSTING).where(POSTING.c.sequence > after, POSTING.c.sequence <= last)
    for posting in session.execute(query):
        postings[posting.sequence].append(posting)
    return [(entry, postings[entry.sequence]) for entry in entries]


def _entry_problem(entry: AnyRow, legs: list[Leg], *, sequence: int, previous: str) -> str:
    row = entry._mapping
    name = f"entry {row['sequence']} ({row['id']})"
    if row["sequence"] != sequence:
        return f"entry {sequence} is missing: {name} stands in its place"
    if sum(leg.amount for leg in legs) != 0:
        return f"{name} does not sum to zero"
    if row["previous_hash"] != previous:
        return f"{name} does not follow the entry before it"
    expected = entry_hash(
        previous,
        sequence=sequence,
        entry_id=row["id"],
        recorded_at=row["recorded_at"],
        reason=row["reason"],
        refers_to=row["refers_to"],
        reverses=row["reverses"],
        legs=legs,
    )
    return "" if expected == row["hash"] else f"{name} was changed after it was written"


def _unit_problem(entry: AnyRow, legs: list[Leg], units: dict[UUID, str]) -> str:
    name = f"entry {entry.sequence} ({entry.id})"
    if lost := [leg.account_id for leg in legs if leg.account_id not in units]:
        return f"{name} moves value on account {lost[0]}, which is gone"
    if len({units[leg.account_id] for leg in legs}) != 1:
        return f"{name} mixes minutes and points: the unit of an account was changed"
    return ""


def _posting_problem(
    entry: AnyRow, postings: Sequence[AnyRow], standings: dict[UUID, _Standing]
) -> str:
    name = f"entry {entry.sequence} ({entry.id})"
    for posting in postings:
        before = standings.get(posting.account_id, _UNTOUCHED)
        account = f"account {posting.account_id}"
        if posting.previous != before.last_sequence:
            return (
                f"{name} says that it follows {_shown(posting.previous)} on {account}, "
                f"it follows {_shown(before.last_sequence)}"
            )
        if posting.balance != before.balance + posting.amount:
            return (
                f"{name} leaves {posting.balance} on {account}, "
                f"whose postings sum to {before.balance + posting.amount}"
            )
    return ""


def _shown(sequence: int | None) -> str:
    return "no entry" if sequence is None else f"entry {sequence}"


def _head_problem(session: Session, sequence: int, link: str) -> str:
    head = session.execute(select(HEAD)).first()
    written = (head.sequence, head.hash) if head else (0, GENESIS_HASH)
    if written != (sequence, link):
        return f"the journal ends at entry {sequence}, but entry {written[0]} was written: cut off"
    return ""


def _account_problem(session: Session, standings: dict[UUID, _Standing]) -> str:
    for account in session.execute(select(ACCOUNT).order_by(ACCOUNT.c.id)):
        standing = standings.get(account.id, _UNTOUCHED)
        if account.balance != standing.balance:
            return (
                f"account {account.id} shows {account.balance} {account.unit}, "
                f"its postings sum to {standing.balance}"
            )
        if account.last_sequence != standing.last_sequence:
            return (
                f"account {account.id} says that {_shown(account.last_sequence)} moved it last, "
                f"{_shown(standing.last_sequence)} did"
            )
    return ""


def _hold_problem(session: Session) -> str:
    open_holds = (
        select(HOLD.c.payer_id, func.sum(HOLD.c.amount).label("amount"))
        .where(HOLD.c.state == HoldState.OPEN)
        .group_by(HOLD.c.payer_id)
        .subquery()
    )
    promised = func.coalesce(open_holds.c.amount, 0)
    differing = (
        select(ACCOUNT.c.id, ACCOUNT.c.held, promised)
        .outerjoin(open_holds, open_holds.c.payer_id == ACCOUNT.c.id)
        .where(ACCOUNT.c.held != promised)
    )
    if found := session.execute(differing).first():
        return f"account {found[0]} keeps {found[1]} back, its open holds sum to {found[2]}"
    uncaptured = (
        select(HOLD.c.id)
        .outerjoin(ENTRY, ENTRY.c.id == HOLD.c.id)
        .where(HOLD.c.state == HoldState.CAPTURED, ENTRY.c.id.is_(None))
    )
    if lost := session.execute(uncaptured).first():
        return f"hold {lost[0]} is captured but has no entry"
    return ""
