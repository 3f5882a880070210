"""Panels: what a district can be made of, and each way in which a file cannot."""

import gzip
from datetime import date
from pathlib import Path

import pytest

from simulation.panel import Row, read_panel, write_panel
from simulation.refusals import PanelInvalid, PanelUnreadable, TooFewCommunities


def rows(*communities: str) -> list[Row]:
    days = (date(2024, 1, 1), date(2024, 1, 2))
    return [(day, name, "lift", 3) for day in days for name in communities]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "panel.csv"


def test_the_first_four_communities_by_name_take_part(file: Path) -> None:
    write_panel(file, rows("echo", "delta", "alpha", "charlie", "bravo"))
    panel = read_panel(file)
    assert panel.communities == ("alpha", "bravo", "charlie", "delta")
    assert (panel.communities_in_file, panel.rows) == (5, 10)
    assert (panel.first_day, panel.last_day) == (date(2024, 1, 1), date(2024, 1, 2))
    assert panel.label == "panel.csv"


def test_packed_files_and_other_orders_of_columns_are_read(tmp_path: Path) -> None:
    packed = tmp_path / "panel.csv.gz"
    lines = ["count,category,community,date"]
    lines += [f"{number},lift,c{number},2024-01-01" for number in range(4)]
    packed.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert read_panel(packed).communities == ("c0", "c1", "c2", "c3")


def test_a_generated_panel_says_so(file: Path) -> None:
    write_panel(file, rows("a", "b", "c", "d"))
    assert read_panel(file, seed=3).label == "generated from seed 3, not real people"


def test_fewer_than_four_communities_are_refused(file: Path) -> None:
    write_panel(file, rows("a", "b", "c"))
    with pytest.raises(TooFewCommunities, match="has 3 communities; a district needs 4"):
        read_panel(file)


def test_missing_columns_are_named(file: Path) -> None:
    file.write_text("date,place,category,count\n2024-01-01,a,lift,1\n")
    with pytest.raises(PanelInvalid, match=r"line 1: .* missing: community"):
        read_panel(file)


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
    file.write_text(f"date,community,category,count\n2024-01-01,a,lift,1\n{line}\n")
    with pytest.raises(PanelInvalid, match="line 3"):
        read_panel(file)


def test_what_is_no_file_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PanelUnreadable, match="No such file"):
        read_panel(tmp_path / "absent.csv")
    binary, cut = tmp_path / "panel.bin", tmp_path / "panel.csv.gz"
    binary.write_bytes(b"\xff\xfe\x00\x81" * 100)
    cut.write_bytes(gzip.compress(b"date,community,category,count\n" * 1000)[:40])
    for path in (binary, cut, tmp_path):
        with pytest.raises(PanelUnreadable):
            read_panel(path)
