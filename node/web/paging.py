"""Keyset paging: each page costs the same however far it is from the first, and skips nothing.

    query = select(Ticket).where(…)
    found = page_of(session, query, [Ticket.created_at, Ticket.id], limit=limit, after=after)
    return found.as_json(ticket_as_json)

The key's last column must be unique. `next` is opaque to callers: they send it back as `after`.
Imports nothing of the web framework, so a slice's service.py may use it too.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from sqlalchemy import Select, TypeDecorator, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from node.kernel.errors import BadInput

T = TypeVar("T")
PAGE_ROWS_DEFAULT = 50
PAGE_ROWS_MAX = 200
CURSOR_CHARACTERS_MAX = 400
INTEGER_MAX = 2**63 - 1

PageRows = Annotated[int, msgspec.Meta(ge=1, le=PAGE_ROWS_MAX)]
Cursor = Annotated[str, msgspec.Meta(max_length=CURSOR_CHARACTERS_MAX)]
"""Types for a handler's `limit: FromQuery[PageRows]` and `after: FromQuery[Cursor | None]`."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, and where the next page begins; None where these were the last."""

    rows: Sequence[T]
    next: str | None

    def as_json(self, shown: Callable[[T], Any]) -> dict[str, Any]:
        """What every list of the API answers: the rows, each as `shown`, and where it goes on."""
        return {"data": [shown(row) for row in self.rows], "next": self.next}


def page_of(
    session: Session,
    query: Select[T],
    key: Sequence[InstrumentedAttribute[Any]],
    *,
    limit: int = PAGE_ROWS_DEFAULT,
    after: str | None = None,
    is_newest_first: bool = False,
) -> Page[T]:
    """The rows that follow `after` (a page's `next`) in the order of `key`, `limit` of them."""
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise BadInput(field="limit", problem=f"between 1 and {PAGE_ROWS_MAX}")
    if after is not None:
        start = tuple_(*(literal(value, column.type) for value, column in _read(after, key)))
        here = tuple_(*key)
        query = query.where(here < start if is_newest_first else here > start)
    order = [column.desc() if is_newest_first else column.asc() for column in key]
    rows = session.scalars(query.order_by(*order).limit(limit + 1)).all()
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], cursor(*(getattr(last, column.key) for column in key)))


def cursor(*key: Any) -> str:
    """The key of a page's last row as text for a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def _read(
    text: str, key: Sequence[InstrumentedAttribute[Any]]
) -> list[tuple[Any, InstrumentedAttribute[Any]]]:
    """The values a cursor was made of; a refusal for what never was one of ours."""
    wrong = BadInput(field="after", problem="send back the `next` of a page, unchanged")
    if len(text) > CURSOR_CHARACTERS_MAX:
        raise wrong
    kinds: Any = tuple[tuple(_kind(column) for column in key)]  # type: ignore[misc]  # a type as data
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        values = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=kinds)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise wrong from None
    if not all(_is_storable(value) for value in values):
        raise wrong
    return list(zip(values, key, strict=True))


def _is_storable(value: Any) -> bool:
    """A time without its zone, or a number that no column holds, was never a key of ours."""
    if isinstance(value, datetime):
        return value.tzinfo is not None
    return not isinstance(value, int) or abs(value) <= INTEGER_MAX


def _kind(column: InstrumentedAttribute[Any]) -> type[Any]:
    """The Python type of a column's values; of the plain type, where a Moment is around it."""
    own = column.type
    plain = own.impl_instance if isinstance(own, TypeDecorator) else own
    return plain.python_type
