"""The shape of the node's database, in numbered steps that only go forward."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from node.kernel.db import DatabaseUnusable, open_engine, shown
from node.kernel.errors import DomainError

VERSION_TABLE = "alembic_version"


class SchemaOutdated(DomainError):
    code = "node.schema_outdated"
    message = (
        "The database {url} is at step {found}, this program needs {needed}. "
        "Say: linli-node migrate DIR"
    )


class SchemaUnknown(DomainError):
    code = "node.schema_unknown"
    message = "The database {url} is at step {found}, which a newer program made. Install that one."


def migrate(url: str) -> tuple[str, str]:
    """Bring the database to this program's shape; returns the step before and after."""
    from alembic import command  # 11 MB that a serving node does without

    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            before = step_of(connection)
            if before not in ("nothing", *_known()):
                raise SchemaUnknown(url=shown(url), found=before)
            command.upgrade(_config(connection), "head")
            return before, step_of(connection)
    finally:
        engine.dispose()


def check(url: str) -> None:
    """Raises SchemaOutdated or SchemaUnknown unless the database has this program's shape."""
    _require_file(url)
    engine = open_engine(url, read_only=True)
    try:
        with engine.connect() as connection:
            found = step_of(connection)
    finally:
        engine.dispose()
    needed = _known()[-1]
    if found == needed:
        return
    if found == "nothing" or found in _known():
        raise SchemaOutdated(url=shown(url), found=found, needed=needed)
    raise SchemaUnknown(url=shown(url), found=found)


def _require_file(url: str) -> None:
    """SQLite would make an empty file where the node's books ought to be."""
    file = url.removeprefix("sqlite:///")
    if file != url and not Path(file).exists():
        problem = "the file is gone. Restore it from a backup; a new node: linli-node migrate DIR"
        raise DatabaseUnusable(url=shown(url), problem=problem)


def step_of(connection: Connection) -> str:
    """The step at which this database stands; `nothing` before the first."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return "nothing"
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 (a constant)
    return found or "nothing"


def _known() -> list[str]:
    """Every step, the oldest first: the numbers that the files' names begin with."""
    return sorted(path.name[:4] for path in (Path(__file__).parent / "versions").glob("0*.py"))


def _config(connection: Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config
