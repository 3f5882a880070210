"""Generated residents: the same seed is the same history, and it has what makes real ones hard."""

from collections import Counter
from datetime import date

from simulation import residents
from simulation.panel import Row

SATURDAY = 5


def rows_of(seed: int) -> list[Row]:
    return list(residents.generate(seed))


def test_the_same_seed_is_the_same_history() -> None:
    assert rows_of(7) == rows_of(7)
    assert rows_of(7) != rows_of(8)


def test_every_day_community_and_category_has_its_row_zeros_included() -> None:
    rows = rows_of(7)
    communities, categories = len(residents.COMMUNITIES), len(residents.CATEGORIES)
    assert len({row[:3] for row in rows}) == len(rows) == residents.DAYS * communities * categories
    assert min(count for *_, count in rows) == 0
    assert rows == sorted(rows, key=lambda row: row[:3])


def test_weekends_and_holidays_are_quiet() -> None:
    by_weekday: Counter[bool] = Counter()
    by_day: Counter[date] = Counter()
    for day, _, _, count in rows_of(7):
        by_weekday[day.weekday() >= SATURDAY] += count
        by_day[day] += count
    assert by_weekday[True] / 2 < 0.5 * by_weekday[False] / 5
    festival = [
        count for day, count in by_day.items() if date(2024, 2, 10) <= day <= date(2024, 2, 17)
    ]
    assert sum(festival) / len(festival) < 0.4 * sum(by_day.values()) / len(by_day)


def test_communities_differ_in_level_and_some_days_are_typed_in_at_once() -> None:
    totals: Counter[str] = Counter()
    by_place_and_day: Counter[tuple[str, date]] = Counter()
    for day, community, _, count in rows_of(7):
        totals[community] += count
        by_place_and_day[community, day] += count
    assert max(totals.values()) > 1.5 * min(totals.values())
    place = max(totals, key=lambda name: totals[name])
    highest = max(count for (name, _), count in by_place_and_day.items() if name == place)
    assert highest > 5 * totals[place] / residents.DAYS


def test_a_shorter_history_for_other_names() -> None:
    rows = list(residents.generate(1, communities=("one", "two"), days=10))
    assert {name for _, name, _, _ in rows} == {"one", "two"}
    assert max(day for day, *_ in rows) == date(2023, 1, 10)
