"""How fast a federation is studied: the fast engine against pfl and Flower's simulation on Ray.

    python -m bench.forecast [--communities 50 500] [--rounds 5] [--ray 8 50] [--large 2000]
                             [--panel FILE]

All sides train the same model on the same batches with the same steps. Rounds are taken in turn, so
that the machine's noise falls on all alike; trust the ratios, not the seconds. Every ratio is given
twice: on the clock, which favours whoever has more processes where other work is under way, and in
seconds of the processor, of all processes together. pfl lives in an environment of its own, made on
the first run under build/.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from federation import engine
from federation import weights as weights_of
from federation.data import TOTAL, History
from federation.engine import Member
from federation.recipe import (
    BATCH_WINDOWS,
    LOG_MULTIPLIER_MAX,
    MISS_MAX,
    SPREAD,
    STEP_FLOOR,
    Recipe,
    draw_batches,
)
from federation.weights import Weights
from simulation.city import CATEGORIES, FIRST_DAY, grow
from simulation.compare.tables import read_table

ROOT = Path(__file__).parents[1]
PFL_VENV = ROOT / "build" / "pfl-venv"
PFL_PACKAGES = ("pfl==0.6.0", "torch==2.13.0", "numpy==2.4.6")
DAYS = 400
LARGE_DAYS, LARGE_ROUNDS = 1_461, 40
RAY_ROUNDS = 15
RAY_WARM_ROUNDS = 6  # until every worker has built the windows of nearly every community
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.forecast")
    parser.add_argument("--communities", type=int, nargs="*", default=[50, 500])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ray", type=int, nargs="*", default=[8, 50], help="communities")
    parser.add_argument("--large", type=int, default=2_000, help="communities; 0: not")
    parser.add_argument("--panel", type=Path, help="the large run on a panel of `linli-sim city`")
    options = parser.parse_args(arguments)
    os.environ.update(ONE_THREAD)
    found: dict[str, Any] = {}
    for communities in options.communities:
        found[f"pfl_{communities}"] = _against_pfl(communities, options.rounds)
    for communities in options.ray:
        found[f"flower_ray_{communities}"] = _against_ray(communities)
    if options.panel:
        found["panel"] = _large(list(read_table(options.panel).histories))
    elif options.large:
        found[f"large_{options.large}"] = _large(histories_of(options.large, LARGE_DAYS))
    sys.stdout.write(json.dumps(found) + "\n")


def histories_of(communities: int, days: int) -> list[History]:
    city = grow(communities=communities, days=days, seed=1)
    series = (*CATEGORIES, TOTAL)
    return [
        History(FIRST_DAY, series, np.vstack([one, one.sum(axis=0)]).astype(np.float32))
        for one in city.counts
    ]


def _against_pfl(communities: int, rounds: int) -> dict[str, float]:
    """Rounds taken in turn; the median of the rounds' ratios, and how far the weights differ."""
    recipe = Recipe(rounds=1)  # every round a first round: the same steps, however many are timed
    members = engine.gather(histories_of(communities, DAYS))
    engine.federate_members([members[:1]], recipe=recipe)  # compiles
    ours: list[tuple[float, float]] = []  # seconds on the clock, seconds of the processor
    theirs: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "batches.npz"
        _store(path, members, recipe)
        command = [str(_pfl_python()), str(ROOT / "bench" / "forecast_pfl.py"), str(path)]
        with subprocess.Popen(  # noqa: S603 # our own script in our own environment
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},
            text=True,
        ) as process:
            assert process.stdin
            _answer(process)  # ready
            difference = 0.0
            for number in range(rounds):
                process.stdin.write("go\n")
                process.stdin.flush()
                answer = _answer(process)
                theirs.append((answer["seconds"], answer["cpu_seconds"]))
                started, cpu = time.perf_counter(), time.process_time()
                mine = engine.federate_members([members], recipe=recipe).weights
                ours.append((time.perf_counter() - started, time.process_time() - cpu))
                if number == 0:
                    flat = np.concatenate([one.reshape(-1) for one in mine.values()])
                    difference = float(np.abs(flat - np.array(answer["weights"])).max())
            process.stdin.close()
    result = _compared(ours, "pfl", theirs) | {"weights_differ_by": difference}
    _say(f"{communities} communities: engine / pfl = {result['ratio']:.1f}  {result}")
    return result


def _compared(
    ours: Sequence[tuple[float, float]], name: str, theirs: Sequence[tuple[float, float]]
) -> dict[str, float]:
    """(seconds on the clock, seconds of the processor) of each round, as rates and ratios."""
    ours_clock, ours_processor = (median(one) for one in zip(*ours, strict=True))
    theirs_clock, theirs_processor = (median(one) for one in zip(*theirs, strict=True))
    return {
        "engine_rounds_per_second": 1 / ours_clock,
        f"{name}_rounds_per_second": 1 / theirs_clock,
        "ratio": theirs_clock / ours_clock,
        "engine_processor_seconds_a_round": ours_processor,
        f"{name}_processor_seconds_a_round": theirs_processor,
        "ratio_of_processor_seconds": theirs_processor / ours_processor,
        "load_average": os.getloadavg()[0],
    }


