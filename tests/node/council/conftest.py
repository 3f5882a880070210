"""A community of five voters and a child, on a real SQLite file, and a clock that we turn."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from node.council.events import MotionCarried, MotionClosed, MotionProposed, VotingClosing
from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.events import Event
from node.kernel.ids import derived_id
from node.residents import service as residents

VOTERS = [derived_id("council test", number) for number in range(5)]
CHILD, SECRETARY = derived_id("council test", "child"), derived_id("council test", "secretary")


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
    kinds = (MotionProposed, MotionCarried, MotionClosed, VotingClosing)
    database = Database(url, clock=clock, reactions={kind: [heard] for kind in kinds})
    people = [(voter, 1946 if number else None) for number, voter in enumerate(VOTERS)]
    for number, (resident_id, birth_year) in enumerate([*people, (CHILD, 2015)]):
        join(database, clock, resident_id, number, birth_year)
    yield database
    database.close()


def join(
    database: Database,
    clock: VirtualClock,
    resident_id: UUID,
    number: int,
    birth_year: int | None,
) -> None:
    database.do(
        lambda session: residents.join(
            session,
            clock,
            resident_id=resident_id,
            name=f"R{number}",
            phone=f"1380000{number:04}",
            birth_year=birth_year,
        )
    )
