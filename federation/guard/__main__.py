"""`python -m federation.guard FILE`: what node/forecast/supernode.py starts beside a SuperNode."""

import signal
import sys
from pathlib import Path

from federation.bundle import own_sha256
from federation.errors import ForecastError
from federation.guard.bundles import Bundles
from federation.guard.config import GuardConfig
from federation.guard.executor import Executor, require_known_flower
from federation.guard.judge import Judge
from federation.guard.sandbox import SandboxMissing, sandbox_problem


def main() -> int:
    """Guard until ended; exit status 2 where it may not even begin."""
    try:
        require_known_flower()
        config = GuardConfig.load(Path(sys.argv[1]))
        if config.sandbox and (problem := sandbox_problem()) is not None:
            raise SandboxMissing(reason=problem)
        own = own_sha256() if config.approve_own_bundle else None
        judge = Judge(config, Bundles(config.bundles, own))
        judge.prepare()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            Executor(judge).run()
        finally:
            judge.close()
    except ForecastError as refusal:
        print(f"{refusal.code}: {refusal}", file=sys.stderr)  # noqa: T201 (the answer)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
