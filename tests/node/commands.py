"""Our commands as an operator runs them: real processes, free ports, nothing left behind."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple
from uuid import uuid4

import httpx

from node.kernel.process import bare_environment, installed_program, tied_to_parent
from simulation.processes import endpoint, free_ports

COMMAND_TIMEOUT_SECONDS = 60.0
READY_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 20.0
ANSWER_TIMEOUT_SECONDS = 20.0
POLL_SECONDS = 0.02
WHOLE_REFUSAL = re.compile(r"\S.* \(([a-z]+\.[a-z_]+)\)")


class Outcome(NamedTuple):
    """How a command ended."""

    status: int
    output: str
    said: str  # on standard error

    @property
    def json(self) -> Any:
        """What it printed for programs."""
        return json.loads(self.output)

    @property
    def code(self) -> str:
        """The stable code behind its last sentence; empty if that is not how we refuse."""
        last = self.said.strip().splitlines()[-1] if self.said.strip() else ""
        found = WHOLE_REFUSAL.fullmatch(last)
        return found.group(1) if found else ""


def linli(
    program: str, *arguments: str | Path, stdin: str = "", cwd: Path | None = None
) -> Outcome:
    """Run linli-PROGRAM to its end."""
    done = subprocess.run(
        [installed_program(f"linli-{program}"), *map(str, arguments)],
        env=_environment(cwd or Path("/")),
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_SECONDS,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def done(outcome: Outcome) -> Any:
    """The JSON of a command that must have worked."""
    assert outcome.status == 0, outcome.said
    return outcome.json


def make_node(directory: Path, *, name: str = "梅园") -> Path:
    """An empty node."""
    done(linli("node", "init", directory, "--name", name, "--json"))
    return directory


@dataclass
class Served:
    """A process that serves, what it said when it was ready, and how to ask it."""

    argv: list[str]
    log: Path
    ready: dict[str, Any] = field(default_factory=dict)
    ready_seconds: float = 0.0
    tokens: dict[str, str] = field(default_factory=dict)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> str:
        """Its log."""
        return self.log.read_text(encoding="utf-8")

    def start(self) -> None:
        """Return once it is ready."""
        began = time.monotonic()
        output = self.log.with_suffix(".out")
        with output.open("wb") as out, self.log.open("ab") as errors:
            self._process = self._spawn(out, errors)
        while b"\n" not in output.read_bytes():
            assert self._process.poll() is None, self.said
            assert time.monotonic() - began < READY_TIMEOUT_SECONDS, self.said
            time.sleep(POLL_SECONDS)
        self.ready_seconds = time.monotonic() - began
        self.ready = json.loads(output.read_text(encoding="utf-8").splitlines()[0])

    def terminate(self) -> int:
        """SIGTERM; its exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(STOP_TIMEOUT_SECONDS)

    def kill(self) -> None:
        """SIGKILL, like a machine that loses its power; harmless when it has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_SECONDS)

    def get(self, path: str, *, role: str = "clerk") -> httpx.Response:
        return self._ask("GET", path, role=role)

    def post(self, path: str, body: dict[str, Any] | None = None, *, acting_for: str = "") -> Any:
        """What a clerk's program gets for doing something once."""
        return self._did(self._ask("POST", path, body=body or {}, acting_for=acting_for))

    def put(self, path: str, body: dict[str, Any]) -> Any:
        return self._did(self._ask("PUT", path, body=body))

    def _did(self, answer: httpx.Response) -> Any:
        assert answer.is_success, answer.text
        return answer.json()

    def _ask(
        self,
        method: str,
        path: str,
        *,
        role: str = "clerk",
        body: dict[str, Any] | None = None,
        acting_for: str = "",
    ) -> httpx.Response:
        headers = {"Idempotency-Key": str(uuid4())} if method == "POST" else {}
        if role in self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens[role]}"
        if acting_for:
            headers["X-Acting-For"] = acting_for
        with httpx.Client(trust_env=False, timeout=ANSWER_TIMEOUT_SECONDS) as client:
            return client.request(method, self.ready["http"] + path, headers=headers, json=body)

    def _spawn(self, out: IO[bytes], errors: IO[bytes]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            tied_to_parent(self.argv),
            env=_environment(self.log.parent),
            cwd=self.log.parent,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
        )


@contextmanager
def serving(argv: list[str], *, log: Path) -> Iterator[Served]:
    """A serving process, ended whatever happens."""
    served = Served(argv, log)
    try:
        served.start()
        yield served
    finally:
        served.kill()


@contextmanager
def serving_node(directory: Path, *, peer: str = "", is_clerk: bool = True) -> Iterator[Served]:
    """`linli-node serve`, with a clerk's token at hand."""
    peer = peer or endpoint(free_ports(1)[0])
    argv = [installed_program("linli-node"), "serve", str(directory), "--peer", peer]
    argv += ["--http", endpoint(free_ports(1)[0])]
    with serving(argv, log=directory.parent / f"{directory.name}.log") as served:
        if is_clerk:
            made = done(linli("node", "token", directory, "--role", "clerk", "--json"))
            served.tokens["clerk"] = made["token"]
        yield served


@contextmanager
def serving_office(directory: Path) -> Iterator[Served]:
    """`linli-district serve` without training, its office founded if need be."""
    if not directory.exists():
        done(linli("district", "init", directory, "--name", "示例片区", "--json"))
    ports = (f"--{purpose}" for purpose in ("enrol", "member", "http"))
    where = [part for option in ports for part in (option, "127.0.0.1:0")]
    argv = [installed_program("linli-district"), "serve", str(directory), *where]
    with serving([*argv, "--superlink", "none"], log=directory.parent / "office.log") as served:
        yield served


def invite(office: Path, community: str) -> str:
    """An invitation's text."""
    made = done(
        linli("district", "invite", office, "--community", community, "--name", community, "--json")
    )
    return str(made["invitation"])


def enrol(office: Path, directory: Path, *, community: str, peer: str) -> str:
    """Make a node a member of a district whose office serves; the invitation it came with."""
    invitation = invite(office, community)
    joining = subprocess.Popen(
        [
            *(installed_program("linli-node"), "join", str(directory)),
            *("--invitation", invitation, "--peer", peer, "--json"),
        ],
        env=_environment(directory),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert joining.stderr is not None
        said = joining.stderr.readline()
        assert said.startswith("Sent."), said
        done(linli("district", "approve", office, "--community", community, "--json"))
        _, said = joining.communicate(timeout=COMMAND_TIMEOUT_SECONDS)
        assert joining.returncode == 0, said
    finally:
        joining.kill()
        joining.wait()
    return invitation


def python(code: str, *arguments: str | Path) -> Outcome:
    """Run a few lines in a Python of their own, from a folder that is not ours."""
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=_environment(Path("/")),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_SECONDS,
        check=False,
    )
    return Outcome(ran.returncode, ran.stdout, ran.stderr)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, to see later that nothing changed.

    SQLite's -wal and -shm come and go with its readers and say nothing of what was written.
    """
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
        if not path.name.endswith(("-wal", "-shm"))
    }


def _environment(home: Path) -> dict[str, str]:
    extra = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
    return bare_environment(home, OMP_NUM_THREADS="1", COLUMNS="200", **extra)
