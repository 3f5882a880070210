"""A generated city is the same for the same seed, and its truth is what it was drawn from."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from simulation.city import CATEGORIES, FIRST_DAY, grow, write_city
from simulation.commands import app
from simulation.compare.tables import read_table
from simulation.refusals import OutUnusable


def test_the_counts_are_drawn_around_the_truth() -> None:
    city = grow(communities=40, days=730, seed=5)
    assert city.counts.shape == city.expected.shape == (40, len(CATEGORIES), 730)
    assert (city.counts >= 0).all()
    assert city.counts.sum() == pytest.approx(city.expected.sum(), rel=0.02)


def test_the_structure_is_there() -> None:
    city = grow(communities=30, days=730, seed=5)
    total = city.counts.sum(axis=1)
    weekday = (FIRST_DAY.weekday() + np.arange(730)) % 7
    assert total[:, weekday >= 5].mean() < 0.5 * total[:, weekday < 5].mean()
    assert total.mean(axis=1).max() > 3 * total.mean(axis=1).min()  # each its own level
    holiday = (np.datetime64("2021-10-03") - np.datetime64(FIRST_DAY)).astype(int)
    assert total[:, holiday].sum() < 0.5 * total[:, holiday - 14].sum()
    late = total > 6 * np.maximum(total.mean(axis=1, keepdims=True), 1)
    assert late.any()  # batch entry


def test_a_larger_city_begins_with_the_smaller_one() -> None:
    small, large = (grow(communities=count, days=90, seed=2) for count in (3, 5))
    np.testing.assert_array_equal(small.counts, large.counts[:3])


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / "one" / "city.csv.gz", tmp_path / "two" / "city.csv.gz"]
    facts = [write_city(path, communities=3, days=70, seed=9) for path in paths]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    panel = read_table(paths[0])
    assert panel.notes == ()
    assert len(panel.communities) == 3
    assert sum(int(one.counts[-1].sum()) for one in panel.histories) == facts[0]["requests"]


def test_the_command_writes_a_panel(tmp_path: Path) -> None:
    out = tmp_path / "city.csv"
    arguments = ["city", "--communities", "2", "--days", "5", "--seed", "1", "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout.splitlines()[-1])
    assert facts["rows"] == 2 * 5 * len(CATEGORIES) == len(out.read_text().splitlines()) - 1


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutUnusable):
        write_city(tmp_path / "file" / "city.csv", communities=1, days=3, seed=0)
