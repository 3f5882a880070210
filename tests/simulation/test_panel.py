"""Panels: what a district can be made of, and each way in which a file cannot."""

import gzip
from datetime import date, timedelta
from pathlib import Path

import pytest

from node.kernel.errors import DomainError
from simulation.panel import DAYS_NEEDED, Row, read_panel, write_panel
from simulation.refusals import HistoryTooShort, TooFewCommunities

FIRST = date(2024, 1, 1)


def rows(*communities: str, days: int = DAYS_NEEDED) -> list[Row]:
    every = (FIRST + timedelta(days=day) for day in range(days))
    return [(day, name, "lift", 3) for day in every for name in communities]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "panel.csv"


def test_the_first_four_communities_by_name_take_part(file: Path) -> None:
    write_panel(file, rows("echo", "delta", "alpha", "charlie", "bravo"))
    panel = read_panel(file)
    assert panel.communities == ("alpha", "bravo", "charlie", "delta")
    assert panel.communities_in_file == 5
    assert (panel.last_day - panel.first_day).days + 1 == DAYS_NEEDED
    assert panel.label == "panel.csv"


def test_packed_files_and_names_of_any_script_are_read(file: Path, tmp_path: Path) -> None:
    write_panel(file, rows("东园", "西园", "南园", "北园"))
    packed = tmp_path / "panel.csv.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert set(read_panel(packed).communities) == {"东园", "西园", "南园", "北园"}


def test_a_generated_panel_says_so(file: Path) -> None:
    write_panel(file, rows("a", "b", "c", "d"))
    assert read_panel(file, seed=3).label == "generated from seed 3, not real people"


def test_fewer_than_four_communities_are_refused(file: Path) -> None:
    write_panel(file, rows("a", "b", "c"))
    with pytest.raises(TooFewCommunities, match="has 3 communities; a district needs 4"):
        read_panel(file)


def test_a_history_too_short_to_judge_is_refused(file: Path) -> None:
    write_panel(file, rows("a", "b", "c", "d", days=DAYS_NEEDED - 1))
    with pytest.raises(HistoryTooShort, match=f"{DAYS_NEEDED - 1} days of a"):
        read_panel(file)


def test_missing_columns_are_refused_however_few_rows_there_are(file: Path) -> None:
    file.write_text("date,place,category,count\n2024-01-01,a,lift,1\n")
    assert refusal(file).code == "forecast.panel_columns"


@pytest.mark.parametrize(
    "line",
    [
        "2024-13-01,a,lift,1",
        "2024-01-01,a,lift,-1",
        "2024-01-01,a,lift,many",
        "2024-01-01,,lift,1",
        "2024-01-01,a,lift",
    ],
)
def test_a_bad_line_is_named(file: Path, line: str) -> None:
    write_panel(file, rows("a", "b", "c", "d"))
    file.write_text(f"{file.read_text()}{line}\n")
    found = refusal(file)
    assert found.code == "forecast.panel_value"
    assert f"line {4 * DAYS_NEEDED + 2}" in str(found)


def test_a_row_that_stands_there_twice_is_refused(file: Path) -> None:
    write_panel(file, [*rows("a", "b", "c", "d"), (FIRST, "d", "lift", 4)])
    assert refusal(file).code == "forecast.panel_duplicate"


def test_what_is_no_file_or_no_text_is_refused(tmp_path: Path) -> None:
    binary, cut = tmp_path / "panel.bin", tmp_path / "panel.csv.gz"
    binary.write_bytes(b"\xff\xfe\x00\x81" * 100)
    cut.write_bytes(gzip.compress(b"date,community,category,count\n" * 1000)[:40])
    for path in (tmp_path / "absent.csv", binary, cut, tmp_path):
        assert refusal(path).code == "forecast.panel_unreadable"


def refusal(path: Path) -> DomainError:
    with pytest.raises(DomainError) as found:
        read_panel(path)
    return found.value
