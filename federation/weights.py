"""The weights as plain numpy arrays: what travels between communities, and how they are averaged.

No torch here: the coordinator averages, checks and stores weights without ever training.
"""

import hashlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from federation.data import FEATURES, HORIZON_DAYS, Floats
from federation.errors import ModelInvalid

Weights = dict[str, Floats]


@dataclass(frozen=True)
class Update:
    """What one community gives to one round."""

    weights: Weights
    examples: int
    loss: float  # mean over the round's local steps


HIDDEN = 64
WEIGHT_ABS_MAX = 1000.0
MODEL_BYTES_MAX = 1024 * 1024
SHAPES: Mapping[str, tuple[int, ...]] = {
    "layers.0.weight": (HIDDEN, FEATURES),
    "layers.0.bias": (HIDDEN,),
    "layers.2.weight": (HIDDEN, HIDDEN),
    "layers.2.bias": (HIDDEN,),
    "layers.4.weight": (HORIZON_DAYS, HIDDEN),
    "layers.4.bias": (HORIZON_DAYS,),
}


def initial_weights(seed: int) -> Weights:
    """Where training starts: He's normal weights, an almost silent last layer, no bias.

    A silent last layer makes the first forecast the recent level itself, so training starts from
    something sensible at every community.
    """
    random = np.random.default_rng(seed)
    weights: Weights = {}
    for name, shape in SHAPES.items():
        if len(shape) == 1:
            weights[name] = np.zeros(shape, dtype=np.float32)
            continue
        scale = np.sqrt(2 / shape[1]) * (0.1 if shape[0] != HIDDEN else 1.0)
        weights[name] = (scale * random.standard_normal(shape)).astype(np.float32)
    return weights


def checked(arrays: Mapping[str, NDArray[np.generic]]) -> Weights:
    """The arrays as weights, or a refusal if their names, shapes or values are not a model's."""
    if set(arrays) != set(SHAPES):
        raise ModelInvalid(reason="its arrays have other names")
    for name, shape in SHAPES.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            raise ModelInvalid(reason=f"{name} is not float32 of shape {shape}")
        if not (np.abs(array) <= WEIGHT_ABS_MAX).all():  # also refuses NaN
            raise ModelInvalid(reason=f"{name} has values that are not finite or too large")
    return {name: np.asarray(arrays[name], dtype=np.float32) for name in SHAPES}


def average(updates: Sequence[tuple[Weights, int]]) -> Weights:
    """The mean of the updates, each counted as often as it had examples (McMahan et al. 2017).

    Summed in double precision, so that the order in which updates arrive does not show.
    """
    examples = sum(count for _, count in updates)
    mean: Weights = {}
    for name, shape in SHAPES.items():
        total = np.zeros(shape, dtype=np.float64)
        for weights, count in updates:
            total += weights[name].astype(np.float64) * count
        mean[name] = (total / examples).astype(np.float32)
    return mean


def size_bytes(weights: Weights) -> int:
    """Bytes of the numbers alone, without names and framing."""
    return sum(array.nbytes for array in weights.values())


def save(weights: Weights, path: Path) -> str:
    """Write the model whole or not at all; returns the SHA-256, the same for the same weights."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **{name: weights[name] for name in SHAPES})
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return sha256(path)


def load(path: Path) -> Weights:
    """Read a model written by `save`; a file that is anything else is refused."""
    try:
        if path.stat().st_size > MODEL_BYTES_MAX:
            raise ModelInvalid(reason=f"the file has more than {MODEL_BYTES_MAX} bytes")
        with np.load(path, allow_pickle=False) as arrays:
            return checked({name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ModelInvalid(reason=f"{path.name} is not a model file") from error


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
