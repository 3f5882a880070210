"""The shape of the node's database, in numbered steps that only go forward."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from node.kernel.db import open_engine, shown
from node.kernel.errors import DomainError


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
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            before = _current(connection)
            config = _config()
            config.attributes["connection"] = connection
            if before not in ("nothing", *_known()):
                raise SchemaUnknown(url=shown(url), found=before)
            command.upgrade(config, "head")
            return before, _current(connection)
    finally:
        engine.dispose()


def check(url: str) -> None:
    """Raises SchemaOutdated or SchemaUnknown unless the database has this program's shape."""
    engine = open_engine(url, read_only=True)
    try:
        with engine.connect() as connection:
            found = _current(connection)
    finally:
        engine.dispose()
    if found == _known()[0]:
        return
    if found == "nothing" or found in _known():
        raise SchemaOutdated(url=shown(url), found=found, needed=_known()[0])
    raise SchemaUnknown(url=shown(url), found=found)


def _current(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or "nothing"


def _known() -> list[str]:
    """Every step, the newest first."""
    return [step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
