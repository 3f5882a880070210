"""A community with an elder, two neighbours and a clerk, on a real SQLite file."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.events import Event
from node.kernel.ids import derived_id
from node.residents import service as residents
from node.timebank.events import ExchangeConfirmed

ELDER, NEIGHBOUR, STRANGER, CLERK = (
    derived_id("timebank test", name) for name in ("elder", "neighbour", "stranger", "clerk")
)


class Heard:
    """Remembers the events that reactions would see."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, _session: object, _clock: object, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def database(tmp_path: Path, clock: VirtualClock, heard: Heard) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path}/node.db"
    engine = open_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    database = Database(url, clock=clock, reactions={ExchangeConfirmed: [heard]})
    for number, resident_id in enumerate((ELDER, NEIGHBOUR, STRANGER)):
        join(database, clock, resident_id=resident_id, number=number)
    yield database
    database.close()


def join(database: Database, clock: VirtualClock, *, resident_id: UUID, number: int) -> None:
    database.do(
        lambda session: residents.join(
            session, clock, resident_id=resident_id, name=f"R{number}", phone=f"1380000{number:04}"
        )
    )
