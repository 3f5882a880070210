"""Any panel file as histories: what is odd in it is repaired and said, or refused by its line."""

import csv
import gzip
import zlib
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from federation.data import COUNT_MAX, HISTORY_DAYS_MAX, TOTAL, History
from simulation.panel import COLUMNS, COMMUNITIES_MAX, NAME_CHARACTERS_MAX, ROWS_MAX
from simulation.refusals import PanelInvalid, PanelUnreadable

BYTES_MAX = 4 * 1024**3
CATEGORIES_MAX = 64
DATE_FORMATS = {  # as tried, the plainest first; `%d/%m/%Y` and `%m/%d/%Y` may both fit
    "year-month-day": ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y年%m月%d日"),
    "day/month/year": ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y"),
    "month/day/year": ("%m/%d/%Y", "%m-%d-%Y"),
}


@dataclass(frozen=True)
class Note:
    """Something in the file that was put right, and how often."""

    what: str
    times: int
    line: int | None = None  # of the first

    def __str__(self) -> str:
        where = f", first in line {self.line}" if self.line else ""
        return f"{self.what} ({self.times}{where})"


@dataclass(frozen=True)
class Panel:
    """Histories of equal length over the same categories, and what was repaired on the way."""

    label: str
    communities: tuple[str, ...]
    histories: tuple[History, ...]
    notes: tuple[Note, ...]

    @property
    def days(self) -> int:
        return self.histories[0].days

    @property
    def categories(self) -> tuple[str, ...]:
        return self.histories[0].series[:-1]


class _Names:
    """One column's distinct entries, numbered in order of appearance."""

    def __init__(self, what: str, *, limit: int) -> None:
        self.what = what
        self.limit = limit
        self.known: dict[str, int] = {}  # as written in the file
        self.names: list[str] = []
        self.lines: list[int] = []  # where each appeared first


class _Cells:
    """The rows as they stand in the file, in columns."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dates = _Names("date", limit=HISTORY_DAYS_MAX)
        self.communities = _Names("community", limit=COMMUNITIES_MAX)
        self.categories = _Names("category", limit=CATEGORIES_MAX)
        self.day, self.community, self.category = array("i"), array("i"), array("i")
        self.count, self.line = array("i"), array("i")
        self.notes: dict[str, list[int]] = {}  # what -> [times, first line]

    def note(self, what: str, line: int, times: int = 1) -> None:
        self.notes.setdefault(what, [0, line])[0] += times


def read_table(path: Path) -> Panel:
    """The whole file as a panel; the same file in any order of rows gives the same panel."""
    cells = _Cells(path.name)
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as lines:
            _collect(cells, _decoded(cells, lines))
    except (OSError, EOFError, zlib.error) as error:
        raise PanelUnreadable(file=str(path), reason=_plain_reason(error)) from error
    if not cells.line:
        raise PanelInvalid(file=path.name, line=1, problem="there are no rows below the header")
    return _assembled(cells)


def _plain_reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "the packed file is damaged"


def _decoded(cells: _Cells, lines: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Numbered lines as text: UTF-8, or line by line GB 18030 where an old program wrote."""
    size = 0
    for number, raw in enumerate(lines, start=1):
        size += len(raw)
        if size > BYTES_MAX:
            raise PanelInvalid(file=cells.name, line=number, problem=f"more than {BYTES_MAX} bytes")
        if number == 1 and raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            problem = "the file is UTF-16; save it as UTF-8"
            raise PanelInvalid(file=cells.name, line=1, problem=problem)
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            try:
                text = raw.decode("gb18030")
            except UnicodeDecodeError:
                problem = "neither UTF-8 nor GB 18030"
                raise PanelInvalid(file=cells.name, line=number, problem=problem) from None
            cells.note("lines in GB 18030 among UTF-8 read as such", number)
        if "\0" in text:
            raise PanelInvalid(file=cells.name, line=number, problem="a zero byte: not a CSV file")
        yield number, text.strip("\r\n")


