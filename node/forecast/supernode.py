"""The node's side of Flower: a SuperNode that starts nothing itself, and the guard that may.

The guard (federation/guard, a program of its own) runs only what the operator approved, in a
sandbox where only a copy of the training export is seen, and keeps the list of what left.
"""

import asyncio
import json
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from node.kernel.errors import DomainError
from node.kernel.files import private_folder, write_file
from node.kernel.process import (
    OnExit,
    SupervisedProcess,
    bare_environment,
    installed_program,
    tied_to_parent,
)

# A SuperNode that died uncleanly counts as online until its heartbeat lapses, up to 90 s; until
# then the SuperLink refuses its restart and it ends at once.
RESTART_DELAY_SECONDS = 10.0
GUARD_RESTART_DELAY_SECONDS = 2.0  # nobody refuses it
SECRET_BYTES = 32
CHECK_SECONDS = 30.0


class SandboxMissing(DomainError):
    code = "training.sandbox_missing"
    message = "{problem}"


@dataclass(frozen=True)
class SuperNodePlace:
    """Whom the SuperNode talks to, who it is, and what it may show."""

    directory: Path  # its own: settings, log, state of runs
    superlink: str  # HOST:PORT of the district's SuperLink
    root_certificate: Path
    private_key: Path  # ECDSA P-384, OpenSSH
    runtime_port: int  # on loopback, for the guard
    export: Path  # date,category,count; an app sees a copy
    left: Path  # JSON lines; the guard notes here what leaves
    identity: Path  # who this node is in training, and whom it takes for a member
    bundles: Path  # what was asked to run, and what the operator said to it
    plain_updates: bool = False  # whether it may send its update outside of a secure sum
    approve_own_bundle: bool = True  # the app that is installed here needs no other approval
    sandbox: bool = True  # False: the operator does without


class GuardedSuperNode:
    """The two processes; each is started again whenever it ends. Alone neither runs any code."""

    def __init__(self, place: SuperNodePlace, on_exit: OnExit | None = None) -> None:
        self._place = place
        self.supernode = SupervisedProcess(
            "supernode",
            _supernode_argv(place),
            _environment(place.directory),
            place.directory / "supernode.log",
            restart_delay_seconds=RESTART_DELAY_SECONDS,
            on_exit=on_exit,
        )
        self.guard = SupervisedProcess(
            "guard",
            [sys.executable, "-m", "federation.guard", str(_guard_file(place))],
            _environment(place.directory),
            place.directory / "guard.log",
            restart_delay_seconds=GUARD_RESTART_DELAY_SECONDS,
        )

    @property
    def pid(self) -> int | None:
        """The SuperNode's process id; None while it is not running."""
        return self.supernode.pid

    async def start(self) -> None:
        """Start both; raises SandboxMissing where there is none and the operator wants one."""
        if self._place.sandbox:
            await _require_sandbox(self._place.directory)
        _prepare(self._place)
        await self.supernode.start()
        await self.guard.start()

    async def stop(self) -> None:
        """End both and all that they started."""
        await asyncio.gather(self.guard.stop(), self.supernode.stop())


async def _require_sandbox(directory: Path) -> None:
    """Ask the guard's own program whether it can make a sandbox on this machine."""
    process = await asyncio.create_subprocess_exec(
        *tied_to_parent([sys.executable, "-m", "federation.guard.sandbox"]),
        env=_environment(directory),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise SandboxMissing(problem="The sandbox could not be tried in time.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        problem = said.decode(errors="replace").strip()
        raise SandboxMissing(problem=problem or "The sandbox could not be tried.")


def _supernode_argv(place: SuperNodePlace) -> list[str]:
    return [
        installed_program("flower-supernode"),
        *("--superlink", place.superlink),
        *("--root-certificates", str(place.root_certificate)),
        *("--auth-supernode-private-key", str(place.private_key)),
        *("--host", "127.0.0.1", "--port", str(place.runtime_port)),
        *("--isolation", "process"),  # it starts nothing: whoever holds the secret may
        *("--superexec-auth-secret-file", str(_secret_file(place))),
    ]


def _prepare(place: SuperNodePlace) -> None:
    """A new secret, and what the guard is to know: read by it and by nobody else."""
    private_folder(place.directory)
    write_file(_secret_file(place), secrets.token_bytes(SECRET_BYTES), is_private=True)
    told = {
        "runtime": f"127.0.0.1:{place.runtime_port}",
        "secret": _whole(_secret_file(place)),
        "files": {"export": _whole(place.export), "identity": _whole(place.identity)},
        "values": {"plain-updates": place.plain_updates},
        "vault": _whole(place.directory / "vault"),
        "left": _whole(place.left),
        "bundles": _whole(place.bundles),
        "approve_own_bundle": place.approve_own_bundle,
        "sandbox": place.sandbox,
    }
    write_file(_guard_file(place), json.dumps(told, indent=1).encode(), is_private=True)


def _secret_file(place: SuperNodePlace) -> Path:
    return place.directory / "executor.secret"


def _guard_file(place: SuperNodePlace) -> Path:
    return place.directory / "guard.json"


def _whole(path: Path) -> str:
    return str(path.resolve())


def _environment(directory: Path) -> dict[str, str]:
    return bare_environment(
        directory,
        FLWR_HOME=str(directory / "flwr"),
        FLWR_TELEMETRY_ENABLED="0",
        FLWR_DISABLE_UPDATE_CHECK="1",
        OMP_NUM_THREADS="1",
    )
