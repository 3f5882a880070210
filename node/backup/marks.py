"""The two small files that say when a node was backed up last, and that it is a restored one."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

LAST_BACKUP_FILE = "last-backup.json"
RESTORED_FILE = "restored.json"


@dataclass(frozen=True)
class Restored:
    """From which moment this node's memory is, and when it woke up."""

    id: UUID
    taken_at: datetime
    restored_at: datetime
    entries: int
    head: str


def restored(directory: Path) -> Restored | None:
    """When and from what this node was restored; None for one that never was, or has caught up."""
    try:
        return msgspec.json.decode((directory / RESTORED_FILE).read_bytes(), type=Restored)
    except FileNotFoundError:
        return None


def caught_up(directory: Path) -> None:
    """All neighbours' books were compared: from now on this node is like any other."""
    file = directory / RESTORED_FILE
    os.replace(file, file.with_name("restored-and-compared.json"))
