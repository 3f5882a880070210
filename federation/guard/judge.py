"""One task from its bytes to what may leave: the veto, the sandbox, the check, the list.

Nothing here talks to Flower's services; executor.py brings tasks and takes answers away.
"""

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.common.serde import context_to_proto, message_to_proto, recorddict_from_proto
from flwr.proto.recorddict_pb2 import RecordDict as ProtoRecordDict

from federation.errors import ForecastError
from federation.guard.bundles import Bundles, write_whole
from federation.guard.child import Blobs
from federation.guard.config import GuardConfig
from federation.guard.replies import REFUSAL, Asked, checked_answer, known_check
from federation.guard.sandbox import READY, READY_TO_TRAIN, Child, Limits, start
from federation.secagg.adverts import Identity
from federation.secagg.vault import SUMS_MARK

STATE_BYTES_MAX = 1024 * 1024
VAULT_BYTES_MAX = 32 * 1024 * 1024
VAULT_SECONDS_MAX = 3 * 24 * 3600.0  # a run that ended badly leaves its secrets behind
FILE_BYTES_MAX = 64 * 1024 * 1024
IDLE_SECONDS_MAX = 120.0  # a waiting child costs memory; between two weeks none waits
PLAIN = "train"
BEFORE_TRAINING = (PLAIN, "train.share", "train.unmask")  # after these the next step trains


class BundleNotApproved(ForecastError):
    code = "guard.bundle_not_approved"
    message = "This node's operator has not approved the bundle {sha256}."


class FileMissing(ForecastError):
    code = "guard.file_missing"
    message = "This node has no {name} for training yet."


class AppFailed(ForecastError):
    code = "guard.app_failed"
    message = "The training program of this node stopped ({reason}); the node's log says more."


@dataclass(frozen=True)
class Task:
    """What the office asks, as it came."""

    message: Message
    context: Context
    bundle: bytes
    fab_id: str
    fab_version: str

    @property
    def kind(self) -> str:
        return str(self.message.metadata.message_type)

    @property
    def run_id(self) -> str:
        return str(self.context.run_id)


