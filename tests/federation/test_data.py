"""Windows know nothing of the future, and an odd export is refused by line."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from federation.data import (
    FEATURES,
    HORIZON_DAYS,
    LOOKBACK_DAYS,
    TOTAL,
    History,
    build_windows,
    load_export,
    training_origins,
)
from federation.errors import ExportInvalid, ExportUnreadable, HistoryTooShort
from tests.federation.conftest import CATEGORIES, FIRST_DAY, WriteExport


def test_an_export_becomes_series_and_their_total(write_export: WriteExport) -> None:
    history = load_export(write_export(days=90))
    assert history.series == (*CATEGORIES, TOTAL)
    assert history.counts.shape == (4, 90)
    assert history.first_day == FIRST_DAY
    assert (history.counts[-1] == history.counts[:-1].sum(axis=0)).all()


@pytest.mark.parametrize("origin", [LOOKBACK_DAYS - 1, 60, 181, 400, 600])
def test_a_window_does_not_change_when_the_future_does(
    write_export: WriteExport, origin: int
) -> None:
    history = load_export(write_export(days=700))
    other = History(history.first_day, history.series, history.counts.copy())
    other.counts[:, origin + 1 :] += 1000
    origins = np.array([origin])
    before = build_windows(history, origins, with_targets=False)
    after = build_windows(other, origins, with_targets=False)
    assert (before.features == after.features).all()
    assert (before.level == after.level).all()
    assert (before.same_weekday == after.same_weekday).all()


def test_a_window_is_the_same_in_a_history_that_ends_at_its_origin(
    write_export: WriteExport,
) -> None:
    history = load_export(write_export(days=500))
    origins = np.array([449])
    whole = build_windows(history, origins, with_targets=False)
    cut = build_windows(history.until(450), origins, with_targets=False)
    np.testing.assert_array_equal(whole.features, cut.features)


def test_training_targets_end_with_the_history(write_export: WriteExport) -> None:
    history = load_export(write_export(days=100))
    origins = training_origins(history)
    windows = build_windows(history, origins, with_targets=True)
    assert windows.features.shape == (4 * len(origins), FEATURES)
    assert windows.targets.shape == (4 * len(origins), HORIZON_DAYS)
    last = windows.targets.reshape(4, len(origins), HORIZON_DAYS)[:, -1]
    np.testing.assert_array_equal(last, history.counts[:, -HORIZON_DAYS:])


def test_the_same_weekday_mean_is_of_the_target_weekday() -> None:
    counts = np.tile(np.arange(7, dtype=np.float32), 20)[None].repeat(2, axis=0)
    history = History(date(2024, 1, 1), ("only", TOTAL), counts)
    windows = build_windows(history, np.array([100]), with_targets=True)
    np.testing.assert_allclose(windows.same_weekday, windows.targets)


def test_sixty_days_are_enough_and_fewer_are_not(write_export: WriteExport) -> None:
    history = load_export(write_export(days=60))
    windows = build_windows(history, training_origins(history), with_targets=True)
    assert np.isfinite(windows.features).all()
    with pytest.raises(HistoryTooShort):
        load_export(write_export(days=59))


HEAD = "date,category,count\n"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", 1),
        ("day,kind,n\n", 1),
        (HEAD + "yesterday,lift,1\n" * 2, 3),
        (HEAD + "2024-01-01,lift\n", 2),
        (HEAD + "2024-01-01,total,1\n", 2),
        (HEAD + "2024-01-01,water,1\n2024-01-01,lift,1\n", 3),
        (HEAD + "2024-01-01,lift,1\n2024-01-03,lift,1\n", 3),
        (HEAD + "2024-01-01,lift,1\n2024-01-02,light,1\n", 3),
        (HEAD + "2024-01-01,lift,-1\n", 2),
        (HEAD + "2024-01-01,lift,1.5\n", 2),
        (HEAD + "2024-01-01,lift,99999999\n", 2),
        (HEAD + "2024-01-01,lift,1,secret\n", 2),
        (HEAD + "2024-01-01,a,1\n2024-01-01,b,1\n2024-01-02,a,1\n", 4),
    ],
)
def test_an_odd_export_is_refused_by_line(tmp_path: Path, content: str, line: int) -> None:
    path = tmp_path / "export.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ExportInvalid) as refusal:
        load_export(path, days_min=1)
    assert refusal.value.details["line"] == line


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportUnreadable):
        load_export(tmp_path / "missing.csv")
    with pytest.raises(ExportUnreadable):
        load_export(tmp_path)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ExportUnreadable):
        load_export(tmp_path / "binary.csv")
