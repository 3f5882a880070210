"""Counts in, two files out; and the forecast that earned its place is the one in use."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.forecast import counting, exporting, rules, service
from node.forecast.model import DailyCount
from node.forecast.panel import DayCount, read_panel
from node.kernel.errors import DomainError
from node.kernel.events import Event
from node.kernel.ids import derived_id, new_id
from tests.node.forecast.answer import answer
from tests.node.web.client import ClientHouse, house_at


@dataclass(frozen=True)
class Reported(Event):
    """An event in the shape of RepairReported; the slices do not know each other."""

    category: str
    reported_at: datetime
    reporter_id: UUID = field(default_factory=new_id)


START = date(2024, 1, 1)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path) as house:
        yield house


def history(days: int, *, start: date = START) -> list[DayCount]:
    return [
        DayCount(start + timedelta(days=day), category, day % 3)
        for day in range(days)
        for category in ("lift", "other")
        if day % 3  # a panel may leave its zeros out
    ]


def exports(house: ClientHouse) -> exporting.Exports:
    with house.database.read() as session:
        return exporting.write_exports(session, house.clock, house.settings)


def test_importing_again_changes_nothing(house: ClientHouse) -> None:
    for _ in range(2):
        assert house.database.do(lambda s: counting.import_history(s, history(150))) == 200
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(DailyCount)) == 200


def test_a_broken_panel_leaves_nothing_behind(house: ClientHouse, tmp_path: Path) -> None:
    panel = tmp_path / "panel.csv"
    panel.write_text("date,community,category,count\n2018-01-01,c01,lift,2\n2018-01-02,c01,x,-1\n")
    with pytest.raises(DomainError, match="line 3"):
        house.database.do(lambda s: counting.import_history(s, read_panel(panel, "c01")))
    with house.database.read() as session:
        assert counting.history_days(session) is None


def test_the_full_export_holds_every_day(house: ClientHouse) -> None:
    house.database.do(lambda s: counting.import_history(s, history(150)))
    files = exports(house)
    lines = files.full.read_text().splitlines()
    assert lines[:3] == ["date,category,count", "2024-01-02,lift,1", "2024-01-02,other,1"]
    assert len(lines) == 1 + 2 * 149  # day 0 was silent, the silent days between are zeros
    assert "2024-01-04,lift,0" in lines
    assert not files.training.exists()  # nobody said in public which days are counted


def test_today_and_a_long_silence_stay_out(house: ClientHouse) -> None:
    house.database.do(lambda s: counting.import_history(s, history(150)))
    now = house.clock.now()

    def report(session: Session) -> None:
        for back in (0, 0, 1):
            reported_at = now - timedelta(days=back)
            counting.count_request(session, house.clock, Reported("lift", reported_at))

    house.database.do(report)
    assert exports(house).last_day == START + timedelta(days=149)
    with house.database.read() as session:
        assert session.get_one(DailyCount, (rules.local_day(now), "lift")).count == 2


def test_a_short_history_is_a_sentence(house: ClientHouse) -> None:
    house.database.do(lambda s: counting.import_history(s, history(40)))
    with pytest.raises(rules.HistoryTooShort):
        exports(house)


def test_the_real_panel_if_it_is_here(house: ClientHouse) -> None:
    panel = Path(__file__).parents[4] / "shared" / "data" / "nyc_council_panel_2015_2018.csv.gz"
    if not panel.is_file():
        pytest.skip("the real panel does not lie beside this checkout")
    with gzip.open(panel, "rt") as lines:
        community = lines.readlines()[1].split(",")[1]
    rows = house.database.do(lambda s: counting.import_history(s, read_panel(panel, community)))
    assert rows == 1461 * 6
    assert exports(house).last_day == date(2018, 12, 31)


def test_the_latest_judgement_counts(house: ClientHouse) -> None:
    for number, adopted in enumerate(("mean8", "federated")):
        record = partial(
            service.record_evaluation,
            clock=house.clock,
            evaluation_id=derived_id("evaluation", number),
            result=answer(adopted),
        )
        for _ in range(2):  # the same again is the same
            house.database.do(record)
        house.clock.advance(timedelta(days=1))
    with house.database.read() as session:
        found = service.latest(session)
        assert found is not None
        assert found.adopted == "federated"


@pytest.mark.parametrize(
    "change",
    [
        {"arms": {}},
        {"arms": {"mean8": None}},
        {"adopted": "local", "arms": {"mean8": {"total_mae": 1.0, "bias": 0.0}, "local": None}},
        {"adopted": "best"},
        {"days": [1]},
        {"days": None},
    ],
)
def test_an_answer_that_cannot_be_shown_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(rules.EvaluationUnusable):
        rules.check_evaluation(answer("mean8") | change)


def test_invented_categories_cannot_widen_the_history(house: ClientHouse) -> None:
    def report(session: Session) -> None:
        for number in range(rules.LIVE_CATEGORIES_MAX + 20):
            event = Reported(f"made-up {number}", house.clock.now())
            counting.count_request(session, house.clock, event)

    house.database.do(report)
    with house.database.read() as session:
        found = session.scalars(select(DailyCount.category).distinct()).all()
        assert len(found) == rules.LIVE_CATEGORIES_MAX + 1
        today = rules.local_day(house.clock.now())
        assert session.get_one(DailyCount, (today, rules.OTHER)).count == 20
