"""A PostgreSQL of our own for one run: opponent (pgbench) and second database of the node."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "postgres"  # its programs refuse to run as root
SCALE = 10
CLIENTS, THREADS = 8, 2
COMMAND_SECONDS_MAX = 120


class Missing(Exception):
    """Something that a measurement needs is not on this machine; says what."""


@dataclass(frozen=True)
class Postgres:
    """A running cluster, reached through a socket in its own folder; fsync is on."""

    programs: Path
    folder: Path

    def url(self, database: str) -> str:
        """What a node calls this database."""
        return f"postgresql+psycopg://{ACCOUNT}@/{database}?host={self.folder}"

    def create(self, database: str) -> None:
        self._run("createdb", database)

    def fill(self) -> None:
        """pgbench's own tables, scale 10."""
        self._run("pgbench", "-i", "-q", "-s", str(SCALE), ACCOUNT)

    def tps(self, seconds: float) -> float:
        """pgbench's TPC-B-like transactions per second, 8 clients, each commit durable."""
        load = ("-n", "-c", str(CLIENTS), "-j", str(THREADS), "-T", str(round(seconds)))
        found = re.search(r"tps = ([0-9.]+)", self._run("pgbench", *load, ACCOUNT))
        assert found is not None, "pgbench prints its tps"
        return float(found.group(1))

    def _run(self, program: str, *arguments: str) -> str:
        return _run(self.programs / program, "-h", str(self.folder), *arguments)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A fresh cluster, gone afterwards; raises Missing."""
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="linli-bench-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, ACCOUNT)
        cluster = folder / "cluster"
        control = programs / "pg_ctl"
        _run(programs / "initdb", "-D", str(cluster), "-A", "trust", "-U", ACCOUNT)
        listen = f"-c listen_addresses='' -c unix_socket_directories='{folder}'"
        log = str(folder / "log")
        _run(control, "-D", str(cluster), "-w", "-l", log, "-o", listen, "start")
        try:
            yield Postgres(programs, folder)
        finally:
            _run(control, "-D", str(cluster), "-m", "immediate", "stop")


def _programs() -> Path:
    """Where Debian, or the PATH, keeps the newest PostgreSQL."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: int(one.parts[-2]))
    if (on_path := shutil.which("initdb")) is not None:
        folders.append(Path(on_path).parent)
    for folder in reversed(folders):
        if (folder / "initdb").exists() and (folder / "pgbench").exists():
            return folder
    raise Missing("PostgreSQL with pgbench (Debian: postgresql, postgresql-contrib)")


def _run(program: Path, *arguments: str) -> str:
    as_owner = ("runuser", "-u", ACCOUNT, "--") if os.geteuid() == 0 else ()
    done = subprocess.run(  # noqa: S603 (our own arguments)
        [*as_owner, str(program), *arguments],
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=True,
    )
    return done.stdout
