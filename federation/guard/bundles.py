"""Which bundles this node's operator approved, and which were asked for.

A bundle is named by the SHA-256 of its bytes. The operator's decisions lie in one file that
`linli-node bundles` writes (node/forecast/bundles.py: the same names there); what was asked for is
kept beside it, so that it can be read before it is approved. Nothing is ever unpacked here.
"""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

DECISIONS_FILE = "decisions.json"
OWN_FILE = "own.json"
APPROVED, REFUSED = "approved", "refused"
SHA256_LENGTH = 64  # in hexadecimal
BUNDLE_BYTES_MAX = 8 * 1024 * 1024
KEPT_MAX = 20  # undecided ones: an office that asks for a thousand fills no disk


@dataclass(frozen=True)
class Bundles:
    """One node's bundles."""

    folder: Path
    own_sha256: str | None  # of the sources installed here, where their approval is taken as given

    def prepare(self) -> None:
        """Say which bundle is this node's own, for the operator's list."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self.folder / OWN_FILE, json.dumps({"sha256": self.own_sha256}).encode())

    def is_approved(self, sha256: str) -> bool:
        """Whether these bytes may run; the operator's own word counts before anything else."""
        try:
            decided = json.loads((self.folder / DECISIONS_FILE).read_bytes())
            decision = decided.get(sha256, {}).get("decision")
        except FileNotFoundError:
            decision = None
        except (OSError, ValueError, AttributeError):
            return False  # a list that cannot be read approves nothing
        if decision in (APPROVED, REFUSED):
            return bool(decision == APPROVED)
        return self.own_sha256 is not None and sha256 == self.own_sha256

    def note_asked(self, content: bytes, *, run_id: str) -> str:
        """Keep what an office asked to run, for the operator to read; returns its hash."""
        sha256 = hashlib.sha256(content).hexdigest()
        note_path = self.folder / f"{sha256}.json"
        noted = _read(note_path)
        note = {
            "first_asked_at": noted.get("first_asked_at") or _now(),
            "last_asked_at": _now(),
            "times": _count(noted.get("times")) + 1,
            "run_id": run_id,
            "bytes": len(content),
        }
        path = self.folder / f"{sha256}.fab"
        if len(content) <= BUNDLE_BYTES_MAX and not path.exists():
            write_whole(path, content)
        write_whole(note_path, json.dumps(note).encode())
        if not noted:
            self._forget_old()
        return sha256

    def _forget_old(self) -> None:
        """Approved ones stay; of the others the newest."""
        notes = [path for path in self.folder.glob("*.json") if len(path.stem) == SHA256_LENGTH]
        others = [path for path in notes if not self.is_approved(path.stem)]
        for path in sorted(others, key=lambda one: one.stat().st_mtime)[:-KEPT_MAX]:
            path.with_suffix(".fab").unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file for its owner's eyes: whole or not at all, and on the disk."""
    partial = path.with_name(f".{path.name}.partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _read(path: Path) -> dict[str, object]:
    with suppress(OSError, ValueError):
        content = json.loads(path.read_bytes())
        if isinstance(content, dict):
            return content
    return {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
