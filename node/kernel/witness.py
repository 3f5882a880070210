"""Who stands behind a command: noted in the command's own transaction, or neither happens.

Whoever lets people in (a request, a command line) sets `witness` for its own context; db.py calls
it in the writer's transaction, after each command that was handed in from that context.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from sqlalchemy.orm import Session

T = TypeVar("T")
Witness = Callable[[Session], None]

witness: ContextVar[Witness | None] = ContextVar("linli.witness", default=None)


def witnessed(command: Callable[[Session], T]) -> Callable[[Session], T]:
    """The command, and after it what this context's witness writes down about it."""
    look = witness.get()
    if look is None:
        return command

    def command_and_note(session: Session) -> T:
        result = command(session)
        look(session)
        return result

    return command_and_note


@contextmanager
def witness_is(look: Witness) -> Iterator[None]:
    """Let `look` be the witness of all that is handed in meanwhile."""
    token = witness.set(look)
    try:
        yield
    finally:
        witness.reset(token)
