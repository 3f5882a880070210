"""Each arm is judged on weeks it has not seen, and only a better one is adopted."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from federation import weights as weights_of
from federation.data import TOTAL, History, load_export
from federation.evaluate import Arm, _adopted, evaluate, main
from federation.forecasts import by_model, mean8, with_spread
from federation.loop import federate
from federation.train import Recipe
from tests.federation.conftest import CATEGORIES, WriteExport

WEEKS = 8


@pytest.fixture(scope="module")
def rhythm() -> list[History]:
    """Three communities whose requests fall steeply over the year: the naive mean lags behind."""
    histories = []
    for seed in range(3):
        random = np.random.default_rng(seed)
        days = np.arange(420)
        rate = 4 + 3 * np.cos(2 * np.pi * days / 60)
        counts = random.poisson(np.stack([rate, 0.4 * rate, np.ones(420)])).astype(np.float32)
        counts = np.vstack([counts, counts.sum(axis=0)])
        histories.append(History(date(2024, 1, 1), (*CATEGORIES, TOTAL), counts))
    return histories


def test_a_better_model_is_adopted_and_a_bad_one_is_not(rhythm: list[History]) -> None:
    known = [history.until(history.days - 7 * WEEKS) for history in rhythm]
    good = federate(known, recipe=Recipe(rounds=3, local_steps=150)).weights
    report = evaluate(rhythm[0], model=good, weeks=WEEKS, seed=0)
    arms = report["arms"]
    assert isinstance(arms, dict)
    assert report["adopted"] != "mean8"
    assert arms["federated"]["total_mae"] < arms["mean8"]["total_mae"]

    bad = {name: array + 0.5 for name, array in good.items()}
    report = evaluate(rhythm[0], model=bad, weeks=WEEKS, seed=0)
    arms = report["arms"]
    assert isinstance(arms, dict)
    assert report["adopted"] != "federated"
    assert arms["federated"]["total_mae"] > arms["mean8"]["total_mae"]
    assert all(np.isfinite(list(arms["federated"].values())))


def test_categories_add_up_to_the_total_and_quantiles_are_ordered(rhythm: list[History]) -> None:
    point = by_model(weights_of.initial_weights(seed=4))
    week = with_spread(point, rhythm[1], np.array([300, 419]), first_test_day=301)
    np.testing.assert_allclose(week.mean[:-1].sum(axis=0), week.mean[-1])
    assert (np.diff(week.quantiles, axis=0) >= 0).all()


def test_a_forecast_does_not_change_when_the_future_does(rhythm: list[History]) -> None:
    history = rhythm[2]
    other = History(history.first_day, history.series, history.counts.copy())
    other.counts[:, 301:] = 50
    point = by_model(weights_of.initial_weights(seed=4))
    for_one, for_other = (
        with_spread(point, one, np.array([300]), first_test_day=301) for one in (history, other)
    )
    np.testing.assert_array_equal(for_one.mean, for_other.mean)


def test_the_command_writes_the_documented_answer(
    write_export: WriteExport, tmp_path: Path
) -> None:
    model, out = tmp_path / "model.npz", tmp_path / "out.json"
    sha256 = weights_of.save(weights_of.initial_weights(seed=0), model)
    export = write_export(days=200)
    arguments = ["--export", str(export), "--model", str(model), "--out", str(out)]
    assert main([*arguments, "--epsilon", "1/2", "--weekly-limit", "3"]) == 0
    report = json.loads(out.read_text())
    history = load_export(export)
    assert report["model_sha256"] == sha256
    assert report["weeks"] == WEEKS
    assert report["until"] == history.last_day.isoformat()
    assert set(report["arms"]) == {"mean8", "local", "federated"}
    figures = {"total_mae", "total_pinball", "category_mae", "category_pinball", "bias"}
    assert all(set(arm) == figures for arm in report["arms"].values())
    assert len(report["days"]) == 7 * 4
    assert report["days"][0]["date"] == (history.last_day + timedelta(days=1)).isoformat()
    assert {day["category"] for day in report["days"]} == {*CATEGORIES, TOTAL}
    assert all(0 <= day["q10"] <= day["q50"] <= day["q80"] <= day["q90"] for day in report["days"])
    assert len(report["actual"]) == 28 * 4
    assert (report["privacy"]["epsilon"], report["privacy"]["week_epsilon"]) == (0.5, 1.5)
    assert not list(tmp_path.glob("*.partial"))


def test_a_young_community_is_judged_without_a_local_model(
    write_export: WriteExport, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    assert main(["--export", str(write_export(days=60)), "--out", str(out)]) == 0
    report = json.loads(out.read_text())
    assert report["weeks"] == 4
    assert report["arms"]["local"] is None
    assert report["arms"]["federated"] is None
    assert report["adopted"] == "mean8"
    assert report["model_sha256"] is None
    assert report["privacy"] is None


@pytest.mark.parametrize(
    ("federated", "local", "adopted"),
    [
        (2.0, 2.1, "federated"),
        (2.1, 1.95, "federated"),  # a little worse than both in few weeks: kept
        (2.2, 2.1, "mean8"),
        (2.2, 1.9, "local"),
        (1.9, 1.7, "local"),
        (None, 2.04, "local"),
        (None, 2.2, "mean8"),
    ],
)
def test_the_guard_falls_back_only_when_clearly_worse(
    federated: float | None, local: float, adopted: str
) -> None:
    found = {"mean8": 2.0, "local": local, "federated": federated}
    arms = [Arm(name, mean8) for name, error in found.items() if error is not None]
    errors = {name: {"total_mae": error} if error else None for name, error in found.items()}
    assert _adopted(arms, errors).name == adopted


def test_bad_input_is_a_sentence_and_status_two(
    write_export: WriteExport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, out = str(write_export()), tmp_path / "out.json"
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"nothing")
    for arguments, code in (
        (["--export", str(tmp_path / "none.csv")], "forecast.export_unreadable"),
        (["--export", good, "--model", str(broken)], "forecast.model_invalid"),
        (["--export", good, "--weeks", "0"], "forecast.run_config_invalid"),
        (["--export", good, "--epsilon", "much"], "forecast.run_config_invalid"),
        (["--export", good, "--epsilon", "-1"], "forecast.run_config_invalid"),
    ):
        assert main([*arguments, "--out", str(out)]) == 2
        assert capsys.readouterr().err.startswith(f"{code}: ")
        assert not out.exists()
