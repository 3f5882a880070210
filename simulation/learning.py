"""Training by Flower, then every community's own judgement of what came of it."""

import asyncio
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from simulation.district import District
from simulation.house import House

STEP = "training"
ARMS = ("mean8", "local", "federated")
TRAINING_TIMEOUT_SECONDS = 420.0
EVALUATION_TIMEOUT_SECONDS = 240.0


@dataclass(frozen=True)
class Learned:
    """The run's figures and each community's comparison, by its name."""

    results_per_round: list[int]
    model_sha256: str
    forecasts: dict[str, dict[str, Any]]

    def adopted(self) -> dict[str, str]:
        return {name: str(found["adopted"]) for name, found in self.forecasts.items()}

    def mean_errors(self) -> dict[str, float | None]:
        """Each arm's error on the daily total, averaged over the communities."""
        return {arm: self._mean_error(arm) for arm in ARMS}

    def _mean_error(self, arm: str) -> float | None:
        found = [forecast["arms"].get(arm) for forecast in self.forecasts.values()]
        known = [one["total_mae"] for one in found if one is not None]
        return round(fmean(known), 4) if len(known) == len(found) else None


async def learn(district: District, *, rounds: int) -> Learned:
    """Train together, wait for the model to come home, and let every node judge it."""
    await district.until_all(
        lambda one: bool(one["in_training"]), what="not everybody may train", step=STEP
    )
    trained = await district.train(
        rounds=rounds, step=STEP, timeout_seconds=TRAINING_TIMEOUT_SECONDS
    )
    await district.until_all(
        lambda one: one["model_sha256"] == trained["model_sha256"],
        what="the model did not reach everybody",
        step=STEP,
    )
    found = await asyncio.gather(
        *(judge(house, model_sha256=trained["model_sha256"]) for house in district.houses)
    )
    names = [house.name for house in district.houses]
    return Learned(
        [int(results) for results in trained["card"]["results_per_round"]],
        str(trained["model_sha256"]),
        dict(zip(names, found, strict=True)),
    )


async def judge(house: House, *, model_sha256: str) -> dict[str, Any]:
    """One node compares mean, local and federated on its own last weeks and adopts the best."""

    found: dict[str, Any] = await house.post(
        "/api/forecast/evaluate",
        role="operator",
        step=STEP,
        timeout_seconds=EVALUATION_TIMEOUT_SECONDS,
    )
    if found["model_sha256"] != model_sha256:
        raise house.child.failed(STEP, "it compared without the model that was trained.")
    return found
