"""What may leave is drawn once, from an exact sampler, and no exact count can change it after."""

import math
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.forecast import counting, exporting, noise, rules
from node.forecast.model import DailyCount, NoisedCell, WeeklyRequests
from node.forecast.noise import Terms, two_sided
from node.forecast.panel import DayCount
from node.kernel.ids import new_id
from tests.node.forecast.test_service import Reported
from tests.node.web.client import ClientHouse, house_at

START, DAYS = date(2025, 6, 1), 150
CATEGORIES = ("lift", "other", "water_power")
DRAWS = 20_000


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path) as house:
        yield house


def settle(house: ClientHouse, counts: int = 2) -> exporting.Exports:
    """A community whose operator brought a history and said so in public."""
    rows = [
        DayCount(START + timedelta(days=day), category, counts)
        for day in range(DAYS)
        for category in CATEGORIES[:2]
    ]
    terms = exporting.terms_of(house.settings, CATEGORIES)

    def take_over(session: Session) -> None:
        last = START + timedelta(days=DAYS - 1)
        noise.declare(session, house.clock, first_day=START, last_day=last, terms=terms)
        counting.import_history(session, rows)

    house.database.do(take_over)
    return exporting.refresh(house)


def cells(house: ClientHouse) -> dict[tuple[date, str], int]:
    with house.database.read() as session:
        return {(one.date, one.category): one.value for one in session.scalars(select(NoisedCell))}


@pytest.mark.parametrize("epsilon", ["1/2", "1", "2", "13/10"])
def test_the_sampler_gives_the_distribution_it_promises(epsilon: str) -> None:
    """Chi-square over -6..6 and both tails; a seeded source, so it never fails by chance."""
    exact, below = Fraction(epsilon), random.Random(7).randrange  # noqa: S311 (repeatable)
    found = Counter(max(-7, min(7, two_sided(exact, below))) for _ in range(DRAWS))
    kept = math.exp(-float(exact))
    expected = {x: (1 - kept) / (1 + kept) * kept ** abs(x) for x in range(-6, 7)}
    tail = kept**7 / (1 + kept)
    expected |= {-7: tail, 7: tail}
    assert sum(expected.values()) == pytest.approx(1)
    likely = {x: share * DRAWS for x, share in expected.items() if share * DRAWS >= 5}
    distance = sum((found[x] - mean) ** 2 / mean for x, mean in likely.items())
    freedom = len(likely) - 1
    assert distance < freedom + 4 * math.sqrt(2 * freedom)


def test_a_decimal_is_taken_as_it_is_written() -> None:
    terms = Terms.of(epsilon=0.1, weekly_limit=3, categories=("b", "a", "b"))
    assert (terms.epsilon, terms.categories) == (Fraction(1, 10), ("a", "b"))


def test_the_training_file_holds_noised_cells_alone(house: ClientHouse) -> None:
    files = settle(house)
    found = cells(house)
    assert len(found) == DAYS * len(CATEGORIES)  # zeros and unused categories included
    first_line, header, *lines = files.training.read_text().splitlines()
    assert first_line == '# two-sided geometric noise {"epsilon": "1", "weekly_limit": 3}'
    assert header == "date,category,count"
    assert files.training_days is not None
    assert files.training_days[1] == START + timedelta(days=DAYS - 1 - 56)
    for line in lines:
        day, category, value = line.split(",")
        assert found[date.fromisoformat(day), category] == int(value)
    assert min(found.values()) < 0  # nothing was cut off at zero
    assert files.full.parent != files.training.parent
    assert [path.name for path in files.training.parent.iterdir()] == ["training.csv"]


def test_exact_counts_cannot_change_what_leaves(house: ClientHouse, tmp_path: Path) -> None:
    """Two databases with the same cells and other counts: the same bytes, however often made."""
    before = settle(house).training.read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    house.database.close()
    shutil.copytree(tmp_path, other, ignore=lambda *_: ["other"], dirs_exist_ok=True)
    for folder, counts in ((tmp_path, 9), (other, 0)):
        with house_at(folder) as again:
            rows = [
                DayCount(START + timedelta(days=day), category, counts + day)
                for day in range(DAYS)
                for category in (*CATEGORIES, "garden")
            ]
            again.database.do(partial(counting.import_history, rows=rows))
            files = exporting.refresh(again)
            assert files.training.read_bytes() == before
            files.training.unlink()  # as after a new installation over the same database
            assert exporting.refresh(again).training.read_bytes() == before


