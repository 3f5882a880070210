"""Pages of requests for programs, the same price at a thousand rows and at a million.

Which rows: from an index alone. How many: from kept totals. The statements are compiled once and
go straight through the driver, because a busy board asks thousands of times a second.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session

from node.repairs.kept import SERVICE_REQUEST
from node.repairs.model import RequestTotal
from node.repairs.rules import Status
from node.repairs.shapes import FIELDS, Repair, RepairPage

_COLUMNS = [SERVICE_REQUEST.c[name] for name in FIELDS]
_rows = SERVICE_REQUEST.c


def page(
    session: Session,
    *,
    number: int,
    limit: int,
    status: Status | None = None,
    reporter_id: UUID | None = None,
    after: int | None = None,
) -> RepairPage:
    """A page, oldest first: by its number, or the requests after that one (`after`)."""
    wanted: dict[str, Any] = {"row_count": limit + 1}
    if after is None:
        wanted["skipped"] = (number - 1) * limit
    else:
        wanted["after"] = after
    if status is not None:
        wanted["status"] = status.value
    if reporter_id is not None:
        wanted["reporter_id"] = reporter_id
    found = [Repair(*row) for row in _run(session, tuple(wanted), wanted)]
    has_more = len(found) > limit
    shown = found[:limit]
    total = _total(session, status, reporter_id)
    return RepairPage(total, number, limit, shown, shown[-1].id if has_more else None)


def _total(session: Session, status: Status | None, reporter_id: UUID | None) -> int:
    if reporter_id is None:
        totals = dict(_run(session, ("totals",), {}))
        return totals.get(status.value, 0) if status else sum(totals.values())
    wanted: dict[str, Any] = {"reporter_id": reporter_id}
    if status is not None:
        wanted["status"] = status.value
    [row] = _run(session, ("count", *wanted), wanted)
    return int(row[0])


def _statement(shape: tuple[str, ...]) -> Select[*tuple[Any, ...]]:
    if shape == ("totals",):
        return select(RequestTotal.status, RequestTotal.total)
    filters = []
    if "status" in shape:
        filters.append(_rows.status == bindparam("status"))
    if "reporter_id" in shape:
        filters.append(_rows.reporter_id == bindparam("reporter_id"))
    if "count" in shape:
        return select(func.count()).select_from(SERVICE_REQUEST).where(*filters)
    number = _rows.id
    if "after" in shape:
        filters.append(number > bindparam("after"))
    ids = select(number).where(*filters).order_by(number).limit(bindparam("row_count"))
    if "skipped" in shape:
        ids = ids.offset(bindparam("skipped"))
    chosen = ids.subquery()
    return select(*_COLUMNS).join(chosen, chosen.c.id == number).order_by(number)


class _Compiled:
    """A statement as one database's driver takes it, and how its values come and go."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._positions = compiled.positiontup if compiled.positional else None
        self._binds = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect)
            for name, bind in compiled.binds.items()
        }
        self._results = [
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in statement.selected_columns
        ]

    def values(self, wanted: dict[str, Any]) -> Any:
        bound = {
            name: wanted[name] if process is None else process(wanted[name])
            for name, process in self._binds.items()
        }
        return bound if self._positions is None else [bound[name] for name in self._positions]

    def read(self, row: Sequence[Any]) -> list[Any]:
        pairs = zip(row, self._results, strict=True)
        return [value if process is None else process(value) for value, process in pairs]


_compiled: dict[tuple[str, tuple[str, ...]], _Compiled] = {}


def _run(session: Session, shape: tuple[str, ...], wanted: dict[str, Any]) -> list[list[Any]]:
    """The rows of the statement of this shape: which parameters it has says what it asks."""
    connection = session.connection()
    dialect = connection.dialect
    one = _compiled.get((dialect.name, shape))
    if one is None:
        one = _compiled[dialect.name, shape] = _Compiled(_statement(shape), dialect)
    cursor = connection.connection.cursor()
    try:
        cursor.execute(one.sql, one.values(wanted))
        return [one.read(row) for row in cursor.fetchall()]
    finally:
        cursor.close()
