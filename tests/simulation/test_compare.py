"""The comparison from a file to figures: fair, complete, repeatable, and nothing seen too early."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from federation import engine
from federation.forecasts import Forecasts, Point, by_model, targets_of
from federation.metrics import Array
from federation.recipe import Recipe
from simulation.city import write_city
from simulation.commands import app
from simulation.compare import arms
from simulation.compare.arms import ARMS, Bench
from simulation.compare.noise import noised
from simulation.compare.protocol import METRICS, Protocol, judge
from simulation.compare.study import FAVOURED, Request, compare, summary
from simulation.compare.tables import Panel, read_table
from simulation.compare.weather import Weather
from simulation.refusals import ArmImpossible, PanelInvalid, PanelTooShort

DAYS = 220


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    path = tmp_path_factory.mktemp("panel") / "city.csv"
    write_city(path, communities=3, days=DAYS, seed=4)
    return read_table(path)


def test_the_test_is_the_last_91_days_in_13_weeks(panel: Panel) -> None:
    protocol = Protocol.of(panel)
    assert protocol.first_test_day == DAYS - 91
    assert protocol.origins.tolist() == list(range(DAYS - 92, DAYS - 7, 7))
    before = protocol.before()
    assert before is not None
    assert before.origins[-1] + 7 == protocol.first_test_day - 1


def test_a_short_history_is_judged_on_fewer_weeks_or_refused(panel: Panel) -> None:
    short = replace(panel, histories=tuple(one.until(80) for one in panel.histories))
    protocol = Protocol.of(short)
    assert (protocol.weeks, protocol.first_test_day) == (2, 66)
    assert protocol.notes()
    with pytest.raises(PanelTooShort):
        Protocol.of(replace(panel, histories=tuple(one.until(66) for one in panel.histories)))


def test_a_perfect_forecast_has_no_error(panel: Panel) -> None:
    protocol = Protocol.of(panel)
    perfect = []
    for history in panel.histories:
        came = targets_of(history, protocol.origins)
        perfect.append(Forecasts(came, np.stack([came] * 3)))
    judged = judge(panel, protocol, perfect)
    assert all(judged.figures[name] == 0 for name in METRICS)
    assert judged.coverage == (1.0, 1.0, 1.0)


def test_figures_are_the_protocols(panel: Panel) -> None:
    protocol = Protocol.of(panel)
    bench = Bench.of(panel, protocol)
    judged = judge(panel, protocol, bench.forecast(arms.lag7(bench, 0).points))
    first, counts = protocol.first_test_day, [one.counts[-1] for one in panel.histories]
    miss = np.abs(np.stack([one[first:] - one[first - 7 : -7] for one in counts]))
    assert judged.figures["total_mae"] == pytest.approx(miss.mean(), rel=1e-6)
    came = np.stack([one[first:] for one in counts])
    assert judged.figures["total_mae_trimmed"] == pytest.approx(miss[came < 40].mean(), rel=1e-6)
    assert np.mean(judged.by_origin) == pytest.approx(miss.mean(), rel=1e-6)
    for place, row in zip(panel.communities, miss, strict=True):
        assert judged.by_community[place]["total_mae"] == pytest.approx(row.mean(), rel=1e-6)


def test_no_arm_sees_the_test_days_when_it_learns(panel: Panel) -> None:
    """Another future changes no learned model: the first week's forecast stays what it was."""
    protocol = Protocol.of(panel)
    others = []
    for history in panel.histories:
        counts = history.counts.copy()
        counts[:, protocol.first_test_day :] = 77
        others.append(replace(history, counts=counts))
    for arm, options in ((name, {}) for name in ARMS):
        options = {"epsilon": 1.0} if arm == "federated_private" else {}
        weeks = []
        for histories in (panel.histories, tuple(others)):
            bench = Bench.of(replace(panel, histories=histories), protocol)
            points = ARMS[arm](bench, 0, **options).points
            first = protocol.origins[:1]
            weeks.append([p(h, first) for p, h in zip(points, histories, strict=True)])
        np.testing.assert_array_equal(weeks[0], weeks[1], err_msg=arm)


def test_the_noise_is_what_it_says() -> None:
    from datetime import date

    from federation.data import History

    silent = History(date(2025, 1, 1), ("a", "b", "total"), np.zeros((3, 60_000), np.float32))
    for epsilon in (0.5, 1.0, 2.0):
        noisy = noised(silent, epsilon=epsilon, random=np.random.default_rng(1))
        assert noisy.counts[:-1].var() == pytest.approx(noisy.noise_variance, rel=0.03)
        assert noisy.counts[:-1].mean() == pytest.approx(0, abs=0.03)
        np.testing.assert_array_equal(noisy.counts[:-1].sum(axis=0), noisy.counts[-1])
        share = np.bincount(np.abs(noisy.counts[0]).astype(int))
        assert share[2] / share[1] == pytest.approx(np.exp(-epsilon), rel=0.05)


