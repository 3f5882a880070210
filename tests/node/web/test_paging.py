"""Pages by key: every row once, in order, whatever is added meanwhile."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from node.kernel.clock import VirtualClock
from node.kernel.db import Moment
from node.kernel.errors import BadInput
from node.kernel.ids import derived_id
from node.web.paging import PAGE_ROWS_MAX, Page, cursor, page_of

NOON = VirtualClock().now()


class Own(DeclarativeBase):
    type_annotation_map = {datetime: Moment()}  # noqa: RUF012 (SQLAlchemy's own form)


class Ticket(Own):
    __tablename__ = "ticket"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    opened_at: Mapped[datetime]


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    Own.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(ticket(number) for number in range(25))
        session.flush()
        yield session
    engine.dispose()


def ticket(number: int) -> Ticket:
    """Three of them were opened in each minute, so the time alone is no key."""
    opened_at = NOON + timedelta(minutes=number // 3)
    return Ticket(id=derived_id("ticket", number), opened_at=opened_at)


def page(session: Session, after: str | None, **options: bool) -> Page[Ticket]:
    key = [Ticket.opened_at, Ticket.id]
    return page_of(session, select(Ticket), key, limit=4, after=after, **options)


@pytest.mark.parametrize("is_newest_first", [False, True])
def test_every_row_comes_once_and_in_order(session: Session, is_newest_first: bool) -> None:
    seen, after, pages = [], None, 0
    while pages == 0 or after is not None:
        found = page(session, after, is_newest_first=is_newest_first)
        seen += [(row.opened_at, row.id) for row in found.rows]
        after, pages = found.next, pages + 1
        session.add(ticket(-1 - pages if not is_newest_first else 100 + pages))  # behind us
    assert pages == 7
    assert len(seen) == 25
    assert seen == sorted(seen, reverse=is_newest_first)


@pytest.mark.parametrize("limit", [0, PAGE_ROWS_MAX + 1])
def test_a_page_has_its_limit(session: Session, limit: int) -> None:
    with pytest.raises(BadInput):
        page_of(session, select(Ticket), [Ticket.id], limit=limit)


@pytest.mark.parametrize("key", [("2026-01-01T00:00:00", ticket(1).id), (NOON, 2**70), (NOON,)])
def test_what_no_column_holds_is_refused(session: Session, key: tuple[object, ...]) -> None:
    with pytest.raises(BadInput):
        page(session, cursor(*key))


@given(after=st.text(max_size=600) | st.tuples(st.text() | st.integers()).map(lambda k: cursor(*k)))
def test_what_is_no_cursor_is_refused(after: str) -> None:
    engine = create_engine("sqlite://")
    with Session(engine) as session, pytest.raises(BadInput):
        page(session, after)
