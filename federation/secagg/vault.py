"""Where a node keeps its side of a run between two messages: a folder of its own, locked.

A training program is a new process for every message, and the office chooses when messages come,
two at the same moment included. So what a node has done is written to a file *before* the answer
leaves, under a lock that lets one process in at a time: a node that is killed, or asked twice at
once, never answers twice. (Flower's own context would be shorter, but it is stored after the reply
has left, and is handed to two processes at once.) The file is for its owner only, holds no
secret of a finished round, and goes with the last one.
"""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from federation.secagg.member import Member
from federation.secagg.refusals import RoundRepeated, StepOutOfOrder

AGE_SECONDS_MAX = 3 * 24 * 3600.0  # a run that ended badly leaves its file behind
SUMS_MARK = "sums"
LOCK_WAIT_SECONDS = 600.0
LOCK_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Vault:
    """The file of one run, while this process alone may use it."""

    path: Path

    def begin(self, member: Member) -> None:
        """Keep a member who is new to the run; a run is begun once."""
        if self.path.exists():
            raise RoundRepeated(round=0, what="begun")
        (self.path.parent / SUMS_MARK).touch(mode=0o600)
        self.keep(member)

    def member(self) -> Member:
        """The member as it was kept; refused where the run is unknown, over or lost."""
        try:
            return Member.from_bytes(self.path.read_bytes())
        except FileNotFoundError as error:
            raise StepOutOfOrder(round=0, reason="this node has no keys for that run") from error

    def keep(self, member: Member) -> None:
        """Write before answering: whole or not at all, and on the disk."""
        if member.is_done:
            self.path.unlink(missing_ok=True)
            return
        partial = self.path.with_suffix(".partial")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(member.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)


def knows_sums(folder: Path) -> bool:
    """Whether this node ever began a secure sum."""
    return (folder / SUMS_MARK).exists()


@contextlib.contextmanager
def locked(folder: Path, *, run: str) -> Iterator[Vault]:
    """The run's file for this process alone; old ones are thrown away on the way."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(handle)
        _throw_away_old(folder)
        yield Vault(folder / f"{hashlib.sha256(run.encode()).hexdigest()[:32]}.run")
    finally:
        os.close(handle)  # which unlocks


def _lock(handle: int) -> None:
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return


def _throw_away_old(folder: Path) -> None:
    limit = time.time() - AGE_SECONDS_MAX
    for path in (*folder.glob("*.run"), *folder.glob("*.partial")):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < limit:
                path.unlink()
