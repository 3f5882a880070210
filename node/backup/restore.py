"""A node out of its backup: into a new folder, audited, and marked as older than what it said."""

import json
import shutil
from pathlib import Path

import msgspec

from node import migrations, settings
from node.backup import snapshot
from node.backup.age import Key
from node.backup.archive import FileExists, Manifest, check_books, unpack
from node.backup.marks import RESTORED_FILE, Restored
from node.kernel.errors import BadInput, DomainError
from node.kernel.files import private_folder, write_file
from node.kernel.ids import new_id
from node.kernel.ports import Clock


class NotEmpty(DomainError):
    code = "backup.folder_not_empty"
    message = "{directory} is not empty. Restore into a new folder; nothing was changed."


def restore(file: Path, directory: Path, clock: Clock, *, key: Key, database: str = "") -> Manifest:
    """Fill a new folder from a backup, or change nothing; the books were audited then.

    `database` is an empty PostgreSQL database, which a node that ran on one needs.
    """
    if not file.is_file():
        raise BadInput(field="FILE", problem=f"{file} is no file")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise NotEmpty(directory=str(directory))
    beside = directory.with_name(f".{directory.name}.restoring")
    if beside.exists():
        raise FileExists(file=str(beside))
    try:
        manifest = unpack(file, key, private_folder(beside))
        _fill_database(beside, manifest, database=database)
        mark = Restored(new_id(), manifest.taken_at, clock.now(), manifest.entries, manifest.head)
        write_file(beside / RESTORED_FILE, msgspec.json.encode(mark), is_private=True)
        if directory.exists():
            directory.rmdir()  # an empty one was there
        beside.rename(directory)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return manifest


def _fill_database(folder: Path, manifest: Manifest, *, database: str) -> None:
    """Bring the database to this program's shape and replay its books."""
    is_dump = (folder / snapshot.POSTGRES_FILE).exists()
    if is_dump != bool(database):
        problem = (
            "name an empty PostgreSQL database: the backup has one"
            if is_dump
            else ("this backup holds a SQLite file; leave it out")
        )
        raise BadInput(field="--database", problem=problem)
    url = database or f"sqlite:///{folder / snapshot.SQLITE_FILE}"
    if is_dump:
        snapshot.put(folder, url)
        (folder / snapshot.POSTGRES_FILE).unlink()
    migrations.migrate(url)
    check_books(url, manifest)
    _name_database(folder / settings.FILE_NAME, database)


def _name_database(file: Path, database: str) -> None:
    """Let node.toml name the database that was filled, wherever the old one was."""
    lines = file.read_text(encoding="utf-8").splitlines()
    named = [
        f"database = {json.dumps(database)}" if line.startswith("database ") else line
        for line in lines
    ]
    write_file(file, ("\n".join(named) + "\n").encode(), is_private=True)
