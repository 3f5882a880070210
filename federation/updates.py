"""A model as one long row of numbers, as the secure sum adds it; and what identifies a round."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation import weights as weights_of
from federation.recipe import Recipe
from federation.secagg.fixed_point import VALUE_ABS_MAX
from federation.weights import SHAPES, Weights

Row = NDArray[np.float64]

NUMBERS = sum(math.prod(shape) for shape in SHAPES.values())


def flat(weights: Weights) -> Row:
    """All numbers in the order of SHAPES, in double precision."""
    return np.concatenate([weights[name].astype(np.float64).ravel() for name in SHAPES])


def moved(start: Weights, change: Row) -> Weights:
    """The weights after a change; refused if they are no model's any more."""
    arrays: dict[str, NDArray[np.float32]] = {}
    at = 0
    for name, shape in SHAPES.items():
        size = math.prod(shape)
        step = change[at : at + size].reshape(shape)
        arrays[name] = (start[name].astype(np.float64) + step).astype(np.float32)
        at += size
    return weights_of.checked(arrays)


def norm_bound(recipe: Recipe, *, round_number: int, factor: float) -> float:
    """How far one community may move the model in a round: `factor` times a random walk's way.

    Adam moves each number by about the learning rate in each step. Honest changes were 1.8 to 2.8
    such walks long, whatever the recipe; the bound falls with the learning rate.
    """
    walk = recipe.learning_rate_in(round_number) * math.sqrt(recipe.local_steps * NUMBERS)
    return min(factor * walk, VALUE_ABS_MAX)


def fingerprint(weights: Weights, run_config: Mapping[str, Any]) -> bytes:
    """What a round is about: nodes that were sent another model or recipe have another one."""
    digest = hashlib.sha256(json.dumps(dict(run_config), sort_keys=True).encode())
    for name in SHAPES:
        digest.update(np.ascontiguousarray(weights[name], dtype="<f4").tobytes())
    return digest.digest()
