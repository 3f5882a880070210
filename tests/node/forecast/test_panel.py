"""A panel that does not fit is refused with its line and column, and nothing is taken from it."""

import gzip
from datetime import date
from pathlib import Path

import pytest

from node.forecast.panel import DayCount, read_panel
from node.kernel.errors import DomainError

HEADER = "date,community,category,count\n"
GOOD = HEADER + "2018-01-01,c01,lift,2\n2018-01-01,c01,other,0\n2018-01-01,c02,lift,9\n"


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_one_community_is_read_plain_or_packed(tmp_path: Path, pack: object) -> None:
    content = pack(GOOD.encode())  # type: ignore[operator]  # bytes and gzip.compress both take it
    path = write(tmp_path / "panel.csv", content)
    assert list(read_panel(path, "c01")) == [
        DayCount(date(2018, 1, 1), "lift", 2),
        DayCount(date(2018, 1, 1), "other", 0),
    ]


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "panel.csv", "\ufeff" + GOOD.replace("\n", "\r\n") + "\r\n")
    assert len(list(read_panel(path, "c01"))) == 2


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", "forecast.panel_columns", "nothing"),
        ("day,place,kind,n\n1,2,3,4\n", "forecast.panel_columns", "day, place, kind, n"),
        ("date,community,category\n", "forecast.panel_columns", "date, community, category"),
        (HEADER, "forecast.panel_empty", "no rows"),
        (GOOD.replace("c01", "c07"), "forecast.panel_unknown_community", "c02, c07"),
        (GOOD + "2018-01-02,c01,lift,-1\n", "forecast.panel_value", "line 5, column count"),
        (GOOD + "2018-01-02,c01,lift,1.5\n", "forecast.panel_value", "line 5, column count"),
        (GOOD + "2018-01-02,c01,lift,\n", "forecast.panel_value", "line 5, column count"),
        (GOOD + "2018-01-02,c01,lift,9999999\n", "forecast.panel_value", "line 5, column count"),
        (GOOD + "2018-01-02,c09,lift,x\n", "forecast.panel_value", "line 5, column count"),
        (GOOD + "2018-02-30,c01,lift,1\n", "forecast.panel_value", "line 5, column date"),
        (GOOD + "20180203,c01,lift,1\n", "forecast.panel_value", "line 5, column date"),
        (GOOD + "2018-01-02,c01,,1\n", "forecast.panel_value", "line 5, column category"),
        (GOOD + "2018-01-02,c01,total,1\n", "forecast.panel_value", "line 5, column category"),
        (GOOD + "2018-01-02,,lift,1\n", "forecast.panel_value", "line 5, column community"),
        (GOOD + "2018-01-02,c01,lift\n", "forecast.panel_value", "line 5"),
        (GOOD + "2018-01-01,c01,lift,3\n", "forecast.panel_duplicate", "line 5"),
        (GOOD + '2018-01-02,c01,"lift,1\n', "forecast.panel_unreadable", "line"),
        (GOOD + "x" * 20_000, "forecast.panel_unreadable", "endless"),
        (b"\xff\xfe\x00", "forecast.panel_unreadable", "UTF-8"),
        (gzip.compress(GOOD.encode(), mtime=0)[:-12], "forecast.panel_unreadable", "damaged"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, text: str | bytes, code: str, says: str
) -> None:
    path = write(tmp_path / "panel.csv", text)
    with pytest.raises(DomainError, match=says) as refusal:
        list(read_panel(path, "c01"))
    assert refusal.value.code == code


def test_a_missing_file_and_a_folder_are_sentences(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DomainError) as refusal:
            list(read_panel(path, "c01"))
        assert refusal.value.code == "forecast.panel_unreadable"