def test_a_day_is_noised_when_it_is_over_and_never_again(house: ClientHouse) -> None:
    today = rules.local_day(house.clock.now())

    def report(session: Session) -> None:
        event = Reported("lift", house.clock.now())
        counting.count_request(session, house.clock, event)

    def refresh() -> None:
        with pytest.raises(rules.HistoryTooShort):  # there is little to forecast from as yet
            exporting.refresh(house, catalogue=["lift"])

    house.database.do(report)
    refresh()
    assert cells(house) == {}
    house.clock.advance(timedelta(days=1))
    refresh()
    first = cells(house)
    assert set(first) == {(today, "lift")}
    house.database.do(lambda s: setattr(s.get_one(DailyCount, (today, "lift")), "count", 50))
    house.clock.advance(timedelta(days=1))
    refresh()
    assert cells(house).items() >= first.items()


def test_more_than_three_requests_a_week_count_at_home_only(house: ClientHouse) -> None:
    settle(house)
    eager, other = new_id(), new_id()
    monday = house.clock.now() + timedelta(days=(7 - house.clock.now().weekday()) % 7)

    def report(session: Session) -> None:
        for days, who in ((0, eager), (1, eager), (2, eager), (2, eager), (6, eager), (2, other)):
            event = Reported("lift", monday + timedelta(days=days), who)
            counting.count_request(session, house.clock, event)

    house.database.do(report)
    with house.database.read() as session:
        query = select(func.sum(DailyCount.count), func.sum(DailyCount.over_limit))
        days = DailyCount.date >= rules.local_day(monday)
        assert session.execute(query.where(days)).one() == (6, 2)
    later = rules.local_day(monday + timedelta(days=30))
    house.database.do(lambda session: counting.forget_weeks(session, later))
    with house.database.read() as session:
        assert session.scalars(select(WeeklyRequests)).all() == []


def test_terms_stay_what_they_were_at_first(house: ClientHouse) -> None:
    settle(house)
    weaker = Terms.of(epsilon=9, weekly_limit=90, categories=("lift", "new"))

    def declare(session: Session) -> Terms:
        today = rules.local_day(house.clock.now())
        return noise.declare(session, house.clock, first_day=today, last_day=None, terms=weaker)

    assert house.database.do(declare) == Terms(Fraction(1), 3, CATEGORIES)


def test_cells_that_left_and_are_lost_are_not_drawn_again(tmp_path: Path) -> None:
    """A database from before the import, beside the export that was used since."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with house_at(tmp_path / "one") as house:
        made = settle(house).training
    with house_at(tmp_path / "two") as restored:
        restored.settings.exports.mkdir()
        shutil.copy(made, restored.settings.exports / made.name)
        with pytest.raises(rules.CellsLost, match="2025-06-01"):
            settle(restored)
        assert cells(restored) == {}


def test_a_day_that_was_missed_for_long_is_never_drawn(house: ClientHouse) -> None:
    """A restored database cannot tell such a day from one whose cells it has lost."""
    start = rules.local_day(house.clock.now())
    terms = exporting.terms_of(house.settings, CATEGORIES)
    house.database.do(
        lambda s: noise.declare(s, house.clock, first_day=start, last_day=None, terms=terms)
    )
    house.clock.advance(timedelta(days=100))
    house.database.do(lambda s: noise.freeze(s, house.clock, covered=None, days_max=1000))
    assert min(day for day, _ in cells(house)) == start + timedelta(days=100 - 56)


def test_exact_files_of_an_earlier_program_are_removed(house: ClientHouse) -> None:
    house.settings.exports.mkdir()
    for name in ("training.csv", "full.csv"):
        (house.settings.exports / name).write_text("date,category,count\n2025-01-01,lift,3\n")
    files = settle(house)
    assert files.training.read_text().startswith("# two-sided")
    assert not (house.settings.exports / "full.csv").exists()


def test_the_forecaster_reads_it_and_knows_the_noise(house: ClientHouse) -> None:
    data = pytest.importorskip("federation.data", reason="the training extra is not installed")
    found = data.load_export(settle(house).training)
    assert found.series == (*CATEGORIES, "total")
    assert found.noise_epsilon == 1
    assert found.noise_variance == pytest.approx(2 * math.exp(-1) / (1 - math.exp(-1)) ** 2)
    assert found.counts[:-1].min() < 0
