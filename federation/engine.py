"""The fast engine: the plain loop's federation in a fraction of its time, for studies.

All communities in one process and one thread, community by community (weights in cache beat
stacked weights: docs/benchmarks.md). Gives the weights of `loop.federate` to rounding, and
exactly the same weights however many communities are held in memory at once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it has no types

from federation import weights as weights_of
from federation.data import FEATURES, HORIZON_DAYS, Floats, History, build_windows, training_origins
from federation.loop import Federated
from federation.recipe import Recipe, draw_batches, lot_of
from federation.step import LEVEL, NOISE, TARGETS, Rules, take_steps
from federation.weights import Weights

threadpool_limits(limits=1)  # two threads on two busy cores are ten times slower

RULES = Rules()

Layers = tuple[Floats, ...]  # the arrays of SHAPES in order, matrices as (in, out)
OnRound = Callable[[int, Weights, float], None]  # round number, global weights, mean loss


@dataclass(frozen=True)
class Member:
    """One community's training windows, each in one row: whatever a step needs of a window comes
    from one place of memory, where four tables would cost twice the waiting."""

    rows: Floats  # (windows, WIDTH): the features, then step.LEVEL, step.NOISE, the targets
    lot: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def features(self) -> Floats:
        return self.rows[:, :FEATURES]

    @property
    def level(self) -> Floats:
        return self.rows[:, FEATURES + LEVEL]

    @property
    def targets(self) -> Floats:
        return self.rows[:, FEATURES + TARGETS :]


def gather(histories: Sequence[History]) -> list[Member]:
    """Build all windows once, side by side in one table (about 3 MB a community and four years)."""
    sizes = [len(h.series) * len(training_origins(h)) for h in histories]
    ends = np.cumsum([0, *sizes])
    rows = np.empty((ends[-1], FEATURES + TARGETS + HORIZON_DAYS), np.float32)
    members = []
    for history, (first, end) in zip(histories, pairwise(ends), strict=True):
        windows, mine = (
            build_windows(history, training_origins(history), with_targets=True),
            rows[first:end],
        )
        mine[:, :FEATURES] = windows.features
        mine[:, FEATURES + LEVEL], mine[:, FEATURES + NOISE] = windows.level, windows.noise
        mine[:, FEATURES + TARGETS :] = windows.targets
        members.append(Member(mine, lot_of(history)))
    return members


def pooled(members: Sequence[Member]) -> Member:
    """All communities' windows as if one community had them: what centralised training sees."""
    return Member(np.concatenate([member.rows for member in members]), lot=0)


def federate(
    histories: Sequence[History],
    *,
    recipe: Recipe,
    held_max: int | None = None,
    on_round: OnRound | None = None,
) -> Federated:
    """As `loop.federate`. At most `held_max` communities' windows are in memory at once; above
    that they are built anew every round, which costs time and changes nothing else."""
    size = held_max or max(1, len(histories))
    chunks = [histories[first : first + size] for first in range(0, len(histories), size)]
    members = [gather(chunks[0])] if len(chunks) == 1 else _Rebuilt(chunks)
    return federate_members(members, recipe=recipe, on_round=on_round)


class _Rebuilt:
    """Chunks of members, built each time they are asked for and forgotten after."""

    def __init__(self, chunks: Sequence[Sequence[History]]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[Sequence[Member]]:
        return map(gather, self._chunks)


def federate_members(
    chunks: Iterable[Sequence[Member]],  # gone through once a round
    *,
    recipe: Recipe,
    start: Weights | None = None,
    on_round: OnRound | None = None,
) -> Federated:
    """Federated averaging over members that are already gathered, chunk by chunk."""
    weights = _as_layers(start or weights_of.initial_weights(recipe.seed))
    losses: list[float] = []
    for round_number in range(1, recipe.rounds + 1):
        sums = [np.zeros(layer.shape) for layer in weights]
        loss_sum, examples = 0.0, 0
        for member in (member for chunk in chunks for member in chunk):
            mine, loss = _take_round(weights, member, recipe=recipe, round_number=round_number)
            for total, layer in zip(sums, mine, strict=True):
                total += layer.astype(np.float64) * len(member)
            loss_sum += loss * len(member)
            examples += len(member)
        weights = tuple((total / examples).astype(np.float32) for total in sums)
        losses.append(loss_sum / examples)
        if on_round:
            on_round(round_number, _as_weights(weights), losses[-1])
    return Federated(weights_of.checked(_as_weights(weights)), tuple(losses))


def fit_member(member: Member, *, recipe: Recipe, start: Weights | None = None) -> Weights:
    """One member alone, as `train.fit_locally`; with `start`, fine-tuning from there."""
    weights = _as_layers(start or weights_of.initial_weights(recipe.seed))
    for round_number in range(1, recipe.rounds + 1):
        weights, _ = _take_round(weights, member, recipe=recipe, round_number=round_number)
    return weights_of.checked(_as_weights(weights))


def _take_round(
    weights: Layers, member: Member, *, recipe: Recipe, round_number: int
) -> tuple[Layers, float]:
    mine = tuple(layer.copy() for layer in weights)
    batches = draw_batches(recipe, round_number=round_number, lot=member.lot, windows=len(member))
    loss = take_steps(
        mine,
        member.rows,
        batches,
        recipe.learning_rate_in(round_number),
        RULES,
    )
    return mine, float(loss)


def _as_layers(weights: Weights) -> Layers:
    return tuple(np.ascontiguousarray(weights[name].T) for name in weights_of.SHAPES)


def _as_weights(layers: Layers) -> Weights:
    return {
        name: np.ascontiguousarray(layer.T)
        for name, layer in zip(weights_of.SHAPES, layers, strict=True)
    }
