"""The statement of account: what moved a resident's minutes, line by line, and what stood after."""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from node.ledger import service as ledger
from node.ledger.model import JournalEntry, Posting, Unit
from node.web.paging import PAGE_ROWS_DEFAULT

LINES_MAX = 2_000  # of one month on one statement
LINES_ON_PAGE_MAX = 200


class StatementLine(NamedTuple):
    """One movement on a resident's account and what stood after it."""

    sequence: int
    recorded_at: datetime
    reason: str
    refers_to: UUID
    amount_minutes: int
    balance_minutes: int


class Statement(NamedTuple):
    """A month of a resident's account; the lines lead from the one balance to the other."""

    first: date
    last: date
    opening_minutes: int
    closing_minutes: int
    lines: Sequence[StatementLine]  # oldest first, as on paper


def lines(
    session: Session,
    resident_id: UUID,
    *,
    limit: int = PAGE_ROWS_DEFAULT,
    before: int | None = None,
) -> list[StatementLine]:
    """The latest movements, newest first; those before the entry `before`, if it is named."""
    account_id = ledger.resident_account(resident_id, Unit.MINUTES)
    query, after = _movements(account_id), ledger.balance(session, account_id)
    if before is not None:
        query = query.where(Posting.sequence < before)
        after -= _moved(session, account_id, Posting.sequence >= before)
    return _read(session, query.limit(min(limit, LINES_ON_PAGE_MAX)), after)


def of_month(session: Session, resident_id: UUID, *, month: date, zone: tzinfo) -> Statement:
    """One month's statement, with what stood before it and after."""
    first = month.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    start, end = (datetime.combine(day, time(), tzinfo=zone) for day in (first, following))
    account_id = ledger.resident_account(resident_id, Unit.MINUTES)
    balance = ledger.balance(session, account_id)
    closing = balance - _moved(session, account_id, JournalEntry.recorded_at >= end)
    query = _movements(account_id).where(
        JournalEntry.recorded_at >= start, JournalEntry.recorded_at < end
    )
    found = _read(session, query.limit(LINES_MAX), closing)
    opening = closing - sum(line.amount_minutes for line in found)
    return Statement(first, following - timedelta(days=1), opening, closing, found[::-1])


def as_csv(
    statement: Statement,
    *,
    headings: Sequence[str],
    words: Callable[[str], str],
    moment: Callable[[datetime], str],
) -> bytes:
    """The statement for a spreadsheet: UTF-8 with a mark at its head, so that Excel reads Chinese.

    All text in it is ours, so no cell can be a formula.
    """
    written = io.StringIO()
    sheet = csv.writer(written)
    sheet.writerow(headings)
    for line in statement.lines:
        cells = (moment(line.recorded_at), words(line.reason))
        sheet.writerow([*cells, line.amount_minutes, line.balance_minutes, line.refers_to])
    return written.getvalue().encode("utf-8-sig")


def _movements(account_id: UUID) -> Select[JournalEntry, int]:
    return (
        select(JournalEntry, Posting.amount)
        .join(Posting, Posting.sequence == JournalEntry.sequence)
        .where(Posting.account_id == account_id)
        .order_by(Posting.sequence.desc())
    )


def _moved(session: Session, account_id: UUID, when: ColumnElement[bool]) -> int:
    query = (
        select(func.coalesce(func.sum(Posting.amount), 0))
        .join(JournalEntry, JournalEntry.sequence == Posting.sequence)
        .where(Posting.account_id == account_id, when)
    )
    return int(session.scalar(query) or 0)


def _read(session: Session, query: Select[JournalEntry, int], after: int) -> list[StatementLine]:
    found = []
    for entry, amount in session.execute(query):
        refers_to = entry.refers_to or entry.id
        moved = (entry.sequence, entry.recorded_at, entry.reason, refers_to, amount, after)
        found.append(StatementLine(*moved))
        after -= amount
    return found
