"""Pages of requests for programs, the same price at a thousand rows and at a million.

Which rows: from an index alone. How many: from kept totals. The statements are compiled once and
go straight through the driver, because a busy board asks thousands of times a second; moments and
ids go from SQLite's text to JSON's without becoming objects in between.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Column, Integer, Select, String, bindparam, func, select, type_coerce

from node.kernel.db import Database
from node.kernel.glance import glance, kept
from node.kernel.statements import Prepared
from node.repairs.kept import SERVICE_REQUEST
from node.repairs.model import RequestTotal
from node.repairs.rules import Status
from node.repairs.shapes import FIELDS, Repair, RepairPage

_rows = SERVICE_REQUEST.c
_MOMENTS = tuple(place for place, name in enumerate(FIELDS) if name.endswith("_at"))
_REPORTER = FIELDS.index("reporter_id")
_all_totals: Select[Any] = select(  # type: ignore[assignment]  # each column has its own type
    RequestTotal.status, RequestTotal.total
)
_totals = Prepared(_all_totals)


def page_as_json(
    database: Database,
    *,
    number: int,
    limit: int,
    status: Status | None,
    reporter_id: UUID | None,
    after: int | None,
) -> bytes:
    """The page as its answer's body; asked again before anybody wrote, it is the same one."""

    def make() -> bytes:
        return msgspec.json.encode(
            page(
                database,
                number=number,
                limit=limit,
                status=status,
                reporter_id=reporter_id,
                after=after,
            )
        )

    return kept(database, ("repairs", number, limit, status, reporter_id, after), make)


def page(
    database: Database,
    *,
    number: int,
    limit: int,
    status: Status | None = None,
    reporter_id: UUID | None = None,
    after: int | None = None,
) -> RepairPage:
    """A page, oldest first: by its number, or the requests after that one (`after`)."""
    wanted = _filters(status, reporter_id)
    place = {"skipped": (number - 1) * limit} if after is None else {"after": after}
    asked = wanted | place | {"row_count": limit + 1}
    found = [_repair(row) for row in glance(database, _page(tuple(asked)), **asked)]
    shown = found[:limit]
    total = _total(database, status, reporter_id)
    following = shown[-1].id if len(found) > limit else None
    return RepairPage(total, number, limit, shown, following)


def _repair(row: Sequence[Any]) -> Repair:
    """A row as JSON says it; PostgreSQL's driver brings moments and ids as objects already."""
    shown = list(row)
    for place in _MOMENTS:
        if isinstance(moment := shown[place], str):
            shown[place] = f"{moment[:10]}T{moment[11:]}Z"
    if isinstance(key := shown[_REPORTER], str):
        shown[_REPORTER] = f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"
    return Repair(*shown)


def _filters(status: Status | None, reporter_id: UUID | None) -> dict[str, Any]:
    filters: dict[str, Any] = {} if status is None else {"status": status.value}
    return filters if reporter_id is None else filters | {"reporter_id": reporter_id}


def _total(database: Database, status: Status | None, reporter_id: UUID | None) -> int:
    if reporter_id is None:
        totals: dict[str, int] = dict(glance(database, _totals))
        return totals.get(status.value, 0) if status else sum(totals.values())
    wanted = _filters(status, reporter_id)
    [(count,)] = glance(database, _count(tuple(wanted)), **wanted)
    return int(count)


def _raw(column: Column[Any]) -> Any:
    """A moment or an id as the database keeps it."""
    is_kept = column.name in (*(FIELDS[place] for place in _MOMENTS), FIELDS[_REPORTER])
    return type_coerce(column, String) if is_kept else column


@cache
def _page(asked: tuple[str, ...]) -> Prepared:
    """The statement for these parameters: which there are says what is asked."""
    ids = _filtered(select(_rows.id), asked)
    if "after" in asked:
        ids = ids.where(_rows.id > bindparam("after", type_=Integer))
    ids = ids.order_by(_rows.id).limit(bindparam("row_count", type_=Integer))
    if "skipped" in asked:
        ids = ids.offset(bindparam("skipped", type_=Integer))
    chosen = ids.subquery()
    columns = [_raw(_rows[name]) for name in FIELDS]
    return Prepared(select(*columns).join(chosen, chosen.c.id == _rows.id).order_by(_rows.id))


@cache
def _count(asked: tuple[str, ...]) -> Prepared:
    return Prepared(_filtered(select(func.count()).select_from(SERVICE_REQUEST), asked))


def _filtered(query: Select[Any], asked: tuple[str, ...]) -> Select[Any]:
    if "status" in asked:
        query = query.where(_rows.status == bindparam("status"))
    if "reporter_id" in asked:
        query = query.where(_rows.reporter_id == bindparam("reporter_id"))
    return query
