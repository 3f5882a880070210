"""One tree of real processes on loopback: started, killed outright, started again, ended together.

Whatever happens to the one who started them, nothing stays behind: leaving the tree ends all of
them, and the kernel does it where we are killed ourselves.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from node.kernel.process import bare_environment, installed_program, tied_to_parent
from simulation.refusals import StepFailed

HOST = "127.0.0.1"
READY_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 15.0
COMMAND_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.05
PORT_TRIES_MAX = 1_000
REASON_CHARACTERS_MAX = 400
OUTPUT_BYTES_MAX = 4 * 1024 * 1024

# Below the ports that systems lend to outgoing connections: while a killed process is down,
# nobody may be given its port by chance.
PORTS = range(20_000, 30_000)

T = TypeVar("T")


def free_ports(count: int) -> list[int]:
    """Different ports on loopback that nobody listens on."""
    found: set[int] = set()
    for _ in range(PORT_TRIES_MAX):
        port = random.choice(PORTS)  # noqa: S311 not a secret
        if port not in found and _is_free(port):
            found.add(port)
        if len(found) == count:
            return sorted(found)
    raise StepFailed(step="ports", process="this machine", reason="no free ports.", log="ss -ltn")


def environment(home: Path) -> dict[str, str]:
    """What our processes need, and nothing of the environment that we were started in."""
    return bare_environment(
        home,
        FLWR_TELEMETRY_ENABLED="0",
        FLWR_DISABLE_UPDATE_CHECK="1",
        OMP_NUM_THREADS="1",
        PYTHONUNBUFFERED="1",
    )


class Child:
    """One program that serves: it prints one JSON line with `ready` once it listens."""

    def __init__(self, name: str, argv: Sequence[str], *, home: Path, logs: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self.ready: dict[str, Any] = {}
        self.starts = 0
        self._argv = list(argv)
        self._home = home
        self._output = logs / f"{name}.out"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        process = self._process
        return process.pid if process and process.returncode is None else None

    async def start(self, *, step: str) -> float:
        """Return once it is ready, with the seconds that took; its failure is the step's."""
        assert self.pid is None, f"{self.name} already runs"
        began = time.monotonic()
        with self._output.open("wb") as output, self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tied_to_parent(self._argv),
                env=environment(self._home),
                cwd=self._home,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                start_new_session=True,  # Ctrl-C is ours to hear; they end in our order
            )
        self.starts += 1
        while (ready := self._ready_line()) is None:
            if self._process.returncode is not None:
                raise self.failed(step, f"it ended with status {self._process.returncode}.")
            if time.monotonic() - began > READY_TIMEOUT_SECONDS:
                raise self.failed(step, f"not ready within {READY_TIMEOUT_SECONDS:.0f} s.")
            await asyncio.sleep(POLL_SECONDS)
        self.ready = ready
        return time.monotonic() - began

    async def kill(self) -> None:
        """SIGKILL: it gets no chance to tidy up, like a machine that loses its power."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It stands still, as if all that it sends and hears were on a very slow road."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """SIGTERM, and if that is not heard in time, the end of its whole session."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                    await process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    def failed(self, step: str, reason: str) -> StepFailed:
        """The refusal that names this process, its last words and where to read on."""
        said = last_line(self.log)
        return StepFailed(
            step=step, process=self.name, reason=f"{reason} {said}".strip(), log=str(self.log)
        )

    def _ready_line(self) -> dict[str, Any] | None:
        lines = self._output.read_bytes()[:OUTPUT_BYTES_MAX].splitlines(keepends=True)
        for line in lines:
            if not line.endswith(b"\n"):
                continue  # still being written
            with contextlib.suppress(ValueError):
                content = json.loads(line)
                if isinstance(content, dict) and content.get("ready"):
                    return content
        return None


class ProcessTree:
    """All processes of one run, and the commands that it runs beside them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.logs = home / "logs"
        self.children: list[Child] = []

    async def __aenter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(child.stop() for child in self.children), return_exceptions=True)

    def add(self, name: str, argv: Sequence[str]) -> Child:
        """A child of the tree, not yet started."""
        child = Child(name, argv, home=self.home, logs=self.logs)
        self.children.append(child)
        return child

    async def command(
        self,
        program: str,
        *arguments: str,
        step: str,
        timeout_seconds: float = COMMAND_TIMEOUT_SECONDS,
    ) -> dict[str, Any]:
        """Run one of our commands to its end; its last line of output is JSON, or nothing."""
        status, output, said = await self.try_command(
            program, *arguments, timeout_seconds=timeout_seconds
        )
        if status != 0:
            raise StepFailed(
                step=step,
                process=" ".join([program, *arguments[:1]]),
                reason=said or f"it ended with status {status}.",
                log=str(self.logs / "commands.log"),
            )
        return _last_object(output)

    async def try_command(
        self, program: str, *arguments: str, timeout_seconds: float = COMMAND_TIMEOUT_SECONDS
    ) -> tuple[int, str, str]:
        """The exit status of a command, its output and the last line of what it complained."""
        process = await asyncio.create_subprocess_exec(
            *tied_to_parent([installed_program(program), *arguments]),
            env=environment(self.home),
            cwd=self.home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(timeout_seconds):
                output, errors = await process.communicate()
        except TimeoutError:
            return -1, "", f"no end within {timeout_seconds:.0f} s."
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        said = errors.decode(errors="replace").strip()
        with (self.logs / "commands.log").open("a", encoding="utf-8") as log:
            line = f"{program} {' '.join(arguments[:2])} -> {process.returncode}"
            log.write("\n".join(filter(None, [line, said])) + "\n")
        last = said.splitlines()[-1][-REASON_CHARACTERS_MAX:] if said else ""
        return process.returncode or 0, output.decode(errors="replace"), last


async def until(
    question: Callable[[], Awaitable[T | None]],
    *,
    what: str,
    step: str,
    log: Path,
    timeout_seconds: float,
    pause_seconds: float = 0.1,
) -> T:
    """Ask again and again until there is an answer, but not for ever."""
    deadline = time.monotonic() + timeout_seconds
    while (answer := await question()) is None:
        if time.monotonic() > deadline:
            reason = f"{what}, after {timeout_seconds:.0f} s."
            raise StepFailed(step=step, process="waiting", reason=reason, log=str(log))
        await asyncio.sleep(pause_seconds)
    return answer


def last_line(log: Path) -> str:
    """The last thing that a process said, for a person who has to find out why."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16 * 1024))
        lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[-REASON_CHARACTERS_MAX:] if lines else ""


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line of one of our modules that is no installed command."""
    return [sys.executable, "-m", module, *arguments]


def endpoint(port: int) -> str:
    return f"{HOST}:{port}"


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def _last_object(output: str) -> dict[str, Any]:
    lines = [line for line in output.splitlines() if line.strip()]
    with contextlib.suppress(json.JSONDecodeError):
        content: Mapping[str, Any] | object = json.loads(lines[-1]) if lines else {}
        if isinstance(content, dict):
            return content
    return {}
