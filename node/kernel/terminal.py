"""How our commands speak: results on stdout, a refusal as one sentence on stderr and status 2."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import typer

from node.kernel.errors import DomainError
from node.kernel.logs import configure_logs

REFUSED = 2  # exit status: nothing was done, and the sentence says why


def run(application: typer.Typer) -> None:
    """Run a command line; refusals become a sentence with its code, never a traceback."""
    configure_logs()
    try:
        application()
    except DomainError as refusal:
        print(f"{refusal} ({refusal.code})", file=sys.stderr)  # noqa: T201
        sys.exit(REFUSED)


def say(facts: Mapping[str, Any], *, as_json: bool, sentence: str) -> None:
    """One JSON object for programs, or a sentence for people."""
    print(json.dumps(facts, ensure_ascii=False) if as_json else sentence)  # noqa: T201