@dataclass
class Judge:
    """Answers tasks, one at a time; keeps at most one child warm."""

    config: GuardConfig
    bundles: Bundles
    limits: Limits = field(default_factory=Limits)
    _waiting: Child | None = None
    _idle_since: float = 0.0

    def answer(self, task: Task, *, is_gone: Callable[[], bool]) -> RecordDict:
        """What leaves; a ForecastError says why nothing does, in words that may leave too.

        The app's state of the run is kept, and the departure is on the list, before it returns.
        """
        sha256 = self.bundles.note_asked(task.bundle, run_id=task.run_id)
        if not self.bundles.is_approved(sha256):
            raise BundleNotApproved(sha256=sha256)
        known_check(task.kind)
        files = {name: _content_of(path, name) for name, path in self.config.files.items()}
        members = Identity.load(self.config.files["identity"]).members
        child = self._taken(task.kind)
        try:
            found = child.run(self._question(task, files, sha256), is_gone=is_gone)
        finally:
            _log(child.said.decode(errors="replace"))
            self.warm(is_training_next=task.kind in BEFORE_TRAINING)
        if "error" in found:
            raise AppFailed(reason=_reason(found))
        asked = Asked(
            task.kind, task.run_id, task.message.content, task.context.run_config, members
        )
        answer = checked_answer(asked, _record(found["content"], self.limits.output_bytes))
        state = _record(found["state"], STATE_BYTES_MAX)
        self._keep(task, found["vault"])
        self.note_departure(answer.kind, answer.size_bytes, run_id=task.run_id, sha256=sha256)
        task.context.state = state
        return answer.content

    def prepare(self) -> None:
        """Begin clean: what a guard that was killed left behind is thrown away."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        self.bundles.prepare()

    def warm(self, *, is_training_next: bool) -> None:
        """Have the next child wait with everything imported; it takes one task only."""
        if self._waiting is None:
            modules = READY_TO_TRAIN if is_training_next else READY
            self._waiting = start(
                limits=self.limits,
                is_contained=self.config.sandbox,
                warm=modules,
                scratch_in=self._scratch,
            )
            self._idle_since = time.monotonic()

    def cool(self) -> None:
        """End a child that nobody has needed for a while, and forget runs of long ago."""
        if self._waiting is not None and time.monotonic() - self._idle_since > IDLE_SECONDS_MAX:
            self.close()
            self._forget_old_runs()

    def close(self) -> None:
        """End the waiting child, if there is one."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.end()

    def note_departure(self, kind: str, size_bytes: int, *, run_id: str, sha256: str) -> None:
        """One line for the list of all that ever left the house, on the disk before it leaves."""
        line = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "run_id": run_id,
            "kind": kind,
            "bytes": size_bytes,
            "bundle": sha256,
        }
        self.config.left.parent.mkdir(parents=True, exist_ok=True)
        with self.config.left.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def note_refusal(self, task: Task, words: str) -> None:
        """A refusal leaves the house as well: the same list tells of it."""
        sha256 = self.bundles.note_asked(task.bundle, run_id=task.run_id)
        self.note_departure(REFUSAL, len(words.encode()), run_id=task.run_id, sha256=sha256)

    def _taken(self, kind: str) -> Child:
        if self._waiting is not None and self._waiting.process.poll() is not None:
            self.close()  # it ended while it waited
        if self._waiting is None:
            self.warm(is_training_next=kind in (PLAIN, "train.mask"))
        child, self._waiting = self._waiting, None
        assert child is not None, "warm starts one"
        return child

    def _question(self, task: Task, files: Blobs, sha256: str) -> Blobs:
        about: dict[str, Any] = {
            "message_id": task.message.metadata.message_id,
            "fab_id": task.fab_id,
            "fab_version": task.fab_version,
            "fab_hash": sha256,
            "values": dict(self.config.values),
            "files": list(files),
        }
        vault, has_sums = self._vault_of(task.run_id), (self.config.vault / SUMS_MARK).exists()
        about["marks"] = [SUMS_MARK] if has_sums else []
        return {
            "about": json.dumps(about).encode(),
            "bundle": task.bundle,
            "message": message_to_proto(task.message).SerializeToString(),
            "context": context_to_proto(task.context).SerializeToString(),
            "vault": vault.read_bytes() if vault.exists() else b"",
            **{f"file/{name}": content for name, content in files.items()},
        }

    def _keep(self, task: Task, content: bytes) -> None:
        """The app's own state of the run, unread; an empty one is the end of it."""
        if len(content) > VAULT_BYTES_MAX:
            raise AppFailed(reason="its state is too large")
        self.config.vault.mkdir(mode=0o700, parents=True, exist_ok=True)
        if task.kind != PLAIN:  # from now on this node gives nothing outside of a secure sum
            (self.config.vault / SUMS_MARK).touch(mode=0o600)
        vault = self._vault_of(task.run_id)
        if content.startswith(b"[]\n"):
            vault.unlink(missing_ok=True)
        else:
            write_whole(vault, content)

    @property
    def _scratch(self) -> Path:
        return self.config.vault.parent / "scratch"

    def _vault_of(self, run_id: str) -> Path:
        return self.config.vault / f"{run_id}.kept"

    def _forget_old_runs(self) -> None:
        for path in self.config.vault.glob("*.kept"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > VAULT_SECONDS_MAX:
                    path.unlink()


def _content_of(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise FileMissing(name=name) from error
    if len(content) > FILE_BYTES_MAX:
        raise FileMissing(name=name)
    return content


def _record(content: bytes, bytes_max: int) -> RecordDict:
    if len(content) > bytes_max:
        raise AppFailed(reason="its answer is too large")
    try:
        return recorddict_from_proto(ProtoRecordDict.FromString(content))
    except Exception as error:  # whatever a parser makes of bytes that nobody vouches for
        raise AppFailed(reason="its answer cannot be read") from error


def _reason(found: Blobs) -> str:
    """What may be told of an app's failure: one of our own codes, or nothing but that it failed.

    Its text could hold anything that it has read, so that stays in the node's log.
    """
    _log(found.get("text", b"").decode(errors="replace"))
    code = found.get("code", b"").decode(errors="replace")
    return code if code in {one.code for one in ForecastError.__subclasses__()} else "an error"


def _log(text: str) -> None:
    for line in text.splitlines():
        printable = "".join(letter if letter.isprintable() else "?" for letter in line)
        print("app:", printable[:400], file=sys.stderr, flush=True)  # noqa: T201 (our log)
