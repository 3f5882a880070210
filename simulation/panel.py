"""A district's history as a file: what is in it, and whether a district can be made of it.

The nodes read the file themselves (`linli-node import`); here their own reader looks through it
once before anything is started, so that a file that cannot work stops nothing in the middle.
"""

import csv
import gzip
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from node.forecast import panel as node_panel
from node.forecast.rules import HISTORY_DAYS_MIN, HOLDOUT_WEEKS, latest_stretch
from node.kernel.files import write_file
from simulation.refusals import HistoryTooShort, TooFewCommunities

COLUMNS = node_panel.COLUMNS
ROWS_MAX = 20_000_000
NAME_CHARACTERS_MAX = 100
COMMUNITIES_NEEDED = 4
COMMUNITIES_MAX = 10_000
DAYS_NEEDED = HISTORY_DAYS_MIN + 7 * HOLDOUT_WEEKS  # to learn from, and to be judged on
GZIP_MAGIC = b"\x1f\x8b"

Row = tuple[date, str, str, int]


@dataclass(frozen=True)
class Panel:
    """A file that a district can be made of, and what its report says about it."""

    path: Path
    communities: tuple[str, ...]  # those that take part, by name
    communities_in_file: int
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
    names = _communities(path)
    if len(names) < COMMUNITIES_NEEDED:
        with suppress(node_panel.PanelUnknownCommunity):
            next(node_panel.read_panel(path, ""), None)  # says what else is wrong with the file
        raise TooFewCommunities(file=path.name, found=len(names), needed=COMMUNITIES_NEEDED)
    chosen = tuple(sorted(names)[:COMMUNITIES_NEEDED])
    days: set[date] = set()
    for name in chosen:
        known = {row.date for row in node_panel.read_panel(path, name)}
        _check_length(path, name, known)
        days |= known
    return Panel(path, chosen, len(names), min(days), max(days), seed)


def write_panel(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as a panel; the same rows give the same bytes."""
    lines = [",".join(COLUMNS)]
    lines += [f"{day.isoformat()},{place},{kind},{count}" for day, place, kind, count in rows]
    write_file(path, ("\n".join(lines) + "\n").encode())


def _communities(path: Path) -> set[str]:
    """Every name in the file; none, or strange ones, where the node's reader will refuse it."""
    names: set[str] = set()
    with suppress(OSError, EOFError, zlib.error, ValueError, csv.Error):
        with path.open("rb") as file:
            is_packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        opened = gzip.open if is_packed else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines)
            next(reader, None)
            for row in reader:
                names.update(row[1:2])
                if len(names) > COMMUNITIES_MAX:
                    break
    return names


def _check_length(path: Path, community: str, days: set[date]) -> None:
    stretch = latest_stretch(sorted(days))
    length = (stretch[1] - stretch[0]).days + 1 if stretch else len(days)
    if length < DAYS_NEEDED:
        raise HistoryTooShort(file=path.name, community=community, days=length, needed=DAYS_NEEDED)
