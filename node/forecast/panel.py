"""Read a panel of past counts (date, community, category, count; CSV, gzip or plain) strictly.

Whatever does not fit is refused with its line and column before anything is written: a history
that is wrong in one row is wrong in every forecast after it.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from node.kernel.errors import DomainError

COLUMNS = ("date", "community", "category", "count")
COUNT_MAX = 1_000_000  # requests of one category on one day
CATEGORIES_MAX = 63  # the forecaster takes 64; one place is left for OTHER
LINES_MAX = 20_000_000
LINE_BYTES_MAX = 10_000  # a longer one is no panel: refused before it fills the memory
GZIP_MAGIC = b"\x1f\x8b"
TOTAL = "total"  # the sum of all categories; no category may be called so

_CATEGORY = re.compile(r"[^\s,\"\x00-\x1f][^,\"\x00-\x1f]{0,59}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many requests of a category came on a day."""

    date: date
    category: str
    count: int


class PanelUnreadable(DomainError):
    code = "forecast.panel_unreadable"
    message = "The panel {file} cannot be read: {problem}"


class PanelColumns(DomainError):
    code = "forecast.panel_columns"
    message = "The panel {file} needs the columns {needed}; its first line has {found}."


class PanelValue(DomainError):
    code = "forecast.panel_value"
    message = "The panel {file}, line {line}, column {column}: {problem}"


class PanelDuplicate(DomainError):
    code = "forecast.panel_duplicate"
    message = "The panel {file}, line {line}: {date} and {category} stand there a second time."


class PanelUnknownCommunity(DomainError):
    code = "forecast.panel_unknown_community"
    message = "The panel {file} has no rows of the community {community}. It has: {known}."


class PanelEmpty(DomainError):
    code = "forecast.panel_empty"
    message = "The panel {file} has no rows."


def read_panel(path: Path, community: str) -> Iterator[DayCount]:
    """The rows of one community, in the file's order. Raises as soon as a row does not fit.

    Every row is checked, those of other communities too: a broken file is never half used.
    """
    seen: set[tuple[str, str]] = set()
    categories: set[str] = set()
    others: set[str] = set()
    with _open(path) as lines:
        for line, row in _rows(path, lines):
            cell = dict(zip(COLUMNS, row, strict=True))
            parsed = _parse(path.name, line, cell)
            if cell["community"] != community:
                others.add(cell["community"])
                continue
            if (cell["date"], cell["category"]) in seen:
                raise PanelDuplicate(
                    file=path.name, line=line, date=cell["date"], category=cell["category"]
                )
            seen.add((cell["date"], cell["category"]))
            categories.add(cell["category"])
            if len(categories) > CATEGORIES_MAX:
                problem = f"more than {CATEGORIES_MAX} categories"
                raise PanelValue(file=path.name, line=line, column="category", problem=problem)
            yield parsed
    if not seen and not others:
        raise PanelEmpty(file=path.name)
    if not seen:
        known = ", ".join(sorted(others)[:10]) + (", …" if len(others) > 10 else "")
        raise PanelUnknownCommunity(file=path.name, community=community, known=known)


@contextmanager
def _open(path: Path) -> Iterator[io.TextIOBase]:
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            raw.seek(0)
            binary = gzip.GzipFile(fileobj=raw) if packed else raw
            yield io.TextIOWrapper(binary, encoding="utf-8-sig", newline="")
    except UnicodeDecodeError as problem:
        raise PanelUnreadable(file=path.name, problem="it is not UTF-8 text") from problem
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise PanelUnreadable(file=path.name, problem="the gzip file is damaged") from problem
    except OSError as problem:
        reason = problem.strerror or "unknown"
        raise PanelUnreadable(file=path.name, problem=reason) from problem


def _rows(path: Path, lines: io.TextIOBase) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_bounded(path, lines), strict=True)
    try:
        header = next(reader, [])
        if tuple(name.strip() for name in header) != COLUMNS:
            found = ", ".join(header)[:200] or "nothing"
            raise PanelColumns(file=path.name, needed=", ".join(COLUMNS), found=found)
        for row in reader:
            if not row:
                continue
            if len(row) != len(COLUMNS):
                raise PanelValue(
                    file=path.name,
                    line=reader.line_num,
                    column=str(len(row)),
                    problem=f"{len(COLUMNS)} fields are needed",
                )
            if reader.line_num > LINES_MAX:
                problem = f"more than {LINES_MAX} lines"
                raise PanelUnreadable(file=path.name, problem=problem)
            yield reader.line_num, row
    except csv.Error as problem:
        place = f"line {reader.line_num}: {problem}"
        raise PanelUnreadable(file=path.name, problem=place) from problem


def _bounded(path: Path, lines: io.TextIOBase) -> Iterator[str]:
    while line := lines.readline(LINE_BYTES_MAX):
        if len(line) == LINE_BYTES_MAX:
            raise PanelUnreadable(file=path.name, problem="a line is endless")
        yield line


def _parse(file: str, line: int, cell: dict[str, str]) -> DayCount:
    def refuse(column: str, problem: str) -> PanelValue:
        return PanelValue(file=file, line=line, column=column, problem=problem)

    try:
        day = date.fromisoformat(cell["date"]) if _DATE.fullmatch(cell["date"]) else None
    except ValueError:
        day = None
    if day is None:
        raise refuse("date", "a date like 2018-12-31 is needed")
    if not cell["community"].strip():
        raise refuse("community", "a name is needed")
    category = cell["category"]
    if not _CATEGORY.fullmatch(category) or category != category.strip() or category == TOTAL:
        raise refuse("category", f"a name of up to 60 characters is needed, and not {TOTAL}")
    text = cell["count"]
    if not (text.isascii() and text.isdecimal()):
        raise refuse("count", "a whole number, 0 or more, is needed")
    if len(text) > len(str(COUNT_MAX)) or int(text) > COUNT_MAX:
        raise refuse("count", f"at most {COUNT_MAX} is believed")
    return DayCount(day, category, int(text))