def test_the_command_ends_with_one_json_line_and_leaves_a_page(tmp_path: Path) -> None:
    write_city(tmp_path / "city.csv.gz", communities=3, days=340, seed=1)
    out = tmp_path / "out"
    arguments = ["compare", "--panel", str(tmp_path / "city.csv.gz"), "--seeds", "2"]
    arguments += ["--epsilon", "1", "--epsilon", "4", "--out", str(out), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout.splitlines()[-1])
    assert set(figures["arms"]) == set(ARMS)
    for arm in figures["arms"].values():
        assert {*METRICS, "seconds", "bytes_per_community", "by_community"} <= set(arm)
        assert all(np.isfinite(arm[name]) for name in METRICS)
        assert len(arm["by_community"]) == 3
        assert all(low <= high for low, high in arm["spread"].values())
    assert set(figures["arms"]["federated_private"]["by_epsilon"]) == {"1", "4"}
    assert figures["arms"]["lag7"]["bytes_per_community"] == 0
    assert 0 <= figures["guard"]["no_worse_than_mean8"] <= 1
    assert set(figures["ratios"]) == set(FAVOURED)
    for mine, others in figures["ratios"].items():
        assert {"local", "local_half", "local_early"} <= set(others)
        errors = [figures["arms"][arm]["total_mae"] for arm in (mine, "local_half")]
        assert others["local_half"] == pytest.approx(errors[0] / errors[1], abs=1e-4)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 7
    assert 'lang="zh-CN"' in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert json.loads((out / "summary.json").read_text()) == figures


def test_some_arms_and_a_repeatable_answer(panel: Panel) -> None:
    request = Request(("mean8", "federated"), 1, (1.0,))
    found = [summary(compare(panel, request, step=lambda name: None)) for _ in range(2)]
    for one in found:
        for arm in one["arms"].values():
            arm.pop("seconds")
    assert found[0] == found[1]
    assert list(found[0]["arms"]) == ["mean8", "federated"]


def test_local_takes_the_federations_steps_and_its_stronger_forms_fewer(panel: Panel) -> None:
    bench = Bench.of(panel, Protocol.of(panel))
    origins = bench.protocol.origins

    def asked(points: Sequence[Point]) -> list[Array]:
        return [point(one, origins) for point, one in zip(points, panel.histories, strict=True)]

    def alone(recipe: Recipe) -> list[Array]:
        return asked([by_model(engine.fit_member(m, recipe=recipe)) for m in bench.members])

    half = Recipe(local_steps=Recipe().local_steps // 2)
    np.testing.assert_array_equal(asked(arms.local(bench, 0).points), alone(Recipe()))
    np.testing.assert_array_equal(asked(arms.local_half(bench, 0).points), alone(half))
    early = np.array(asked(arms.local_early(bench, 0).points))
    factors = early / np.array(alone(half))
    np.testing.assert_allclose(factors, factors[:, :1, :1, :1] + np.zeros_like(factors))


def test_a_model_of_others_is_set_to_the_height_of_this_community_alone(panel: Panel) -> None:
    bench = Bench.of(panel, Protocol.of(panel))
    origins = bench.protocol.origins
    plain, scaled = arms.zero_shot_plain(bench, 0), arms.zero_shot(bench, 0)
    for history, one, other in zip(panel.histories, plain.points, scaled.points, strict=True):
        factors = other(history, origins) / one(history, origins)
        assert factors.max() - factors.min() < 1e-9
        assert 0.7 <= factors.min() <= 1.42
    assert plain.bytes_per_community == scaled.bytes_per_community == arms.MODEL_BYTES


def test_one_community_has_nobody_to_federate_with(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    write_city(path, communities=1, days=160, seed=1)
    arguments = ["compare", "--panel", str(path), "--seeds", "1", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout.splitlines()[-1])["arms"]) == {
        "lag7",
        "mean8",
        "seed_forest",
        "local",
        "local_half",
        "local_early",
    }
    result = CliRunner().invoke(app, [*arguments, "--arms", "mean8,federated"])
    assert isinstance(result.exception, ArmImpossible)
    result = CliRunner().invoke(app, [*arguments, "--arms", "mean9"])
    assert isinstance(result.exception, ArmImpossible)


def test_weather_reaches_the_forest_and_bad_weather_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weather.csv"
    path.write_text("date,tavg_c,is_holiday\n2021-01-01,3.5,1\n2021-01-03,5.5,0\n")
    city = tmp_path / "city.csv"
    write_city(city, communities=1, days=120, seed=1)
    columns = Weather.read(path).columns(read_table(city).histories[0])
    assert columns[:4].tolist() == [[3.5, 1], [4.5, 0], [5.5, 0], [4.5, 0]]
    path.write_text("date,tavg_c,is_holiday\n2021-01-01,warm,1\n")
    with pytest.raises(PanelInvalid, match="line 2"):
        Weather.read(path)
    path.write_text("day,warmth\n")
    with pytest.raises(PanelInvalid, match="line 1"):
        Weather.read(path)
