"""The real comparison, as a child process of its own, on a small history."""

import asyncio
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from node.forecast import comparison, counting, registry, rules, service
from node.forecast.panel import DayCount
from node.kernel.ids import new_id
from tests.node.web.client import ClientHouse, house_at

pytestmark = pytest.mark.processes


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    pytest.importorskip("torch", reason="the training extra is not installed")
    with house_at(tmp_path) as house:
        rows = [
            DayCount(date(2025, 1, 1) + timedelta(days=day), category, day % 7 // weight)
            for day in range(200)
            for category, weight in (("lift", 2), ("other", 3))
        ]
        house.database.do(lambda session: counting.import_history(session, rows))
        yield house


def test_the_child_judges_and_its_verdict_is_kept(house: ClientHouse) -> None:
    found = asyncio.run(comparison.compare(house, evaluation_id=new_id()))
    assert found.adopted in ("mean8", "local")
    with house.database.read() as session:
        latest = service.latest(session)
        assert latest is not None
        assert latest.id == found.id


def test_a_refusal_of_the_child_is_our_sentence(house: ClientHouse) -> None:
    folder = comparison.forecast_folder(house.settings.directory)
    sha256 = registry.keep_file(folder, b"no weights")
    house.database.do(lambda s: registry.record(s, house.clock, sha256=sha256, card_json="{}"))
    with pytest.raises(rules.EvaluationFailed):
        asyncio.run(comparison.compare(house, evaluation_id=new_id()))
    with house.database.read() as session:
        assert service.latest(session) is None
