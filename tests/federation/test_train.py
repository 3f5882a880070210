"""The model learns, its numbers are checked, and a federation in one process averages it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from federation import weights as weights_of
from federation.data import HORIZON_DAYS, build_windows, load_export, training_origins
from federation.errors import ModelInvalid, RunConfigInvalid
from federation.forecasts import ask
from federation.loop import federate
from federation.metrics import negative_binomial_quantiles
from federation.model import Forecaster, follow_quasi_score
from federation.recipe import MISS_MAX, SPREAD, STEP_FLOOR
from federation.train import Adam, Recipe, fit_locally, train_round
from tests.federation.conftest import WriteExport

SHORT = Recipe(rounds=2, local_steps=30)


def test_the_model_has_the_weights_that_travel() -> None:
    shapes = {name: tuple(value.shape) for name, value in Forecaster().state_dict().items()}
    assert shapes == dict(weights_of.SHAPES)
    weights_of.checked(weights_of.initial_weights(seed=3))
    assert weights_of.size_bytes(weights_of.initial_weights(seed=3)) < 40_000


def test_a_forecast_is_a_positive_week_per_window(write_export: WriteExport) -> None:
    history = load_export(write_export(days=90))
    windows = build_windows(history, np.array([60, 89]), with_targets=False)
    mean = ask(weights_of.initial_weights(seed=0), windows)
    assert mean.shape == (8, HORIZON_DAYS)
    assert (mean > 0).all()


def test_asking_without_torch_gives_torchs_answer(write_export: WriteExport) -> None:
    windows = build_windows(load_export(write_export(days=90)), np.array([70]), with_targets=False)
    weights = {name: 3 * array for name, array in weights_of.initial_weights(seed=2).items()}
    model = Forecaster()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    with torch.inference_mode():
        mean = model(torch.from_numpy(windows.features), torch.from_numpy(windows.level))
    np.testing.assert_allclose(ask(weights, windows), mean.numpy(), rtol=1e-4)


def test_the_score_is_a_negative_binomials_where_the_miss_is_small() -> None:
    mean = (torch.rand(5, HORIZON_DAYS) * 4 + 2).requires_grad_()
    targets = mean.detach().round()
    follow_quasi_score(mean, targets, torch.zeros(5))
    found, mean.grad = mean.grad, None
    size = torch.tensor(1 / SPREAD)
    likelihood = torch.distributions.NegativeBinomial(size, logits=(mean / size).log())
    (-likelihood.log_prob(targets).mean()).backward()  # type: ignore[no-untyped-call] # torch
    torch.testing.assert_close(found, mean.grad)


def test_a_day_of_batch_entry_teaches_no_more_than_an_odd_day() -> None:
    pulls = []
    for count in (200.0, 700.0):
        mean = torch.full((1, HORIZON_DAYS), 4.0, requires_grad=True)
        follow_quasi_score(mean, torch.full((1, HORIZON_DAYS), count), torch.zeros(1))
        assert mean.grad is not None
        pulls.append(float(mean.grad.sum()))
    deviation = (4 + SPREAD * 16) ** 0.5
    assert pulls == pytest.approx([-MISS_MAX / deviation] * 2)


def test_the_loss_falls_and_the_start_is_kept_apart(write_export: WriteExport) -> None:
    history = load_export(write_export(days=200))
    start = weights_of.initial_weights(seed=0)
    copy = {name: array.copy() for name, array in start.items()}
    recipe = Recipe(rounds=3, local_steps=60)
    first = train_round(start, history, recipe=recipe, round_number=1)
    second = train_round(first.weights, history, recipe=recipe, round_number=2)
    assert second.loss < first.loss
    assert first.examples == 4 * len(training_origins(history))
    assert all((start[name] == copy[name]).all() for name in start)


def test_adam_is_torchs_own() -> None:
    ours, theirs = (torch.full((3, 4), 0.5, requires_grad=True) for _ in range(2))
    target = torch.arange(12.0).reshape(3, 4)
    optimizer = Adam([ours], learning_rate=3e-3)
    reference = torch.optim.Adam([theirs], lr=3e-3, eps=STEP_FLOOR)
    for _ in range(50):
        reference.zero_grad()
        for parameter in (ours, theirs):
            (parameter - target).pow(2).mean().backward()  # type: ignore[no-untyped-call] # torch
        optimizer.step()
        reference.step()
    torch.testing.assert_close(ours, theirs)


def test_training_does_not_import_torchs_compiler(write_export: WriteExport) -> None:
    program = (
        "import sys; from pathlib import Path; from federation.data import load_export\n"
        "from federation.train import Recipe, fit_locally\n"
        "fit_locally(load_export(Path(sys.argv[1])), recipe=Recipe(rounds=1, local_steps=1))\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    command = [sys.executable, "-c", program, str(write_export(days=60))]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], timeout=60)


def test_the_same_seed_gives_the_same_bytes(write_export: WriteExport, tmp_path: Path) -> None:
    history = load_export(write_export(days=90))
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    sums = {weights_of.save(fit_locally(history, recipe=SHORT), path) for path in paths}
    assert len(sums) == 1
    loaded = weights_of.load(paths[0])
    fitted = fit_locally(history, recipe=SHORT)
    assert all((loaded[name] == fitted[name]).all() for name in fitted)


def test_a_federation_of_one_is_a_community_alone(write_export: WriteExport) -> None:
    history = load_export(write_export(days=90))
    together = federate([history], recipe=SHORT).weights
    alone = fit_locally(history, recipe=SHORT)
    for name in alone:
        np.testing.assert_allclose(together[name], alone[name], atol=1e-7)


def test_the_average_weighs_by_examples() -> None:
    one, two = weights_of.initial_weights(seed=1), weights_of.initial_weights(seed=2)
    mean = weights_of.average([(one, 300), (two, 100)])
    for name in one:
        np.testing.assert_allclose(mean[name], 0.75 * one[name] + 0.25 * two[name], atol=1e-6)


@pytest.mark.parametrize("damage", ["nan", "huge", "shape", "missing", "extra", "kind"])
def test_weights_that_are_no_models_are_refused(damage: str) -> None:
    weights = dict(weights_of.initial_weights(seed=0))
    if damage in ("nan", "huge"):
        weights["layers.0.bias"][3] = np.nan if damage == "nan" else 1e9
    elif damage == "shape":
        weights["layers.0.bias"] = np.zeros(3, dtype=np.float32)
    elif damage == "missing":
        del weights["layers.0.bias"]
    elif damage == "extra":
        weights["layers.9.bias"] = np.zeros(3, dtype=np.float32)
    else:
        weights["layers.0.bias"] = weights["layers.0.bias"].astype(np.float64)
    with pytest.raises(ModelInvalid):
        weights_of.checked(weights)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"no model", b"PK\x03\x04 broken"):
        (tmp_path / "model.npz").write_bytes(content)
        with pytest.raises(ModelInvalid):
            weights_of.load(tmp_path / "model.npz")
    np.savez(tmp_path / "pickle.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ModelInvalid):
        weights_of.load(tmp_path / "pickle.npz")
    with pytest.raises(ModelInvalid):
        weights_of.load(tmp_path / "missing.npz")


@pytest.mark.parametrize(
    "wrong",
    [{"rounds": 0}, {"local_steps": 10**6}, {"learning_rate": 1}, {"seed": True}, {"seed": "0"}],
)
def test_a_recipe_outside_its_limits_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(RunConfigInvalid):
        Recipe(**wrong)


def test_quantiles_match_a_large_sample() -> None:
    random = np.random.default_rng(5)
    for mean, dispersion in ((0.2, 1.5), (3.0, 0.7), (40.0, 0.1), (5000.0, 0.05)):
        size = 1 / dispersion
        sample = random.negative_binomial(size, size / (size + mean), 400_000)
        expected = np.quantile(sample, [0.1, 0.5, 0.9], method="inverted_cdf")
        found = negative_binomial_quantiles(np.array([mean]), np.array([dispersion]))[:, 0]
        np.testing.assert_allclose(found, expected, rtol=0.01, atol=0.01)
