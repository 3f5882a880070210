"""A community with its points prepared and two residents, on a real SQLite file."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.ids import derived_id
from node.points import service
from node.residents import service as residents

ELDER, NEIGHBOUR, CLERK = (derived_id("test", name) for name in ("elder", "neighbour", "clerk"))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def database(tmp_path: Path, clock: VirtualClock) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path}/node.db"
    engine = open_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    database = Database(url, clock=clock)
    database.do(lambda session: service.prepare(session, clock))
    for number, resident_id in enumerate((ELDER, NEIGHBOUR)):
        join(database, clock, resident_id=resident_id, number=number)
    yield database
    database.close()


def join(database: Database, clock: VirtualClock, *, resident_id: UUID, number: int) -> None:
    database.do(
        lambda session: residents.join(
            session, clock, resident_id=resident_id, name=f"R{number}", phone=f"1380000{number:04}"
        )
    )