def _answer(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout
    for line in process.stdout:  # pfl prints lines of its own in between
        if line.startswith("="):
            answer: dict[str, Any] = json.loads(line[1:])
            return answer
    raise SystemExit("pfl ended before its round did")


def _store(path: Path, members: Sequence[Member], recipe: Recipe) -> None:
    """Each community's windows in the order in which the engine will take them."""
    start = weights_of.initial_weights(recipe.seed)
    rows = [
        draw_batches(recipe, round_number=1, lot=one.lot, windows=len(one)).reshape(-1)
        for one in members
    ]
    pairs = list(zip(members, rows, strict=True))
    np.savez(
        path,
        *start.values(),  # read again as arr_0, arr_1, …
        features=np.stack([member.features[mine] for member, mine in pairs]),
        level=np.stack([member.level[mine] for member, mine in pairs]),
        targets=np.stack([member.targets[mine] for member, mine in pairs]),
        constants=np.array([LOG_MULTIPLIER_MAX, SPREAD, MISS_MAX]),
        batch=BATCH_WINDOWS,
        learning_rate=recipe.learning_rate_in(1),
        step_floor=STEP_FLOOR,
    )


def _pfl_python() -> Path:
    python = PFL_VENV / "bin" / "python"
    if not (PFL_VENV / ".ready").exists():
        _say("making build/pfl-venv for pfl")
        venv.create(PFL_VENV, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *PFL_PACKAGES]
        subprocess.run(command, check=True)  # noqa: S603 # fixed packages, pinned
        (PFL_VENV / ".ready").touch()
    return python


def _against_ray(communities: int) -> dict[str, float]:
    """Flower's simulation once its actors are warm; between its rounds, one of the engine's."""
    from simulation.compare.flower_app import federate

    histories = histories_of(communities, DAYS)
    members, recipe = [engine.gather(histories)], Recipe(rounds=RAY_ROUNDS)
    engine.federate_members(members, recipe=Recipe(rounds=1))  # compiles
    turns = _Turns(members)
    flower = federate(histories, recipe, turns.on_round)
    mine = engine.federate_members(members, recipe=recipe)
    result = _compared(turns.ours, "flower_ray", turns.theirs[RAY_WARM_ROUNDS:]) | {
        "weights_differ_by": max(
            float(np.abs(mine.weights[name] - flower.weights[name]).max()) for name in mine.weights
        ),
    }
    _say(f"{communities} communities: engine / Flower + Ray = {result['ratio']:.1f}  {result}")
    return result


class _Turns:
    """Ray waits while the engine takes its turn, so that other work on the machine meets both."""

    def __init__(self, members: Sequence[Sequence[Member]]) -> None:
        self._members = members
        self.ours: list[tuple[float, float]] = []  # seconds on the clock, of the processor
        self.theirs: list[tuple[float, float]] = []
        self._began = self._now()

    def on_round(self, number: int, weights: Weights, loss: float) -> None:
        ended = self._now()
        self.theirs.append((ended[0] - self._began[0], ended[1] - self._began[1]))
        started, spent = time.perf_counter(), time.process_time()
        engine.federate_members(self._members, recipe=Recipe(rounds=1))
        self.ours.append((time.perf_counter() - started, time.process_time() - spent))
        self._began = self._now()

    def _now(self) -> tuple[float, float]:
        return time.perf_counter(), _processor_seconds_of_all()


def _processor_seconds_of_all() -> float:
    """Of this process and all that it started: Ray's workers and its own servants."""
    spent, parents = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        number = int(folder.name)
        parents[number] = int(fields[1])
        spent[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    family, new = set[int](), {os.getpid()}
    while new:
        family |= new
        new = {one for one, parent in parents.items() if parent in new}
    return sum(spent[one] for one in family)


def _large(histories: list[History]) -> dict[str, float]:
    """A whole study at scale: windows built, 40 rounds of all communities, on one core."""
    engine.federate(histories[:1], recipe=Recipe(rounds=1))  # compiles
    started, cpu = time.perf_counter(), time.process_time()
    members = [engine.gather(histories)]
    built = time.perf_counter() - started
    engine.federate_members(members, recipe=Recipe(rounds=LARGE_ROUNDS))
    result = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "of_these_building_windows": built,
        "memory_bytes_max": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    _say(f"{len(histories)} x {histories[0].days} days x {LARGE_ROUNDS}: {result}")
    return result


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")


if __name__ == "__main__":
    main()
