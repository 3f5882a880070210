"""A house with every page and endpoint of repairs, and what happened in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.kernel.events import Event
from node.repairs import api, events, pages
from node.residents import pages as residents_pages
from tests.node.repairs.desk import Desk
from tests.node.web.client import ClientHouse, house_at

EVENTS = [
    kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
]


@pytest.fixture
def happened() -> list[Event]:
    return []


@pytest.fixture
def house(tmp_path: Path, happened: list[Event]) -> Iterator[ClientHouse]:
    def remember(_session: Any, _clock: Any, event: Event) -> None:
        happened.append(event)

    routes = [*api.routes, *pages.routes, *residents_pages.routes]
    reactions = {kind: [remember] for kind in EVENTS}
    with house_at(tmp_path, routes, [pages.card], reactions) as house:
        yield house


@pytest.fixture
def desk(house: ClientHouse) -> Desk:
    return Desk(house)
