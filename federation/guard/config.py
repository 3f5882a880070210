"""What the node tells its guard: one file, written by node/forecast/supernode.py at each start."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federation.errors import ForecastError


class GuardMisconfigured(ForecastError):
    code = "guard.misconfigured"
    message = "The guard's own settings in {path} cannot be used: {reason}."


@dataclass(frozen=True)
class GuardConfig:
    """Where the SuperNode answers, what an app may see, and where the guard keeps its own."""

    runtime: str  # HOST:PORT of the SuperNode on loopback
    secret: Path  # without it the SuperNode hands out no task
    files: Mapping[str, Path]  # copies of these are all that an app ever sees of the node
    values: Mapping[str, Any]  # settings that the app may read
    vault: Path  # an app's own state of each run, unread
    left: Path  # JSON lines: all that left the house
    bundles: Path  # what the operator approved
    approve_own_bundle: bool  # the app that is installed here needs no other approval
    sandbox: bool  # False: the operator does without

    @classmethod
    def load(cls, path: Path) -> "GuardConfig":
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                runtime=str(content["runtime"]),
                secret=Path(content["secret"]),
                files={str(name): Path(each) for name, each in content["files"].items()},
                values=dict(content["values"]),
                vault=Path(content["vault"]),
                left=Path(content["left"]),
                bundles=Path(content["bundles"]),
                approve_own_bundle=content["approve_own_bundle"] is True,
                sandbox=content["sandbox"] is not False,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise GuardMisconfigured(path=str(path), reason=type(error).__name__) from error
