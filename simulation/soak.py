"""Many seeded districts in parallel processes: `make soak`. One JSON line at the end.

Each seed takes the next fault profile, so that every corner is met as often as the others. With
`--into FILE` every seed that is done is a line there: stopped at any moment, the same command goes
on where it was, and its last line counts all of them.
"""

import argparse
import gc
import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.kernel.errors import DomainError
from simulation.faults import PROFILES
from simulation.scenario import Scenario
from simulation.world import simulate

FAILED, REFUSED = 1, 2
TELL_EVERY_SECONDS = 30.0

Row = dict[str, Any]


class OtherSoak(DomainError):
    code = "simulation.other_soak"
    message = "{file} holds {theirs}, not {ours}. Name another file."


@dataclass(frozen=True)
class Size:
    """How much each seed lives."""

    days: int
    communities: int

    def scenario(self, seed: int) -> Scenario:
        """What a soak runs for this seed."""
        profile = PROFILES[seed % len(PROFILES)]
        return Scenario(seed, days=self.days, communities=self.communities, faults=profile)

    def __str__(self) -> str:
        return f"{self.days} days of {self.communities} communities"


class Results:
    """One line a seed in a file that outlives this process, or none where there is no file."""

    def __init__(self, file: Path | None, size: Size) -> None:
        self._file = file
        self.rows: dict[int, Row] = {}
        ours = {"days": size.days, "communities": size.communities}
        if file is None:
            return
        if not file.exists():
            self._append(ours)
            return
        first, *rest = _lines(file)
        if first != ours:
            raise OtherSoak(file=str(file), theirs=str(first), ours=str(ours))
        self.rows = {row["seed"]: row for row in rest}

    def add(self, row: Row) -> None:
        """This seed is done."""
        self.rows[row["seed"]] = row
        self._append(row)

    def total(self) -> Row:
        """What came of all seeds; the digest stands for every one of their histories."""
        counts: Counter[str] = Counter()
        faults: Counter[str] = Counter()
        digest = hashlib.sha256()
        broken = []
        for seed, row in sorted(self.rows.items()):
            counts.update(steps=row["steps"], exchanges=row["exchanges"])
            faults.update(row["faults"])
            digest.update(f"{seed}|{row['digest']}\n".encode())
            if row["violations"]:
                broken.append(seed)
        return {
            "seeds": len(self.rows),
            "steps": counts["steps"],
            "exchanges": counts["exchanges"],
            "faults": dict(sorted(faults.items())),
            "violations": len(broken),
            "broken_seeds": broken,
            "digest": digest.hexdigest(),
        }

    def _append(self, line: Row) -> None:
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def _lines(file: Path) -> Iterator[Row]:
    """All whole lines: the last may have been cut off when a soak was stopped."""
    text = file.read_text(encoding="utf-8")
    whole, _, cut = text.rpartition("\n")
    if cut:
        file.write_text(whole + "\n", encoding="utf-8")
    yield from map(json.loads, whole.splitlines())


def live(seed: int, size: Size) -> Row:
    """One history, as its row; a broken one says how to see it again."""
    scenario = size.scenario(seed)
    outcome = simulate(scenario)
    row = outcome.as_row()
    if outcome.history.violation is not None:
        row["violation"] = outcome.history.violation.words
        row["again"] = (
            f"linli-sim district --seed {seed} --days {size.days} "
            f"--communities {size.communities} --faults {scenario.faults}"
        )
    del outcome
    gc.collect()  # a whole district, full of circles
    return row


def soak(
    seeds: Iterable[int],
    size: Size,
    *,
    processes: int,
    minutes_max: float,
    into: Path | None = None,
) -> Row:
    """Run all seeds, or as many as there is time for, and add up what came of them."""
    results, started = Results(into, size), time.monotonic()
    wanted = [seed for seed in seeds if seed not in results.rows]
    with ProcessPoolExecutor(processes) as pool:
        _run(pool, wanted, size, results, until=started + 60 * minutes_max)
    said = {"days": size.days, "communities": size.communities}
    return said | results.total() | {"seconds": round(time.monotonic() - started)}


def _run(
    pool: ProcessPoolExecutor,
    wanted: Sequence[int],
    size: Size,
    results: Results,
    *,
    until: float,
) -> None:
    last_told = time.monotonic()
    waiting = [pool.submit(live, seed, size) for seed in wanted]
    for done in as_completed(waiting):
        if done.cancelled():
            continue
        row = done.result()
        results.add(row)
        if row["violations"]:
            _say(f"{row['violation']}\n  {row['again']}")
        now = time.monotonic()
        if now > until:
            for one in waiting:
                one.cancel()
        if now - last_told > TELL_EVERY_SECONDS:
            last_told = now
            _say(f"{len(results.rows)} seeds of {size}")


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
    parser.add_argument("--into", type=Path, help="a file for finished seeds, to go on from")
    asked = parser.parse_args()
    try:
        row = soak(
            range(asked.first, asked.first + asked.seeds),
            Size(asked.days, asked.communities),
            processes=asked.processes,
            minutes_max=asked.minutes,
            into=asked.into,
        )
    except DomainError as refusal:
        _say(f"{refusal} ({refusal.code})")
        return REFUSED
    sys.stdout.write(json.dumps(row) + "\n")
    return FAILED if row["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
