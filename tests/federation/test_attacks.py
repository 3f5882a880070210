"""The attacks of attacks.py, in short: what leaves unprotected is told, and noise keeps its word.

`python -m tests.federation.attacks` prints the whole table with more trials.
"""

import math
import sys

import pytest

from tests.federation import attacks
from tests.federation.attacks import Finding

TRIALS = 40
CHANCE = 3 * math.sqrt(0.5 / (TRIALS / 2))  # three standard errors of an advantage of zero


def show(capsys: pytest.CaptureFixture[str], *findings: Finding) -> None:
    with capsys.disabled():
        for finding in findings:
            sys.stdout.write(f"\n{finding}")


def test_an_update_on_exact_counts_tells_each_request(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever knows the rest recomputes both ways: a secure sum does not help against that."""
    alone = attacks.by_recomputing(trials=10, others=0)
    summed = attacks.by_recomputing(trials=6, others=attacks.OTHERS)
    assert (alone, summed) == (1, 1)
    show(capsys, *(Finding("membership", "exact counts", one, None) for one in (alone, summed)))


@pytest.mark.parametrize("epsilon", [2.0, 1.0, 0.5])
def test_noised_counts_tell_as_much_as_was_promised_and_no_more(
    capsys: pytest.CaptureFixture[str], epsilon: float
) -> None:
    trials, limit = 100_000, math.tanh(epsilon / 2)
    found = attacks.by_cell(epsilon=epsilon, trials=trials)
    assert found == pytest.approx(limit, abs=4 / math.sqrt(2 * trials))
    show(capsys, Finding("membership", f"noised counts, epsilon {epsilon:g}", found, limit))


def test_rounds_of_updates_on_noised_counts_tell_no_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    limit = math.tanh(0.5)
    found = attacks.by_shadows(attacks.noised_world(1.0), trials=TRIALS)
    assert found <= limit + CHANCE
    seen = f"{attacks.ROUNDS} rounds of updates on noised counts, epsilon 1"
    show(capsys, Finding("membership", seen, found, limit))


def test_a_first_step_tells_every_day_and_noise_blurs_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The series comes back whole from one step; what comes back from noised counts is noised."""
    exact = attacks.rebuild_one(local_steps=1, rounds=22)
    noised = attacks.rebuild_one(local_steps=1, rounds=12, epsilon=1.0)
    assert exact[0] > 0.99
    assert exact[1] > 0.9
    assert noised[0] < 0.95
    assert noised[1] < 0.6
    show(
        capsys,
        Finding("series: exact", "exact counts, update of 1 step", exact[1], exact[3]),
        Finding("series: exact", "noised counts, epsilon 1", noised[1], noised[3]),
    )
