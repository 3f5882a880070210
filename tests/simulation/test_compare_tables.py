"""Odd panels are repaired and said, or refused by their line; nothing odd passes in silence."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from simulation.compare.tables import Panel, read_table
from simulation.refusals import PanelInvalid, PanelUnreadable

HEADER = "date,community,category,count"
ROWS = [
    "2025-01-01,east,lift,1",
    "2025-01-01,east,water,2",
    "2025-01-02,east,lift,3",
    "2025-01-02,east,water,4",
]


def write(tmp_path: Path, *rows: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    path = tmp_path / "panel.csv"
    path.write_bytes(("\n".join([header, *rows]) + "\n").encode(encoding))
    return path


def said(panel: Panel) -> str:
    return " ".join(str(note) for note in panel.notes)


def test_a_plain_panel_is_read_as_it_stands(tmp_path: Path) -> None:
    panel = read_table(write(tmp_path, *ROWS))
    assert panel.communities == ("east",)
    assert panel.categories == ("lift", "water")
    assert panel.histories[0].counts.tolist() == [[1, 3], [2, 4], [3, 7]]
    assert panel.notes == ()


def test_the_order_of_rows_and_columns_does_not_matter(tmp_path: Path) -> None:
    plain = read_table(write(tmp_path, *ROWS))
    turned = [",".join(reversed(row.split(","))) for row in reversed(ROWS)]
    panel = read_table(write(tmp_path, *turned, header="count,category,community,date"))
    np.testing.assert_array_equal(panel.histories[0].counts, plain.histories[0].counts)
    assert "sorted" in said(panel)


def test_gaps_are_zero_and_said(tmp_path: Path) -> None:
    panel = read_table(write(tmp_path, ROWS[0], ROWS[3]))
    assert panel.histories[0].counts.tolist() == [[1, 0], [0, 4], [1, 4]]
    assert "taken as zero (2)" in said(panel)


def test_a_row_twice_counts_once_and_two_answers_are_refused(tmp_path: Path) -> None:
    panel = read_table(write(tmp_path, *ROWS, ROWS[1]))
    assert panel.histories[0].counts[1, 0] == 2
    assert "twice" in said(panel)
    assert "line 6" in said(panel)
    with pytest.raises(PanelInvalid, match=r"line 6: another count .* as line 3"):
        read_table(write(tmp_path, *ROWS, "2025-01-01,east,water,9"))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2025-01-02,east,lift,-3", "line 2: expected a whole count"),
        ("2025-01-02,east,lift,1000001", "line 2: expected a whole count"),
        ("2025-01-02,east,lift,1e99", "line 2: expected a whole count"),
        ("2025-01-02,east,lift,nan", "line 2: expected a whole count"),
        ("2025-01-02,east,lift,2.5", "line 2: expected a whole count"),
        ("2025-01-02,east,lift,", "line 2: expected a whole count"),
        ("2025-01-02,east,,1", "line 2: a category has"),
        ("2025-01-02,,lift,1", "line 2: a community has"),
        ("2025-01-32,east,lift,1", "line 2: expected a date"),
        ("soon,east,lift,1", "line 2: expected a date"),
        ("2025-01-02,east,lift", "line 2: expected 4 fields"),
        ("2025-01-02,east,lift,1,2", "line 2: expected 4 fields"),
        ("03/04/2025,east,lift,1", "line 2: .*day/month or month/day"),
        ("2025-01-02,ea\0st,lift,1", "line 2: a zero byte"),
    ],
)
def test_what_cannot_be_repaired_is_refused_by_its_line(
    tmp_path: Path, row: str, reason: str
) -> None:
    with pytest.raises(PanelInvalid, match=reason):
        read_table(write(tmp_path, row))


def test_dates_written_otherwise_are_understood_or_refused(tmp_path: Path) -> None:
    for rows in (["31/12/2024,a,x,1", "01/01/2025,a,x,2"], ["12/31/2024,a,x,1", "1/1/2025,a,x,2"]):
        panel = read_table(write(tmp_path, *rows))
        assert panel.histories[0].first_day.isoformat() == "2024-12-31"
        assert "dates read as" in said(panel)
    with pytest.raises(PanelInvalid, match="line 3: expected a date"):
        read_table(write(tmp_path, ROWS[0], "31/12/2024,a,x,1"))


def test_mixed_encodings_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "panel.csv"
    lines = [(HEADER, "utf-8-sig"), ("2025-01-01,春雨,电梯,1", "utf-8")]
    lines.append(("2025-01-02,春雨,电梯,2", "gb18030"))
    path.write_bytes(b"".join((text + "\r\n").encode(code) for text, code in lines))
    panel = read_table(path)
    assert panel.communities == ("春雨",)
    assert panel.categories == ("电梯",)
    assert "GB 18030" in said(panel)
    path.write_bytes(path.read_bytes() + b"2025-01-03,\xff\xff\xff,x,1\n")
    with pytest.raises(PanelInvalid, match="line 4: neither UTF-8 nor GB 18030"):
        read_table(path)
    with pytest.raises(PanelInvalid, match="UTF-16"):
        read_table(write(tmp_path, *ROWS, encoding="utf-16"))


def test_a_category_called_total_is_left_out(tmp_path: Path) -> None:
    panel = read_table(write(tmp_path, *ROWS, "2025-01-01,east,Total,3"))
    assert panel.categories == ("lift", "water")
    assert "total" in said(panel)


def test_blanks_quotes_and_points_are_put_right(tmp_path: Path) -> None:
    rows = [*ROWS, '2025-01-03," east ","lift",5.0', '2025-01-03,east,"wa, ter",1']
    panel = read_table(write(tmp_path, *rows))
    assert panel.communities == ("east",)
    assert panel.categories == ("lift", "wa, ter", "water")
    assert panel.histories[0].counts[0].tolist() == [1, 3, 5]


def test_files_that_are_no_panels(tmp_path: Path) -> None:
    with pytest.raises(PanelInvalid, match="missing: count"):
        read_table(write(tmp_path, header="date,community,category"))
    with pytest.raises(PanelInvalid, match="no rows"):
        read_table(write(tmp_path))
    with pytest.raises(PanelUnreadable):
        read_table(tmp_path / "nothing.csv")
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(("\n".join([HEADER, *ROWS])).encode())[:-12])
    with pytest.raises(PanelUnreadable, match="damaged"):
        read_table(broken)
