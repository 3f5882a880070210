"""The node's side of Flower: a SuperNode that shows a run the training export and nothing else."""

import json
from dataclasses import dataclass
from pathlib import Path

from node.kernel.process import OnExit, SupervisedProcess, bare_environment, installed_program

# A SuperNode that died uncleanly counts as online until its heartbeat lapses, up to 90 s; until
# then the SuperLink refuses its restart and it ends at once.
RESTART_DELAY_SECONDS = 10.0


@dataclass(frozen=True)
class SuperNodePlace:
    """Whom the SuperNode talks to, who it is, and what it may show."""

    directory: Path  # its own: settings, log, installed bundles
    superlink: str  # HOST:PORT of the district's SuperLink
    root_certificate: Path
    private_key: Path  # ECDSA P-384, OpenSSH
    runtime_port: int  # on loopback, for its own child processes
    export: Path  # date,category,count; read by the app
    left: Path  # JSON lines; the app notes here what it sends
    identity: Path  # who this node is in training, and whom it takes for a member
    plain_updates: bool = False  # whether it may send its update outside of a secure sum


def supernode(place: SuperNodePlace, on_exit: OnExit | None = None) -> SupervisedProcess:
    """The SuperNode, ready to `start`; it is restarted whenever it ends."""
    return SupervisedProcess(
        "supernode",
        _argv(place),
        _environment(place.directory),
        place.directory / "supernode.log",
        restart_delay_seconds=RESTART_DELAY_SECONDS,
        on_exit=on_exit,
    )


def _argv(place: SuperNodePlace) -> list[str]:
    return [
        installed_program("flower-supernode"),
        *("--superlink", place.superlink),
        *("--root-certificates", str(place.root_certificate)),
        *("--auth-supernode-private-key", str(place.private_key)),
        *("--host", "127.0.0.1", "--port", str(place.runtime_port)),
        *("--node-config", str(_write_node_config(place))),
    ]


def _write_node_config(place: SuperNodePlace) -> Path:
    """As a file, for there a path may hold blanks and quotes."""
    place.directory.mkdir(parents=True, exist_ok=True)
    path = place.directory / "node.toml"
    lines = [
        f"export = {_quoted(place.export)}",
        f"left = {_quoted(place.left)}",
        f"identity = {_quoted(place.identity)}",
        f"vault = {_quoted(place.directory / 'vault')}",
        f"plain-updates = {json.dumps(place.plain_updates)}",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _quoted(path: Path) -> str:
    return json.dumps(str(path.resolve()), ensure_ascii=False)  # TOML knows no surrogate pairs


def _environment(directory: Path) -> dict[str, str]:
    return bare_environment(
        directory,
        FLWR_HOME=str(directory / "flwr"),
        FLWR_TELEMETRY_ENABLED="0",
        FLWR_DISABLE_UPDATE_CHECK="1",
        FLWR_SUPEREXEC_TASK_POLL_INTERVAL="0.2",
        OMP_NUM_THREADS="1",
    )
