"""The list of all that ever left this house: kind, for whom, how often, how many bytes.

Messages to other communities and to the district's office are counted in the transaction that
records them as delivered. What training sends is noted by the guard (federation/guard), which
stands between the training program and the office.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.orm import Session

from node.outbox import service

OFFICE = "office"  # the district's office, as a recipient
UPDATES_FILE = "left.jsonl"


class Left(NamedTuple):
    """One line of the list."""

    kind: str
    to: str
    messages: int
    bytes: int


def left(session: Session, exports: Path) -> list[Left]:
    """Everything, ordered by recipient and kind."""
    counted = [
        Left(row.kind, row.recipient, row.messages, row.bytes)
        for row in service.departures(session)
    ]
    sizes: dict[str, list[int]] = {}
    for kind, size in _noted(exports / UPDATES_FILE):
        sizes.setdefault(kind, []).append(size)
    counted += [Left(kind, OFFICE, len(each), sum(each)) for kind, each in sizes.items()]
    return sorted(counted, key=lambda line: (line.to, line.kind))


def _noted(path: Path) -> Iterator[tuple[str, int]]:
    """Kind and bytes of each thing that training sent."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                noted = json.loads(line)
                yield str(noted["kind"]), int(noted["bytes"])
            except (ValueError, KeyError, TypeError):
                continue  # a line cut off by a crash; the update it meant was not acknowledged
