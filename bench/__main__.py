"""Every figure of docs/benchmarks.md about exchange, ledger, contract and repairs, in one run.

python -m bench [--rounds N] [--seconds S] [--entries N] [--only WORD]

Opponents are started here and end with it. Figures go to stdout as one JSON line each, the table
to stderr. What a machine lacks is skipped by name. Forecasting: python -m bench.forecast.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import contract, exchange, ledger, repairs
from bench.figures import Figure, Skipped
from bench.postgres import Missing, postgres

Found = Sequence[Figure | Skipped]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement, in turns")
    parser.add_argument("--seconds", type=float, default=3.0, help="of one load")
    parser.add_argument("--entries", type=int, default=1_000_000, help="in the long books")
    parser.add_argument("--tickets", type=int, default=1_000_000, help="in the long board")
    parser.add_argument("--only", default="", metavar="WORD", help="part of a group's name")
    arguments = parser.parse_args()
    rounds, seconds = arguments.rounds, arguments.seconds
    groups: dict[str, Callable[[Path], Found]] = {
        "gas": lambda _: contract.figures(),
        "ledger": lambda _: [ledger.measure(seconds=seconds, rounds=rounds)],
        "transfers": lambda folder: _transfers(folder, seconds=seconds, rounds=rounds),
        "alone": lambda folder: [exchange.alone(folder, seconds=seconds, rounds=rounds)],
        "growth": lambda folder: [
            exchange.growth(folder, entries=arguments.entries, seconds=seconds, rounds=rounds)
        ],
        "repairs": lambda folder: repairs.figures(
            folder, seconds=seconds, rounds=rounds, tickets=arguments.tickets
        ),
    }
    for name, measure in groups.items():
        if arguments.only in name:
            with tempfile.TemporaryDirectory(prefix="linli-bench-") as folder:
                _show(measure(Path(folder)))
    return 0


def _transfers(folder: Path, *, seconds: float, rounds: int) -> Found:
    try:
        with postgres() as server:
            return exchange.against_pgbench(server, folder, seconds=seconds, rounds=rounds)
    except Missing as missing:
        return [Skipped("transfers/s / pgbench tps", str(missing))]


def _show(figures: Found) -> None:
    for figure in figures:
        print(json.dumps(figure.as_json()), flush=True)  # noqa: T201 (programs read it)
        print(figure.as_row(), file=sys.stderr, flush=True)  # noqa: T201 (people read it)


if __name__ == "__main__":
    sys.exit(main())
