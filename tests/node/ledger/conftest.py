"""Books with four purses, on each kind of database."""

from collections.abc import Iterator

import pytest

from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.ledger import service as ledger
from node.ledger.model import Unit
from tests.node.ledger.purses import ELDER, HELPER, POINTS, SHOP


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def database(database_url: str, clock: VirtualClock) -> Iterator[Database]:
    engine = open_engine(database_url)
    Base.metadata.create_all(engine)
    engine.dispose()
    database = Database(database_url, clock=clock)
    for account_id, unit, floor in (
        (ELDER, Unit.MINUTES, -100),
        (HELPER, Unit.MINUTES, 0),
        (POINTS, Unit.POINTS, -1_000),
        (SHOP, Unit.POINTS, 0),
    ):
        database.do(
            lambda session, account_id=account_id, unit=unit, floor=floor: ledger.open_account(  # type: ignore[misc]  # defaults bind the loop's values
                session, account_id=account_id, unit=unit, kind="test", owner="test", floor=floor
            )
        )
    yield database
    database.close()
