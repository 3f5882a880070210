"""The one command: `python -m tests.check` says whether this tree may be committed.

Format, lint, types, imports, drift of generated files, then every test that needs Python alone.
Each step is shown with its seconds; all of them run, and the exit status is 1 if any failed.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
UNMARKED = "not processes and not postgres and not browser and not npm"
STEP_SECONDS_MAX = 1_800

STEPS: dict[str, list[str]] = {
    "format": [str(BIN / "ruff"), "format", "--check", "--quiet", "."],
    "lint": [str(BIN / "ruff"), "check", "--quiet", "."],
    "types": [sys.executable, "-m", "mypy", "--no-error-summary"],
    "imports": [str(BIN / "lint-imports"), "--no-logo"],
    "generated files": [sys.executable, "-m", "protos.generate", "--check"],
    "tests": [sys.executable, "-m", "pytest", "-q", "-n", "logical", "--maxprocesses", "4"],
}


def main() -> int:
    """Run every step; returns the exit status."""
    failed = [name for name, command in STEPS.items() if not passes(name, command)]
    if failed:
        say(f"\nfailed: {', '.join(failed)}")
    else:
        say("\nall passed; what was skipped, and what it needs, stands above")
    return 1 if failed else 0


def passes(name: str, command: list[str]) -> bool:
    """Whether the step passed; its own words are shown as they come."""
    say(f"--- {name}")
    started = time.monotonic()
    if name == "tests" and os.environ.get("CI") == "true":
        command = [*command, "-m", UNMARKED]  # .ci/run then runs the marked ones, none skipped
    try:
        status = subprocess.run(command, cwd=ROOT, env=quiet(), timeout=STEP_SECONDS_MAX).returncode
    except FileNotFoundError:
        say(f"{command[0]} is missing: run `make install`")
        status = 1
    except subprocess.TimeoutExpired:
        say(f"not done after {STEP_SECONDS_MAX} s")
        status = 1
    word = "passed" if status == 0 else "FAILED"
    say(f"    {name}: {word} in {time.monotonic() - started:.1f} s")
    return status == 0


def quiet() -> dict[str, str]:
    """The environment for every step: one thread, nobody called home."""
    return os.environ | {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "OMP_NUM_THREADS": "1",
    }


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
