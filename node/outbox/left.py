"""The list of all that ever left this house: kind, for whom, how often, how many bytes.

Messages to other communities and to the district's office are counted in the transaction that
records them as delivered. Model updates are noted by the training program, which runs on its own
and may write that one file only.
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
    updates = list(_update_sizes(exports / UPDATES_FILE))
    if updates:
        counted.append(Left("model_update", OFFICE, len(updates), sum(updates)))
    return sorted(counted, key=lambda line: (line.to, line.kind))


def _update_sizes(path: Path) -> Iterator[int]:
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                yield int(json.loads(line)["bytes"])
            except (ValueError, KeyError, TypeError):
                continue  # a line cut off by a crash; the update it meant was not acknowledged
