"""`linli-sim demo` refuses what cannot work before anything is started."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.demo import MARK, run_folder, shortfalls
from simulation.district import ids_of
from simulation.refusals import OutUnusable
from tests.simulation import example

COMMAND_SECONDS_MAX = 60


def demo(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "linli-sim"), "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        cwd=cwd,
        check=False,
    )


def test_bad_panels_end_with_a_sentence_a_code_and_status_2(tmp_path: Path) -> None:
    columns, few = tmp_path / "columns.csv", tmp_path / "few.csv.gz"
    columns.write_text("day,count\n2024-01-01,1\n")
    few.write_bytes(gzip.compress(b"date,community,category,count\n2024-01-01,a,lift,1\n"))
    for file, code in (
        (columns, "forecast.panel_columns"),
        (few, "simulation.too_few_communities"),
        (tmp_path / "absent.csv", "forecast.panel_unreadable"),
    ):
        refused = demo("--panel", str(file), "--out", "out", cwd=tmp_path)
        assert refused.returncode == 2
        assert code in refused.stderr
        assert "Traceback" not in refused.stderr
        assert refused.stdout == ""
        assert not list((tmp_path / "out").glob("district/*.sqlite"))


def test_without_the_extra_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    """As in an installation that has a node's packages only: the others are hidden from Python."""
    hiding = (
        "import sys, importlib.util\n"
        "seek = importlib.util.find_spec\n"
        "hidden = ('numba', 'torch')\n"
        "importlib.util.find_spec = lambda name: None if name in hidden else seek(name)\n"
        "sys.modules['numba'] = sys.modules['torch'] = None\n"
        "from simulation.cli import main\n"
        "main()\n"
    )
    refused = subprocess.run(
        [sys.executable, "-c", hiding, "compare", "--panel", "x.csv"],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert refused.returncode == 2
    assert refused.stdout == ""
    (sentence,) = refused.stderr.splitlines()
    assert "pip install 'linli[simulation]'" in sentence
    assert "numba, torch" in sentence
    assert sentence.endswith("(simulation.not_installed)")


def test_a_folder_that_is_not_ours_is_never_removed(tmp_path: Path) -> None:
    theirs = tmp_path / "district" / "letters.txt"
    theirs.parent.mkdir()
    theirs.write_text("dear")
    with pytest.raises(OutUnusable, match="not made by linli-sim"), run_folder(tmp_path):
        pass
    assert theirs.read_text() == "dear"


def test_our_own_folder_is_made_anew_and_belongs_to_one_run_at_a_time(tmp_path: Path) -> None:
    for _ in range(2):
        with run_folder(tmp_path) as home:
            assert [path.name for path in home.iterdir()] == [MARK]
            (home / "old").touch()
            with pytest.raises(OutUnusable, match="another run"), run_folder(tmp_path):
                pass


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(OutUnusable), run_folder(tmp_path / "out"):
        pass


def test_a_good_run_has_no_shortfall_and_every_broken_promise_is_named() -> None:
    summary = example.summary()
    assert shortfalls(summary, rounds=2) == []
    assert shortfalls(summary, rounds=3) == ["3 rounds of training"]
    summary["settlement"]["sum"] = 5
    summary["audit"]["alpha"]["ok"] = False
    summary["redemption"]["recovered"] = False
    assert shortfalls(summary, rounds=2) == [
        "the redemption captured",
        "a sum of zero on the chain",
        "every audit",
    ]


def test_ids_are_plain_and_distinct() -> None:
    assert ids_of(["NYCC01", "East Side", "东方", "东方 2"]) == [
        "nycc01",
        "east-side",
        "community-3",
        "2",
    ]
    assert ids_of(["A b", "a-b"]) == ["community-1", "community-2"]
