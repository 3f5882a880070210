"""One moment of the database as a file, while the node goes on writing; and back again."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url

from node.kernel.db import open_engine, shown
from node.kernel.errors import DomainError

SQLITE_FILE, POSTGRES_FILE = "node.sqlite", "node.pgdump"
PROGRAM_SECONDS_MAX = 3_600


class ProgramFailed(DomainError):
    code = "backup.program_failed"
    message = "{program} is needed for PostgreSQL and did not do it: {problem}"


class DatabaseNotEmpty(DomainError):
    code = "backup.database_not_empty"
    message = "{url} has tables already. Restore into an empty database; nothing was changed."


def take(url: str, folder: Path) -> Path:
    """Write the database as it stands now into `folder`; nobody waits for it."""
    if url.startswith("sqlite"):
        return _copy_sqlite(Path(make_url(url).database or ""), folder / SQLITE_FILE)
    file = folder / POSTGRES_FILE
    _run("pg_dump", "--format=custom", "--no-owner", f"--file={file}", f"--dbname={_plain(url)}")
    return file


def put(folder: Path, url: str) -> None:
    """Fill the empty PostgreSQL database at `url` from `folder`; a SQLite file is there already."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
            if connection.exec_driver_sql(tables).scalar():
                raise DatabaseNotEmpty(url=shown(url))
    finally:
        engine.dispose()
    dump = folder / POSTGRES_FILE
    _run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={_plain(url)}", str(dump))


def check_dump(file: Path) -> None:
    """Can PostgreSQL read its dump? (That it can be restored is seen only by restoring it.)"""
    _run("pg_restore", "--list", str(file))


def _copy_sqlite(source: Path, target: Path) -> Path:
    """SQLite's own online backup: one read snapshot, whatever is written meanwhile."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as here,
        closing(sqlite3.connect(target)) as there,
    ):
        here.backup(there)
        there.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
    return target


def _plain(url: str) -> str:
    """The URL as PostgreSQL's own programs read it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _run(program: str, *arguments: str) -> None:
    found = shutil.which(program)
    if found is None:
        raise ProgramFailed(program=program, problem="it is not installed")
    done = subprocess.run(  # noqa: S603 (our own arguments)
        [found, *arguments], capture_output=True, text=True, timeout=PROGRAM_SECONDS_MAX
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ProgramFailed(program=program, problem=said[-1] if said else "no word")
