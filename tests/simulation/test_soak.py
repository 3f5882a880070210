"""A soak that is stopped goes on where it was, and its figures do not depend on how it was run."""

from pathlib import Path

import pytest

from simulation.soak import OtherSoak, Size, soak

SIZE = Size(days=2, communities=2)


def figures(seeds: range, *, processes: int = 1, into: Path | None = None) -> dict[str, object]:
    row = soak(seeds, SIZE, processes=processes, minutes_max=2, into=into)
    del row["seconds"]
    return row


def test_a_stopped_soak_goes_on_to_the_same_figures(tmp_path: Path) -> None:
    file = tmp_path / "soak.jsonl"
    part = figures(range(2), into=file)
    with file.open("a") as cut:
        cut.write('{"seed": 2, "ste')  # stopped in the middle of a line
    whole = figures(range(4), processes=2, into=file)
    assert part["seeds"] == 2
    assert whole == figures(range(4))
    assert whole["seeds"] == 4
    assert whole["violations"] == 0
    assert len(file.read_text().splitlines()) == 1 + 4


def test_a_seed_that_is_done_is_not_lived_again(tmp_path: Path) -> None:
    file = tmp_path / "soak.jsonl"
    figures(range(2), into=file)
    lines = file.read_text().splitlines()
    file.write_text(
        "\n".join([*lines[:-1], lines[-1].replace('"violations": 0', '"violations": 1')]) + "\n"
    )
    assert figures(range(2), into=file)["broken_seeds"] == [1]


def test_results_of_another_size_are_not_mixed_in(tmp_path: Path) -> None:
    file = tmp_path / "soak.jsonl"
    figures(range(1), into=file)
    with pytest.raises(OtherSoak):
        soak(range(1), Size(days=3, communities=2), processes=1, minutes_max=1, into=file)


def test_time_over_means_fewer_seeds_not_a_failure() -> None:
    row = soak(range(40), SIZE, processes=1, minutes_max=0)
    assert 1 <= row["seeds"] < 40
