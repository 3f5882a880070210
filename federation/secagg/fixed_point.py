"""Updates as whole numbers, so that masked sums are exact and equal the plain weighted mean.

A value is a count of steps, multiplied by the community's number of examples. The words are wide
enough that a sum of `MEMBERS_MAX` members cannot wrap: 2^28 steps x 2^20 examples x 2^7 members.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.secagg.primitives import Words

Values = NDArray[np.float64]

STEP = 2.0**-22  # the mean is off by at most half of it: 1.2e-7
VALUE_ABS_MAX = 64.0
LOSS_STEP = 2.0**-14
LOSS_ABS_MAX = 2.0**14
EXAMPLES_MAX = 2**20
MEMBERS_MAX = 100
COUNTERS = 3  # loss, examples, clipped: they travel in the sum too, not beside it


@dataclass(frozen=True)
class Contribution:
    """What one community adds."""

    values: Values
    examples: int
    loss: float
    is_clipped: bool


@dataclass(frozen=True)
class Total:
    """What all of them come to."""

    mean: Values  # weighted by examples
    examples: int
    loss: float  # weighted by examples
    clipped: int  # how many had to shorten their update


def clipped_to(values: Values, *, norm_max: float) -> tuple[Values, bool]:
    """The update, shortened to the norm if it is longer: no honest node pulls harder than that."""
    norm = float(np.linalg.norm(values))
    return (values * (norm_max / norm), True) if norm > norm_max else (values, False)


def encoded(contribution: Contribution) -> Words:
    """The contribution as words; its numbers must be finite and its examples countable."""
    examples = contribution.examples
    assert 1 <= examples <= EXAMPLES_MAX, "the trainer counts its examples"
    assert np.isfinite(contribution.values).all(), "the trainer checks its weights"
    assert np.isfinite(contribution.loss), "the trainer checks its loss"
    bounded = np.clip(contribution.values, -VALUE_ABS_MAX, VALUE_ABS_MAX)
    loss = min(max(contribution.loss, -LOSS_ABS_MAX), LOSS_ABS_MAX)
    counters = [round(loss / LOSS_STEP) * examples, examples, int(contribution.is_clipped)]
    steps = np.rint(bounded / STEP).astype(np.int64) * examples
    return np.concatenate([steps, np.array(counters, dtype=np.int64)]).astype(np.uint64)


def decoded(total: Words, *, members: int) -> Total | None:
    """The sum as numbers; None if no honest contributions can give it."""
    signed = total.view(np.int64)
    loss, examples, clipped = (int(value) for value in signed[-COUNTERS:])
    if not (members <= examples <= members * EXAMPLES_MAX and 0 <= clipped <= members):
        return None
    mean = signed[:-COUNTERS] / examples * STEP
    mean_loss = loss / examples * LOSS_STEP
    if np.abs(mean).max(initial=0.0) > VALUE_ABS_MAX or abs(mean_loss) > LOSS_ABS_MAX:
        return None
    return Total(mean, examples, mean_loss, clipped)
