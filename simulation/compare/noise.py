"""Noise on the counts, for studies: the distribution that a node adds, from a seeded stream.

A node draws its integers from a cryptographic source and keeps every noised cell for ever
(federation/privacy.py); a study must be repeatable instead, and protects nobody.
"""

from dataclasses import replace

import numpy as np

from federation.data import History


def noised(history: History, *, epsilon: float, random: np.random.Generator) -> History:
    """Two-sided geometric noise on every cell, zeros included; the total is the noised sum."""
    kept = np.exp(-epsilon)
    shape = history.counts[:-1].shape
    noise = random.geometric(1 - kept, shape) - random.geometric(1 - kept, shape)
    cells = history.counts[:-1] + noise.astype(np.float32)
    counts = np.vstack([cells, cells.sum(axis=0)])
    return replace(history, counts=counts, noise_variance=2 * kept / (1 - kept) ** 2)
