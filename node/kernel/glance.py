"""Small reads that pages make thousands of times a second, past all of a session's ceremony.

For the few that every request asks: who is calling, which rows are on this page. Each thread keeps
one connection for them, and every glance sees what was committed when it looked. What was found
may be `kept`: SQLite says with one number whether anybody has committed since.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, event

from node.kernel.db import Database
from node.kernel.statements import POSTGRESQL, Found, Prepared

T = TypeVar("T")
KEPT_MAX = 2_000  # answers a thread remembers between two commits
_ANSWERS = "linli.answers"

_threads = threading.local()
_lock = threading.Lock()
_opened: dict[int, list[Connection]] = {}  # by engine: every thread's, to be closed with it


def glance(database: Database, asked: Prepared, **values: Any) -> Found:
    """All rows that the statement finds; once more on a new connection if the first was lost."""
    engine = database.reader_engine
    connection = _connection(engine)
    try:
        return _rows(connection, asked, values)
    except Exception:  # a server that was restarted, say
        _forget(engine, connection)
        return _rows(_connection(engine), asked, values)


def kept(database: Database, key: Hashable, make: Callable[[], T]) -> T:
    """What `make` returns, or what it returned for this key, if nobody has committed since.

    The number is read before `make` looks, so an answer is never older than it. PostgreSQL has no
    such number: there every question is asked anew.
    """
    connection = _connection(database.reader_engine)
    if connection.dialect.name == POSTGRESQL:
        return make()
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA data_version")
    [version] = cursor.fetchone() or [None]
    cursor.close()
    known = connection.info.get(_ANSWERS)
    if known is None or known[0] != version:
        known = connection.info[_ANSWERS] = (version, {})
    answers: dict[Hashable, T] = known[1]
    if key in answers:
        return answers[key]
    made = make()
    if len(answers) < KEPT_MAX:
        answers[key] = made
    return made


def _rows(connection: Connection, asked: Prepared, values: dict[str, Any]) -> Found:
    try:
        return asked.rows(connection, **values)
    finally:
        if connection.dialect.name == POSTGRESQL:  # else it keeps the snapshot of its first look
            connection.connection.rollback()


def _connection(engine: Engine) -> Connection:
    kept: dict[int, Connection] = _threads.__dict__.setdefault("kept", {})
    found = kept.get(id(engine))
    if found is None or found.closed:
        found = kept[id(engine)] = engine.connect()
        with _lock:
            if id(engine) not in _opened:
                _opened[id(engine)] = []
                event.listen(engine, "engine_disposed", _close, once=True)
            _opened[id(engine)].append(found)
    return found


def _forget(engine: Engine, connection: Connection) -> None:
    connection.invalidate()
    connection.close()
    _threads.__dict__.get("kept", {}).pop(id(engine), None)


def _close(engine: Engine) -> None:
    """The database is closed: let go of what the threads kept."""
    with _lock:
        for connection in _opened.pop(id(engine), []):
            if not connection.closed:
                connection.invalidate()
                connection.close()
