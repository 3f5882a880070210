"""`python -m tests.audit`: do the pinned packages have known holes, as far as can be looked up?

A hole fails. What the advisory service does not know, or cannot be asked about, is counted and
said: a run without the service proves nothing, and does not pretend to.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SECONDS_MAX = 180
COMMAND = ("-m", "pip_audit", "-r", "constraints.txt", "--no-deps", "--disable-pip")


class Audited(NamedTuple):
    """How many pins were looked up, how many could not be, and what is wrong with which."""

    known: int
    unknown: int
    holes: list[str]


def read(report: str) -> Audited:
    """pip-audit's JSON, counted."""
    known = unknown = 0
    holes = []
    for one in json.loads(report)["dependencies"]:
        unknown += "skip_reason" in one
        known += "skip_reason" not in one
        holes += [f"{one['name']} {one['version']}: {hole['id']}" for hole in one.get("vulns", ())]
    return Audited(known, unknown, holes)


def main() -> int:
    """Ask, and say what was found; 1 where a hole is known."""
    command = [sys.executable, *COMMAND, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_MAX
        )
        found = read(done.stdout)
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        sys.stdout.write("NOT AUDITED: the advisory service could not be asked\n")
        return 0
    said = f"{found.known} pins looked up, {found.unknown} could not be"
    if not found.known:
        said = f"NOT AUDITED: the advisory service knows none of {found.unknown} pins"
    sys.stdout.write("\n".join([said, *found.holes]) + "\n")
    return 1 if found.holes else 0


if __name__ == "__main__":
    sys.exit(main())