def _collect(cells: _Cells, lines: Iterator[tuple[int, str]]) -> None:
    """Every row's four fields as numbers; whatever cannot be one is refused."""
    _, header = next(lines, (1, ""))
    separator = max(",;\t", key=header.count)
    columns = [_unquoted(name).lower() for name in header.split(separator)]
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        problem = f"the columns {', '.join(COLUMNS)} are needed; missing: {', '.join(missing)}"
        raise PanelInvalid(file=cells.name, line=1, problem=problem)
    places = [columns.index(column) for column in COLUMNS]
    counts: dict[str, int] = {}
    for number, text in lines:
        if not text.strip():
            continue
        fields = text.split(separator)
        if len(fields) != len(columns):
            fields = _quoted_fields(cells, number, text, separator, len(columns))
        day, community, category, count = (fields[place] for place in places)
        if count not in counts:
            counts[count] = _count(cells, number, count)
        cells.day.append(_id_of(cells, cells.dates, day, number))
        cells.community.append(_id_of(cells, cells.communities, community, number))
        cells.category.append(_id_of(cells, cells.categories, category, number))
        cells.count.append(counts[count])
        cells.line.append(number)
        if len(cells.line) > ROWS_MAX:
            raise PanelInvalid(file=cells.name, line=number, problem=f"more than {ROWS_MAX} rows")


def _quoted_fields(cells: _Cells, number: int, text: str, separator: str, width: int) -> list[str]:
    """A row whose names hold the separator inside quotation marks."""
    fields = next(csv.reader([text], delimiter=separator), [])
    if len(fields) != width:
        problem = f"expected {width} fields as in the header, found {len(fields)}"
        raise PanelInvalid(file=cells.name, line=number, problem=problem)
    return fields


def _unquoted(text: str) -> str:
    return text.strip().strip('"').strip()


def _id_of(cells: _Cells, column: _Names, text: str, line: int) -> int:
    """The number of a date, community or category; a new name is checked once."""
    if text in column.known:
        return column.known[text]
    name = _unquoted(text)
    if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        problem = f"a {column.what} has 1 to {NAME_CHARACTERS_MAX} printable characters"
        raise PanelInvalid(file=cells.name, line=line, problem=problem)
    if name in column.names:
        what = f"a {column.what} written with other blanks or marks counted as the same"
        cells.note(what, line)
    elif len(column.names) == column.limit:
        problem = f"more than {column.limit} different entries under {column.what}"
        raise PanelInvalid(file=cells.name, line=line, problem=problem)
    else:
        column.names.append(name)
        column.lines.append(line)
    column.known[text] = column.names.index(name)
    return column.known[text]


def _count(cells: _Cells, line: int, text: str) -> int:
    """A whole number of requests; `3.0` is one, `-1`, `2.5` and `1e9` are not."""
    bare = _unquoted(text)
    with suppress(ValueError):
        value = float(bare)
        if value.is_integer() and 0 <= value <= COUNT_MAX:
            if not bare.isdecimal():
                cells.note("counts written with a point read as whole numbers", line)
            return int(value)
    problem = f"expected a whole count from 0 to {COUNT_MAX}, found {bare[:20]!r}"
    raise PanelInvalid(file=cells.name, line=line, problem=problem)


def _assembled(cells: _Cells) -> Panel:
    ordinals = np.array(_ordinals(cells))[np.frombuffer(cells.day, np.int32)]
    community, category, count, line = (
        np.frombuffer(column, np.int32).astype(np.int64)
        for column in (cells.community, cells.category, cells.count, cells.line)
    )
    for index, name in enumerate(cells.categories.names):
        if name.lower() == TOTAL and (rows := category == index).any():
            what = "rows of a category called total left out: the total is computed"
            cells.note(what, int(line[rows][0]), int(rows.sum()))
            keep = ~rows
            ordinals, community, category, count, line = (
                column[keep] for column in (ordinals, community, category, count, line)
            )
    if not len(line):
        raise PanelInvalid(file=cells.name, line=2, problem="there is no category but the total")
    if (back := np.flatnonzero(np.diff(ordinals) < 0)).size:
        cells.note("rows out of the order of dates sorted", int(line[back[0] + 1]), len(back))
    return _filled(cells, ordinals, community, category, count, line)


