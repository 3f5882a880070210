"""`linli-sim`'s door: says what to install before it imports what may not be there."""

import importlib.util

from node.kernel.terminal import run
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
    run(_commands)


def _commands() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise NotInstalled(missing=", ".join(missing))
    from simulation.commands import app

    app()
