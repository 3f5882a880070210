"""All that a community owns, in formats that any program reads: so that it can leave us.

One CSV file a table, its columns described beside it, each photo as a file of its own. Secrets that
only this program can use (PINs, sign-ins, keys) stay behind.
"""

import base64
import csv
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

import node.tables  # noqa: F401  (so that every table is known)
from node.backup.restore import NotEmpty
from node.kernel.db import Base, open_engine
from node.kernel.files import private_folder, write_file
from node.kernel.ports import Clock
from node.settings import Settings

SECRET_TABLES = frozenset(
    {"credential", "access_token", "sign_in_tries", "vote_trustee", "voting_code"}
)
PAGE_ROWS = 2_000
SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"%PDF": ".pdf"}

READ_ME = """# {name}: everything in this node's books, {day}

tables/NAME.csv     one file a table: UTF-8, a line of column names, commas, quotes where needed
schema.json         each table's columns, their types, its key, and what refers to what
files/TABLE/…       photos and papers; the CSV names the file in place of the content

Times are UTC (ISO 8601). Minutes and points are whole numbers. Ids are UUIDs. An empty field was
not said, or is an empty text: schema.json tells which columns may be empty. Bytes that are no file
are base64.

`account`, `journal_entry` and `posting` are the ledger: an account's balance is the sum of its
postings; each entry's postings sum to zero; `hash` links each entry to the one before it.

Left out, because nobody else can use them: {secrets}. These files hold names, telephone numbers
and what residents wrote: keep them as you would keep the papers themselves.
"""


def export(settings: Settings, clock: Clock, *, to: Path) -> dict[str, int]:
    """Write everything below a new folder; how many rows each table had."""
    if to.exists() and any(to.iterdir()):
        raise NotEmpty(directory=str(to))
    tables = [table for table in Base.metadata.sorted_tables if table.name not in SECRET_TABLES]
    private_folder(to / "tables")
    engine = open_engine(settings.database_url, read_only=True)
    try:
        with Session(engine) as session:  # one snapshot: all of it from the same moment
            counts = {table.name: _write_table(session, table, to) for table in tables}
    finally:
        engine.dispose()
    schema = {table.name: _described(table) for table in tables}
    _write(to / "schema.json", json.dumps(schema, indent=1, ensure_ascii=False))
    _write(
        to / "README.md",
        READ_ME.format(
            name=settings.name,
            day=clock.now().date().isoformat(),
            secrets=", ".join(sorted(SECRET_TABLES)),
        ),
    )
    return counts


def _write_table(session: Session, table: Table, to: Path) -> int:
    count = 0
    path = to / "tables" / f"{table.name}.csv"
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow([column.name for column in table.columns])
        for row in _rows(session, table):
            count += 1
            lines.writerow(_fields(row, table, to, count))
    return count


def _rows(session: Session, table: Table) -> Iterator[Sequence[Any]]:
    query = select(table).order_by(*table.primary_key.columns)
    yield from session.execute(query.execution_options(yield_per=PAGE_ROWS))


def _fields(row: Sequence[Any], table: Table, to: Path, number: int) -> list[Any]:
    return [
        _field(value, to / "files" / table.name, f"{number}-{column.name}")
        for value, column in zip(row, table.columns, strict=True)
    ]


def _field(value: Any, folder: Path, name: str) -> Any:
    """A value as CSV has it; what is bytes becomes a file beside."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        suffix = next((end for start, end in SUFFIXES.items() if value.startswith(start)), None)
        if suffix is None:
            return base64.b64encode(value).decode()
        path = private_folder(folder) / f"{name}{suffix}"
        write_file(path, value, is_private=True)
        return str(path.relative_to(folder.parent.parent))
    return value


def _described(table: Table) -> dict[str, Any]:
    return {
        "about": (_model_words(table) or table.name),
        "key": [column.name for column in table.primary_key.columns],
        "columns": {
            column.name: {
                "type": type(column.type).__name__,
                "may_be_empty": bool(column.nullable),
                "refers_to": [str(key.column) for key in column.foreign_keys],
            }
            for column in table.columns
        },
    }


def _model_words(table: Table) -> str:
    """What the table's own class says it is."""
    for mapper in Base.registry.mappers:
        if mapper.local_table is table and mapper.class_.__doc__:
            return str(mapper.class_.__doc__).strip().splitlines()[0]
    return ""


def _write(path: Path, text: str) -> None:
    write_file(path, text.encode(), is_private=True)
