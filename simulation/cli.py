"""`linli-sim`'s door: says what to install before it imports what may not be there."""

import importlib.util
import sys

from node.kernel.terminal import REFUSED, run
from simulation.refusals import NotInstalled

NEEDED = (  # of the extra `simulation`, by the names that are imported
    "httpx",
    "matplotlib",
    "numba",
    "numpy",
    "sklearn",
    "threadpoolctl",
    "torch",
    "dp_accounting",
    "flwr",
    "web3",
    "eth",
)


def main() -> None:
    """Entry point of `linli-sim`."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        refusal = NotInstalled(missing=", ".join(missing))
        sys.stderr.write(f"{refusal} ({refusal.code})\n")
        sys.exit(REFUSED)
    from simulation.commands import app

    run(app)
