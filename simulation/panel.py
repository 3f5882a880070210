"""A district's history as a file: what is in it, and whether a district can be made of it.

The nodes read the file themselves (`linli-node import`); here it is looked through once before
anything is started, so that a file that cannot work stops nothing in the middle.
"""

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TextIO

from node.kernel.files import write_file
from simulation.refusals import PanelInvalid, PanelUnreadable, TooFewCommunities

COLUMNS = ("date", "community", "category", "count")
COMMUNITIES_NEEDED = 4
ROWS_MAX = 20_000_000
COMMUNITIES_MAX = 10_000
NAME_CHARACTERS_MAX = 100

Row = tuple[date, str, str, int]


@dataclass(frozen=True)
class Panel:
    """A file that a district can be made of, and what its report says about it."""

    path: Path
    communities: tuple[str, ...]  # those that take part, by name
    communities_in_file: int
    rows: int
    first_day: date
    last_day: date
    seed: int | None  # of the residents that were generated; None: the file was given

    @property
    def label(self) -> str:
        """One line that says plainly where the history comes from."""
        if self.seed is not None:
            return f"generated from seed {self.seed}, not real people"
        return self.path.name


def read_panel(path: Path, *, seed: int | None = None) -> Panel:
    """Look through the whole file; whatever a node would stumble over is refused by its line."""
    names: set[str] = set()
    first_day, last_day, rows = date.max, date.min, 0
    try:
        with _opened(path) as lines:
            for day, community in _rows(path.name, lines):
                rows += 1
                names.add(community)
                first_day, last_day = min(first_day, day), max(last_day, day)
                if rows > ROWS_MAX or len(names) > COMMUNITIES_MAX:
                    problem = f"more than {ROWS_MAX} rows or {COMMUNITIES_MAX} communities"
                    raise PanelInvalid(file=path.name, line=rows + 1, problem=problem)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise PanelUnreadable(file=str(path), reason=_plain_reason(error)) from error
    if len(names) < COMMUNITIES_NEEDED:
        raise TooFewCommunities(file=path.name, found=len(names), needed=COMMUNITIES_NEEDED)
    chosen = tuple(sorted(names)[:COMMUNITIES_NEEDED])
    return Panel(path, chosen, len(names), rows, first_day, last_day, seed)


def write_panel(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as a panel; the same rows give the same bytes."""
    lines = [",".join(COLUMNS)]
    lines += [f"{day.isoformat()},{place},{kind},{count}" for day, place, kind, count in rows]
    write_file(path, ("\n".join(lines) + "\n").encode())


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    if is_packed:
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as lines:
            yield lines
    else:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield lines


def _rows(name: str, lines: TextIO) -> Iterator[tuple[date, str]]:
    reader = csv.reader(lines)
    header = next(reader, [])
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        problem = f"the columns {', '.join(COLUMNS)} are needed; missing: {', '.join(missing)}"
        raise PanelInvalid(file=name, line=1, problem=problem)
    at_day, at_community, at_category, at_count = (header.index(column) for column in COLUMNS)
    days: dict[str, date] = {}  # a day stands in the file once per community and category
    for row in reader:
        try:
            text, community, category = row[at_day], row[at_community], row[at_category]
            if text not in days:
                days[text] = date.fromisoformat(text)
            if not community or not category or len(community) > NAME_CHARACTERS_MAX:
                raise ValueError
            if int(row[at_count]) < 0:
                raise ValueError
        except (ValueError, IndexError):
            problem = "expected a date, a community, a category and a count of 0 or more"
            raise PanelInvalid(file=name, line=reader.line_num, problem=problem) from None
        yield days[text], community


def _plain_reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it is not CSV in UTF-8, plain or packed with gzip"