def _ordinals(cells: _Cells) -> list[int]:
    """Every distinct date text as a day; a way of writing that fits two calendars is refused."""
    found = {
        way: [_day(text, formats) for text in cells.dates.names]
        for way, formats in DATE_FORMATS.items()
    }
    texts, lines = cells.dates.names, cells.dates.lines
    whole = [way for way, days in found.items() if None not in days]
    if not whole:
        odd = found["year-month-day"].index(None)
        problem = f"expected a date like 2025-12-31, found {texts[odd][:20]!r}"
        raise PanelInvalid(file=cells.name, line=lines[odd], problem=problem)
    if len(whole) > 1:
        problem = "the dates can be read as day/month or month/day; write them as 2025-12-31"
        raise PanelInvalid(file=cells.name, line=lines[0], problem=problem)
    days = [day for day in found[whole[0]] if day is not None]
    plain = [date.fromordinal(day).isoformat() for day in days]
    if other := [line for line, text, way in zip(lines, texts, plain, strict=True) if text != way]:
        cells.note(f"dates read as {whole[0]}", other[0], len(other))
    return days


def _day(text: str, formats: tuple[str, ...]) -> int | None:
    for form in formats:
        with suppress(ValueError):
            return datetime.strptime(text, form).toordinal()  # noqa: DTZ007 # a day, no moment
    return None


def _filled(
    cells: _Cells,
    ordinals: NDArray[np.int64],
    community: NDArray[np.int64],
    category: NDArray[np.int64],
    count: NDArray[np.int64],
    line: NDArray[np.int64],
) -> Panel:
    """The full block of days; what the file leaves out is zero, what it says twice is checked."""
    first, days = int(ordinals.min()), int(ordinals.max() - ordinals.min()) + 1
    if days > HISTORY_DAYS_MAX:
        at = int(line[np.argmax(np.abs(ordinals - np.median(ordinals)))])
        problem = f"the dates span more than {HISTORY_DAYS_MAX} days"
        raise PanelInvalid(file=cells.name, line=at, problem=problem)
    names, place = _sorted_names(cells.communities, community)
    kinds, kind = _sorted_names(cells.categories, category)
    key = (place * len(kinds) + kind) * days + (ordinals - first)
    counts = np.zeros(len(names) * len(kinds) * days, np.float32)
    seen = np.zeros(counts.size, bool)
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(np.diff(key[order]) == 0)
    if again.size:
        one, other = order[again], order[again + 1]
        if (different := np.flatnonzero(count[one] != count[other])).size:
            at = different[np.argmin(line[other[different]])]
            problem = (
                f"another count for the same day, community and category as line {line[one[at]]}"
            )
            raise PanelInvalid(file=cells.name, line=int(line[other[at]]), problem=problem)
        cells.note("rows that were there twice counted once", int(line[other].min()), len(again))
    counts[key], seen[key] = count, True
    if missing := int(counts.size - seen.sum()):
        cells.note("days and categories without a row taken as zero", 0, missing)
    block = counts.reshape(len(names), len(kinds), days)
    start, series = date.fromordinal(first), (*kinds, TOTAL)
    histories = tuple(History(start, series, np.vstack([one, one.sum(axis=0)])) for one in block)
    notes = tuple(Note(what, times, at or None) for what, (times, at) in cells.notes.items())
    return Panel(cells.name, tuple(names), histories, notes)


def _sorted_names(column: _Names, ids: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
    """The names that rows use, sorted, and each row's place among them."""
    used = np.unique(ids)
    names = sorted(column.names[index] for index in used)
    places = np.zeros(len(column.names), np.int64)
    places[used] = [names.index(column.names[index]) for index in used]
    return names, places[ids]
