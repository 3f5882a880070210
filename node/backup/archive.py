"""A backup: one encrypted file with the database, the keys and all else that the node needs.

Inside the encryption it is a gzipped tar, its last member a manifest with every file's SHA-256.
Before a backup gets its name, what was written is opened again and the books in it are audited.
"""

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from node import migrations
from node.backup import snapshot
from node.backup.age import Damaged, FileKey, Key, Reader, Writer
from node.backup.marks import LAST_BACKUP_FILE
from node.kernel.db import open_engine
from node.kernel.errors import DomainError
from node.kernel.files import write_file
from node.kernel.ports import Clock
from node.ledger.audit import audit_ledger
from node.ledger.model import JournalEntry, JournalHead
from node.settings import Settings
from node.settlement import service as settlement

FORMAT = 1
MANIFEST = "manifest.json"
LEFT_OUT = frozenset({"flower", LAST_BACKUP_FILE})  # made again; half a training run is none
DATABASE_FILES = (snapshot.SQLITE_FILE, "-wal", "-shm", "-journal")
BLOCK_BYTES = 1 << 20


class FileExists(DomainError):
    code = "backup.file_exists"
    message = "{file} exists already. Nothing was changed: choose another name."


class NotVerified(DomainError):
    code = "backup.not_verified"
    message = "What was written does not restore: {problem}. There is no backup of today."


@dataclass(frozen=True)
class Manifest:
    """What a backup holds, and from when."""

    format: int
    name: str  # of the community
    taken_at: datetime
    schema: str
    entries: int  # in the journal
    head: str  # the journal's last hash
    files: dict[str, str]  # SHA-256 by path

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "taken_at": self.taken_at.isoformat(), "files": len(self.files)}


def make(settings: Settings, clock: Clock, *, to: Path, keys: Sequence[Key]) -> Manifest:
    """Write a verified backup of a node, which may be serving, to a new file."""
    if to.exists():
        raise FileExists(file=str(to))
    partial = to.with_name(f".{to.name}.partial")
    with scratch(settings.directory) as folder:
        taken_at, url = clock.now(), settings.database_url
        state = _state(url)
        dump = snapshot.take(url, folder)
        if (
            dump.name == snapshot.SQLITE_FILE
        ):  # what was copied; a dump has this state or a later one
            state = _state(f"sqlite:///{dump}")
        try:
            with partial.open("xb") as file:
                os.fchmod(file.fileno(), 0o600)
                with Writer(file, keys) as sealed:
                    manifest = _write(sealed, settings, dump, taken_at, state)
                    own_key = sealed.file_key
                file.flush()
                os.fsync(file.fileno())
            dump.unlink()
            verify(partial, own_key, folder)
            to.hardlink_to(partial)  # never replaces what came there meanwhile
        except FileExistsError:
            raise FileExists(file=str(to)) from None
        finally:
            partial.unlink(missing_ok=True)
    said = {"at": taken_at.isoformat(), "entries": manifest.entries, "bytes": to.stat().st_size}
    write_file(settings.directory / LAST_BACKUP_FILE, json.dumps(said).encode(), is_private=True)
    return manifest


def verify(file: Path, key: Key | FileKey, folder: Path) -> Manifest:
    """Restore into `folder` and audit there; raises NotVerified with what does not fit."""
    trial = folder / "trial"
    trial.mkdir(mode=0o700)
    try:
        manifest = unpack(file, key, trial)
        if (trial / snapshot.POSTGRES_FILE).exists():
            snapshot.check_dump(trial / snapshot.POSTGRES_FILE)
        else:
            check_books(f"sqlite:///{trial / snapshot.SQLITE_FILE}", manifest)
    except (Damaged, snapshot.ProgramFailed) as refusal:
        raise NotVerified(problem=str(refusal)) from refusal
    finally:
        shutil.rmtree(trial)
    return manifest


