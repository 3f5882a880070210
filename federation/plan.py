"""What the district's office asked of a run, checked; and what a round gives back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flwr.app import Context

from federation.errors import RunConfigInvalid
from federation.recipe import Recipe
from federation.robust import STRATEGIES
from federation.weights import Weights

NORM_FACTOR_MAX = 100.0
PRIVACY_MAX = 1000.0
AUTO, SECURE, MEAN = "auto", "secure", "mean"
PROTECTIONS = (AUTO, SECURE, MEAN, *STRATEGIES)
LIMITS = {
    "num-rounds": (1, 1000),
    "min-nodes": (1, 100_000),
    "seed": (0, 2**31 - 1),
    "round-timeout-seconds": (1, 86_400),
    "step-timeout-seconds": (1, 86_400),
    "grace-seconds": (1, 86_400),
    "wait-timeout-seconds": (1, 86_400),
}


@dataclass(frozen=True)
class Plan:
    """One run: how long, with whom, how patient, and how the updates are protected."""

    rounds: int
    min_nodes: int
    seed: int
    round_timeout_seconds: int  # for a step that trains
    step_timeout_seconds: int  # for one that does not
    grace_seconds: int  # for stragglers, once enough have answered
    wait_timeout_seconds: int  # for enough nodes to be there
    protection: str
    norm_factor: float  # bounds one community's change, where the sum is secure
    count_epsilon: float  # every community's counts are noised at least so strongly; 0: not asked
    noise_multiplier: float  # of the norm bound, on each round's sum; 0: none
    recipe: Recipe
    members: Mapping[str, bytes]  # the directory's keys by community; empty: the nodes check alone
    directory: Path

    @classmethod
    def from_run(cls, context: Context) -> "Plan":
        config = context.run_config
        values: dict[str, int] = {}
        for name, (low, high) in LIMITS.items():
            value = config.get(name)
            if type(value) is not int or not low <= value <= high:
                raise RunConfigInvalid(name=name, value=str(value))
            values[name] = value
        protection = config.get("protection")
        if not isinstance(protection, str) or protection not in PROTECTIONS:
            raise RunConfigInvalid(name="protection", value=str(protection))
        out_dir = config.get("out-dir")
        if not isinstance(out_dir, str) or not Path(out_dir).is_absolute():
            raise RunConfigInvalid(name="out-dir", value=str(out_dir))
        directory = Path(out_dir) / f"run-{context.run_id}"
        directory.mkdir(parents=True, exist_ok=True)
        return cls(
            rounds=values["num-rounds"],
            min_nodes=values["min-nodes"],
            seed=values["seed"],
            round_timeout_seconds=values["round-timeout-seconds"],
            step_timeout_seconds=values["step-timeout-seconds"],
            grace_seconds=values["grace-seconds"],
            wait_timeout_seconds=values["wait-timeout-seconds"],
            protection=protection,
            norm_factor=norm_factor_in(config),
            count_epsilon=privacy_in(config, "count-epsilon"),
            noise_multiplier=privacy_in(config, "update-noise-multiplier"),
            recipe=recipe_in(config),
            members=_members_in(config),
            directory=directory,
        )


def recipe_in(config: Mapping[str, Any]) -> Recipe:
    """The run's recipe, within the limits that a Recipe sets itself."""
    try:
        return Recipe(
            rounds=config["num-rounds"],
            local_steps=config["local-steps"],
            learning_rate=config["learning-rate"],
            seed=config["seed"],
        )
    except KeyError as error:
        raise RunConfigInvalid(name=str(error.args[0]), value="(missing)") from error


def _members_in(config: Mapping[str, Any]) -> Mapping[str, bytes]:
    try:
        return {
            str(name): bytes.fromhex(key) for name, key in json.loads(config["members"]).items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunConfigInvalid(name="members", value="(not keys by community)") from error


def privacy_in(config: Mapping[str, Any], name: str) -> float:
    """How much privacy a run promises or adds; 0 for none, see federation/privacy.py."""
    value = config.get(name)
    if type(value) is not float or not 0 <= value <= PRIVACY_MAX:
        raise RunConfigInvalid(name=name, value=str(value))
    return value


def norm_factor_in(config: Mapping[str, Any]) -> float:
    """How many random walks long a community's change may be."""
    value = config.get("update-norm-factor")
    if type(value) is not float or not 0 < value <= NORM_FACTOR_MAX:
        raise RunConfigInvalid(name="update-norm-factor", value=str(value))
    return value


@dataclass(frozen=True)
class Gathered:
    """What one round came to."""

    weights: Weights
    loss: float
    asked: int
    took_part: int
    clipped: int | None = None  # how many shortened their update; None where nobody bounds it
    norm_max: float | None = None  # to which length
