"""The statement of account: what moved a resident's minutes, line by line, and what stood after.

Each posting names the one before it on its account, so a statement is a walk back from the newest:
it costs as much as it shows, and no index that every entry would pay for.
"""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Integer, Select, and_, func, literal, not_, select
from sqlalchemy.orm import Session

from node.kernel.db import AnyRow
from node.ledger import service as ledger
from node.ledger.model import ACCOUNT, ENTRY, POSTING, Unit
from node.web.paging import PAGE_ROWS_DEFAULT

LINES_MAX = 2_000  # of one month on one statement
LINES_ON_PAGE_MAX = 200

Condition = Callable[[CTE], ColumnElement[bool]]  # of the posting that a walk has come to


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
    start = _newest(account_id)
    if before is not None:
        since = func.coalesce(_own(account_id, before), start)
        last = _first_not(session, account_id, since, lambda at: at.c.sequence >= before)
        start = literal(last.sequence if last else None, Integer)
    rows = min(limit, LINES_ON_PAGE_MAX)
    walk = _walk(account_id, start, lambda at: at.c.length < rows)
    return [_line(row) for row in session.execute(_in_order(walk))]


def of_month(session: Session, resident_id: UUID, *, month: date, zone: tzinfo) -> Statement:
    """One month's statement, with what stood before it and after.

    It is all that lies between the newest movement before the month ended and the newest before it
    began, so every movement is on one statement even if the clock was once set back.
    """
    first = month.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    start, end = (datetime.combine(day, time(), tzinfo=zone) for day in (first, following))
    account_id = ledger.resident_account(resident_id, Unit.MINUTES)
    newest = _newest(account_id)
    last = _first_not(session, account_id, newest, lambda at: at.c.recorded_at >= end)
    closing = last.balance if last else 0
    walk = _walk(
        account_id,
        literal(last.sequence if last else None, Integer),
        lambda at: and_(at.c.recorded_at >= start, at.c.length < LINES_MAX),
    )
    query = _in_order(walk).where(walk.c.recorded_at >= start)
    found = [_line(row) for row in session.execute(query)]
    opening = found[-1].balance_minutes - found[-1].amount_minutes if found else closing
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


def _walk(account_id: UUID, start: ColumnElement[int], goes_on: Condition) -> CTE:
    """The account's postings from that of entry `start` back, to the first where it ends.

    Each step is two looks by primary key: at the posting that the last one names, at its entry.
    """
    columns = [POSTING.c.sequence, POSTING.c.previous, POSTING.c.amount, POSTING.c.balance]
    columns += [ENTRY.c.id, ENTRY.c.recorded_at, ENTRY.c.reason, ENTRY.c.refers_to]
    both = POSTING.join(ENTRY, ENTRY.c.sequence == POSTING.c.sequence)
    mine = POSTING.c.account_id == account_id
    begin = select(*columns, literal(1).label("length")).select_from(both)
    walk = begin.where(mine, POSTING.c.sequence == start).cte("walk", recursive=True)
    step = select(*columns, walk.c.length + 1).select_from(
        walk.join(both, and_(mine, POSTING.c.sequence == walk.c.previous))
    )
    return walk.union_all(step.where(goes_on(walk)))


def _in_order(walk: CTE) -> Select[Any]:
    return select(walk).order_by(walk.c.length)


def _first_not(
    session: Session, account_id: UUID, start: ColumnElement[int], condition: Condition
) -> AnyRow | None:
    """The newest posting, from that of entry `start` back, of which this is not so."""
    walk = _walk(account_id, start, condition)
    return session.execute(select(walk).where(not_(condition(walk)))).first()


def _newest(account_id: UUID) -> ColumnElement[int]:
    return select(ACCOUNT.c.last_sequence).where(ACCOUNT.c.id == account_id).scalar_subquery()


def _own(account_id: UUID, sequence: int) -> ColumnElement[int]:
    """That entry's number, if it moved something on this account."""
    mine = (POSTING.c.account_id == account_id, POSTING.c.sequence == sequence)
    return select(POSTING.c.sequence).where(*mine).scalar_subquery()


def _line(row: AnyRow) -> StatementLine:
    refers_to = row.refers_to or row.id
    return StatementLine(
        row.sequence, row.recorded_at, row.reason, refers_to, row.amount, row.balance
    )
