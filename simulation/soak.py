"""Many seeded districts in parallel processes: `make soak`. One JSON line at the end.

Each seed takes the next fault profile, so that every corner is met as often as the others.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from simulation.faults import PROFILES
from simulation.scenario import Scenario
from simulation.world import simulate

FAILED = 1
TELL_EVERY_SECONDS = 30.0


def scenario_of(seed: int, *, days: int, communities: int) -> Scenario:
    """What a soak runs for this seed."""
    profile = PROFILES[seed % len(PROFILES)]
    return Scenario(seed, days=days, communities=communities, faults=profile)


def live(seed: int, days: int, communities: int) -> dict[str, Any]:
    """One history, as its row; a broken one says how to see it again."""
    scenario = scenario_of(seed, days=days, communities=communities)
    outcome = simulate(scenario)
    row = outcome.as_row()
    if outcome.history.violation is not None:
        row["violation"] = outcome.history.violation.words
        row["again"] = (
            f"linli-sim district --seed {seed} --days {days} --communities {communities} "
            f"--faults {scenario.faults}"
        )
    return row


def soak(
    seeds: Iterable[int], *, days: int, communities: int, processes: int, minutes_max: float
) -> dict[str, Any]:
    """Run all seeds, or as many as there is time for, and add up what came of them."""
    started, last_told = time.monotonic(), time.monotonic()
    total: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    broken: list[dict[str, Any]] = []
    with ProcessPoolExecutor(processes) as pool:
        waiting = [pool.submit(live, seed, days, communities) for seed in seeds]
        for done in as_completed(waiting):
            if done.cancelled():
                continue
            row = done.result()
            total.update(seeds=1, steps=row["steps"], exchanges=row["exchanges"])
            faults.update(row["faults"])
            if row["violations"]:
                broken.append(row)
                _say(f"{row['violation']}\n  {row['again']}")
            seconds = time.monotonic() - started
            if seconds > 60 * minutes_max:
                for one in waiting:
                    one.cancel()
            if time.monotonic() - last_told > TELL_EVERY_SECONDS:
                last_told = time.monotonic()
                _say(f"{total['seeds']} of {len(waiting)} seeds, {total['exchanges']} exchanges")
    return {
        "seeds": total["seeds"],
        "days": days,
        "communities": communities,
        "steps": total["steps"],
        "exchanges": total["exchanges"],
        "faults": dict(sorted(faults.items())),
        "violations": len(broken),
        "broken_seeds": [row["seed"] for row in broken],
        "seconds": round(time.monotonic() - started),
    }


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


def main() -> int:
    """Entry point of `python -m simulation.soak`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--communities", type=int, default=5)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after this time")
    asked = parser.parse_args()
    row = soak(
        range(asked.first, asked.first + asked.seeds),
        days=asked.days,
        communities=asked.communities,
        processes=asked.processes,
        minutes_max=asked.minutes,
    )
    sys.stdout.write(json.dumps(row) + "\n")
    return FAILED if row["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
