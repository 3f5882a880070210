"""`linli-sim`'s door: says what to install before it imports what may not be there.

Nothing of the node is imported up here: who checks a proof does so with none of its code loaded.
"""

import importlib.util
import sys

from simulation import verify_proof

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
    if sys.argv[1:2] == [verify_proof.COMMAND]:
        sys.exit(verify_proof.main(sys.argv[2:], program=f"linli-sim {verify_proof.COMMAND}"))
    from node.kernel.terminal import REFUSED, run
    from simulation.refusals import NotInstalled

    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        refusal = NotInstalled(missing=", ".join(missing))
        sys.stderr.write(f"{refusal} ({refusal.code})\n")
        sys.exit(REFUSED)
    from simulation.commands import app

    run(app)
