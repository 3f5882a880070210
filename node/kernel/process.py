"""A child process that is kept running, and that never outlives the one who started it.

On Linux the child asks the kernel for SIGTERM when its parent dies, also by SIGKILL. Elsewhere
nothing like that exists: there a parent that is killed outright leaves its children running, and
the operator's service manager has to end them. Either way the child leads a session of its own,
and `stop` ends everything in it, grandchildren included.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from node.kernel.errors import DomainError

STOP_GRACE_SECONDS = 10.0  # between SIGTERM and SIGKILL
LEFTOVER_GRACE_SECONDS = 2.0  # for grandchildren, once the child itself is gone
LEFTOVER_POLL_SECONDS = 0.05
LOG_BYTES_MAX = 16 * 1024 * 1024  # a longer log is set aside as .old, over an older one
LOG_CHECK_SECONDS = 60.0

NO_SIGNAL = 0  # only asks whether somebody is there

OnExit = Callable[[int], None]

# Runs between fork and exec, as a program of its own: nothing of ours may run in a forked copy of a
# process with threads. If the parent died before the wish was made, nobody is left to grant it to.
_TIED_TO_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit(0)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ProgramMissing(DomainError):
    code = "kernel.program_missing"
    message = "The program {program} is not installed here."


class SupervisedProcess:
    """Starts a program, starts it again whenever it ends, and ends it on `stop`.

    `on_exit` is told every exit status that `stop` did not ask for (negative: the signal),
    before the restart. A restart waits `restart_delay_seconds`; None: it is not started again.
    Start it from a thread that lives as long as the process: Linux ties the child to that thread.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        log_path: Path,
        *,
        restart_delay_seconds: float | None,
        on_exit: OnExit | None = None,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self.starts = 0
        self._argv = list(argv)
        self._env = dict(env)
        self._restart_delay_seconds = restart_delay_seconds
        self._on_exit = on_exit
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id; None while it is not running."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def start(self) -> None:
        """Start the program and watch over it; refused if it is not installed."""
        assert self._watch is None, f"{self.name} is already supervised"
        if shutil.which(self._argv[0], path=self._env.get("PATH")) is None:
            raise ProgramMissing(program=Path(self._argv[0]).name)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        await self._spawn()
        self._watch = asyncio.create_task(self._keep_running(), name=f"supervise {self.name}")

    async def wait(self) -> None:
        """Return once the program has ended and will not be started again."""
        if self._watch is not None:
            await asyncio.shield(self._watch)

    async def stop(self) -> None:
        """End the program and all that it started; harmless if it is not running."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            _signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_GRACE_SECONDS):
                    await process.wait()
        await _end_group(process.pid)
        await process.wait()

    async def _spawn(self) -> None:
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tied_to_parent(self._argv),
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1

    async def _keep_running(self) -> None:
        while True:
            assert self._process is not None
            status = await self._watched_exit(self._process)
            await _end_group(self._process.pid)  # a half-dead family would hold its ports
            if self._on_exit is not None:
                self._on_exit(status)
            if self._restart_delay_seconds is None:
                return
            await self._start_again(self._restart_delay_seconds)

    async def _start_again(self, delay_seconds: float) -> None:
        """Try until it starts: a full disk or process table passes."""
        is_started = False
        while not is_started:
            await asyncio.sleep(delay_seconds)
            with contextlib.suppress(OSError):
                await self._spawn()
                is_started = True

    async def _watched_exit(self, process: asyncio.subprocess.Process) -> int:
        """The exit status; meanwhile the log is kept within its limit."""
        exited = asyncio.ensure_future(process.wait())
        try:
            while not exited.done():
                _set_aside_long_log(self.log_path)
                await asyncio.wait([exited], timeout=LOG_CHECK_SECONDS)
            return exited.result()
        finally:
            exited.cancel()


def installed_program(name: str) -> str:
    """Where a program that was installed beside this interpreter lies (a venv's bin)."""
    return str(Path(sys.executable).parent / name)


def bare_environment(home: Path, **extra: str) -> dict[str, str]:
    """An environment that holds nothing of ours: no secret reaches a child by accident."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", **extra}


def tied_to_parent(argv: Sequence[str]) -> list[str]:
    """The same command, ended by the kernel when the calling process dies (Linux only)."""
    if sys.platform != "linux":
        return list(argv)
    return [sys.executable, "-I", "-S", "-c", _TIED_TO_PARENT, str(os.getpid()), *argv]


def _set_aside_long_log(path: Path) -> None:
    """Copy and empty: the child holds the file open and appends, so it cannot be renamed."""
    with contextlib.suppress(OSError):  # a log is not worth the process
        if path.stat().st_size > LOG_BYTES_MAX:
            shutil.copyfile(path, path.with_suffix(".old"))
            os.truncate(path, 0)


def _signal_group(group_id: int, number: int) -> bool:
    """Signal every process of the group; False if there is none left."""
    try:
        os.killpg(group_id, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says this of a group of zombies
        return False
    return True


async def _end_group(group_id: int) -> None:
    """Give what is left of the group a moment to go by itself, then end it."""
    rounds = int(LEFTOVER_GRACE_SECONDS / LEFTOVER_POLL_SECONDS)
    is_there = _signal_group(group_id, signal.SIGTERM)
    for _ in range(rounds):
        if not is_there:
            return
        await asyncio.sleep(LEFTOVER_POLL_SECONDS)
        is_there = _signal_group(group_id, NO_SIGNAL)
    _signal_group(group_id, signal.SIGKILL)
