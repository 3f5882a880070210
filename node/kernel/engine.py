"""How a database is opened: what SQLite and PostgreSQL are each told before a node uses them."""

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url

from node.kernel import rows
from node.kernel.errors import DomainError
from node.kernel.statements import in_one_go

BUSY_TIMEOUT_MS = 10_000  # how long one process waits for another's write lock
CACHE_KIB = 65_536  # of SQLite's pages for the writer; the default of 2 MiB holds no index
READER_CACHE_KIB = 8_192  # the same for each reader, of which there are several
CHECKPOINT_PAGES = 16_384  # 64 MiB of log, so that a page that changes often is copied back once
WRITER_LOCK = 0x6C696E6C69  # PostgreSQL's advisory lock, held by the one who writes: "linli"


class DatabaseUnusable(DomainError):
    code = "kernel.database_unusable"
    message = "The database {url} cannot be used: {problem}"


def open_engine(url: str, *, read_only: bool = False) -> Engine:
    """An engine set up the way a node needs it; raises DatabaseUnusable with a sentence."""
    try:
        # A server may have been restarted since a connection was last used; a file is always there.
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    except Exception as problem:
        raise DatabaseUnusable(url=shown(url), problem=str(problem).splitlines()[0]) from problem
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, read_only=read_only)
    elif engine.dialect.name == "postgresql":
        if read_only:
            engine = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        else:
            _take_turns(engine)
    else:
        raise DatabaseUnusable(
            url=shown(url), problem="use sqlite:///FILE or postgresql+psycopg://"
        )
    if not read_only:
        rows.watch(engine)
    try:
        engine.connect().close()
    except Exception as problem:
        raise DatabaseUnusable(url=shown(url), problem=str(problem).splitlines()[0]) from problem
    return engine


def shown(url: str) -> str:
    """The URL without its password, for messages."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except Exception:
        return "(not a database URL)"


def _prepare_sqlite(engine: Engine, *, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA cache_size=-{READER_CACHE_KIB if read_only else CACHE_KIB}")
        cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def say_begin(connection: Connection) -> None:
        # Straight to the driver: SQLAlchemy's way costs a single command as much as the command.
        begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
        connection.connection.cursor().execute(begin)


def _take_turns(engine: Engine) -> None:
    """One writer at a time on PostgreSQL too, whatever process it is in."""

    @event.listens_for(engine, "begin")
    def take_turn(connection: Connection) -> None:
        with in_one_go(connection):  # with the driver's own BEGIN
            connection.connection.cursor().execute(
                f"SELECT set_config('lock_timeout', '{BUSY_TIMEOUT_MS}', true), "
                f"pg_advisory_xact_lock({WRITER_LOCK})"
            )
