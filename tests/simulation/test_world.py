"""Whatever goes wrong, no minute is lost, doubled or invented; the same seed is the same history.

Method: a few virtual days of real nodes under faults thrown by the seed; after every commit,
restart and day the invariants of simulation/witness.py; then heal, drain, settle, and compare all
books with each other and with the chain.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulation.faults import ALL, PROFILES, Faults
from simulation.liar import LIES
from simulation.scenario import Scenario
from simulation.shrinking import told
from simulation.world import Outcome, simulate

SEEDS = 50
SMALL = Scenario(0, days=3, communities=3)


def lived(scenario: Scenario) -> Outcome:
    outcome = simulate(scenario)
    assert outcome.is_good, told(outcome)
    return outcome


@pytest.mark.parametrize("seed", range(SEEDS))
def test_minutes_survive_everything(seed: int) -> None:
    outcome = lived(replace(SMALL, seed=seed, faults=PROFILES[seed % len(PROFILES)]))
    assert outcome.steps > 0


@pytest.mark.parametrize("kind", Faults.kinds())
def test_each_kind_of_fault_alone_happens_and_harms_nobody(kind: str) -> None:
    rate = {"crash": 0.02, "lie": 1.0, "reorder": 0.8, "chain": 1.0}.get(kind, 0.3)
    outcome = lived(replace(SMALL, seed=5, faults=Faults(**{kind: rate}), acts_per_day=2.5))
    assert set(outcome.faults) == {kind}


def test_nothing_goes_wrong_where_nothing_may() -> None:
    outcome = lived(replace(SMALL, days=6, acts_per_day=2.0))
    assert outcome.faults == {}
    assert outcome.exchanges > 8


def test_the_same_seed_is_the_same_history() -> None:
    first, again = (lived(replace(SMALL, seed=7, faults=ALL)) for _ in range(2))
    other = lived(replace(SMALL, seed=8, faults=ALL))
    assert first.as_row() == again.as_row()
    assert first.history.events == again.history.events
    assert first.history.digest() != other.history.digest()


def test_another_process_lives_the_same_history(tmp_path: Path) -> None:
    """Neither the order of a set nor a file's name may decide anything."""
    here = lived(replace(SMALL, seed=9, faults=ALL)).history.digest()
    script = (
        "from simulation.faults import ALL\n"
        "from simulation.scenario import Scenario\n"
        "from simulation.world import simulate\n"
        "print(simulate(Scenario(9, days=3, communities=3, faults=ALL)).history.digest())\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": "4711", "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.stdout.strip() == here, done.stderr


def test_a_history_with_one_story_less_is_otherwise_the_same() -> None:
    whole = lived(replace(SMALL, faults=Faults(drop=0.2)))
    less = lived(replace(SMALL, faults=Faults(drop=0.2), left_out_stories=frozenset({3})))
    without = [str(one) for one in whole.history.events if "story 3:" not in one.words]
    kept = [one for one in less.history.events if "story" in one.words]
    assert {str(one) for one in kept} <= set(without)


def test_every_lie_is_told_and_believed_by_nobody() -> None:
    told_lies: set[str] = set()
    for seed in (1, 3):
        outcome = lived(replace(SMALL, seed=seed, days=14, faults=Faults(lie=1.0)))
        lies = (one.words for one in outcome.history.events if "is lied to" in one.words)
        told_lies |= {words.partition(": ")[2] for words in lies}
    assert told_lies == set(LIES)