def unpack(file: Path, key: Key | FileKey, folder: Path) -> Manifest:
    """Everything in the backup, written below `folder`; raises Damaged for what was changed."""
    found: dict[str, str] = {}
    manifest: Manifest | None = None
    with file.open("rb") as sealed, io.BufferedReader(Reader(sealed, key), BLOCK_BYTES) as content:
        try:
            with tarfile.open(fileobj=content, mode="r|gz") as archive:
                for member in archive:
                    held = archive.extractfile(member)
                    if held is None:
                        raise Damaged(problem=f"{member.name} is no plain file")
                    if member.name == MANIFEST:
                        manifest = msgspec.json.decode(held.read(), type=Manifest)
                        continue
                    found[member.name] = _keep(held, _safe(folder, member.name))
            content.read()  # to its end: a file that was cut off says so there
        except (tarfile.TarError, EOFError, msgspec.MsgspecError, OSError) as problem:
            raise Damaged(problem=str(problem) or type(problem).__name__) from problem
    if manifest is None or manifest.format != FORMAT or manifest.files != found:
        raise Damaged(problem="its files are not those of its manifest")
    return manifest


def check_books(url: str, manifest: Manifest) -> None:
    """Replay the restored books up to the head that they had when the backup was taken."""
    migrations.check(url)
    engine = open_engine(url, read_only=True)
    try:
        with Session(engine) as session:
            books = audit_ledger(session)
            problem = books.problem or settlement.audit_receipts(session)
            last = session.get(JournalEntry, manifest.entries)
    finally:
        engine.dispose()
    if not problem and manifest.entries and (last is None or last.hash != manifest.head):
        problem = f"entry {manifest.entries} is not the one that it ended with"
    if problem:
        raise NotVerified(problem=problem)


@contextmanager
def scratch(directory: Path) -> Iterator[Path]:
    """A folder for what is not encrypted, on the node's own disk, gone at the end."""
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=directory) as folder:
        yield Path(folder)


def _write(
    sealed: Writer, settings: Settings, dump: Path, taken_at: datetime, state: "_State"
) -> Manifest:
    files: dict[str, str] = {}
    with tarfile.open(fileobj=sealed, mode="w|gz", bufsize=BLOCK_BYTES) as archive:
        for name, path in [(dump.name, dump), *_files(settings.directory)]:
            files[name] = _add(archive, name, path)
        manifest = Manifest(FORMAT, settings.name, taken_at, *state, files)
        _add_bytes(archive, MANIFEST, msgspec.json.encode(manifest))
    return manifest


class _State(NamedTuple):
    schema: str
    entries: int
    head: str


def _state(url: str) -> _State:
    """The step and the journal's head of a database."""
    engine = open_engine(url, read_only=True)
    try:
        with Session(engine) as session:
            found = session.scalar(select(JournalHead))
            step = migrations.step_of(session.connection())
            return _State(step, found.sequence, found.hash) if found else _State(step, 0, "")
    finally:
        engine.dispose()


def _files(directory: Path) -> Iterator[tuple[str, Path]]:
    """All else in the node's folder: settings, keys, membership, models, what left."""
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or name.parts[0] in LEFT_OUT or name.name.endswith(DATABASE_FILES):
            continue
        if path.is_file() and not path.is_symlink():
            yield name.as_posix(), path


def _add(archive: tarfile.TarFile, name: str, path: Path) -> str:
    """Add a file as long as it is now; its SHA-256."""
    with path.open("rb") as file:
        member = tarfile.TarInfo(name)
        member.size, member.mode = os.fstat(file.fileno()).st_size, 0o600
        counted = _Counted(file)
        archive.addfile(member, counted)
        return counted.digest.hexdigest()


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


class _Counted(io.RawIOBase):
    """A file whose bytes are hashed as they are read."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.digest.update(block)
        return block


def _keep(held: Any, path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        while block := held.read(BLOCK_BYTES):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _safe(folder: Path, name: str) -> Path:
    """Where a member goes: never outside `folder`."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise Damaged(problem="it would write outside its folder")
    return folder.joinpath(*parts)
