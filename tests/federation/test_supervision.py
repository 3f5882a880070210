"""A supervised child comes back when it dies, and goes, with its children, when it is told to."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from node.kernel.process import ProgramMissing, SupervisedProcess, bare_environment

WAIT_SECONDS = 10.0
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def supervised(
    directory: Path, program: str, *, restart_delay_seconds: float | None = 0.05
) -> tuple[SupervisedProcess, list[int]]:
    statuses: list[int] = []
    process = SupervisedProcess(
        "test",
        [sys.executable, "-c", program],
        bare_environment(directory),
        directory / "logs" / "test.log",
        restart_delay_seconds=restart_delay_seconds,
        on_exit=statuses.append,
    )
    return process, statuses


async def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Zombies count as dead: nobody may be there to bury them."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def logged(process: SupervisedProcess) -> list[int]:
    return [int(line) for line in process.log_path.read_text().split()]


def test_a_killed_child_comes_back(tmp_path: Path) -> None:
    async def story() -> None:
        process, statuses = supervised(tmp_path, "import time; time.sleep(60)")
        await process.start()
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: process.starts == 2 and process.pid is not None)
        assert process.pid != first
        assert statuses == [-signal.SIGKILL]
        await process.stop()
        assert process.pid is None
        assert statuses == [-signal.SIGKILL]

    asyncio.run(story())


def test_a_child_without_restart_ends_once(tmp_path: Path) -> None:
    async def story() -> None:
        program = "print('done'); raise SystemExit(3)"
        process, statuses = supervised(tmp_path, program, restart_delay_seconds=None)
        await process.start()
        await asyncio.wait_for(process.wait(), WAIT_SECONDS)
        assert statuses == [3]
        assert process.starts == 1
        assert process.log_path.read_text() == "done\n"
        await process.stop()

    asyncio.run(story())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_grandchildren_go_with_the_child(tmp_path: Path) -> None:
    async def story() -> None:
        process, _ = supervised(tmp_path, FAMILY)
        await process.start()
        await until(lambda: process.log_path.read_text().endswith("\n"))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        await until(lambda: len(logged(process)) == 2)
        orphan, grandchild = logged(process)
        assert not is_alive(orphan)
        assert is_alive(grandchild)
        await process.stop()
        assert not is_alive(grandchild)

    asyncio.run(story())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_child_goes_when_its_parent_is_killed(tmp_path: Path) -> None:
    child = "import os,time; print(os.getpid(), flush=True); time.sleep(60)"
    parent = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.federation.test_supervision import supervised\n"
        "async def main():\n"
        f"    process, _ = supervised(Path(sys.argv[1]), {child!r})\n"
        "    await process.start()\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).resolve().parents[2]
    running = subprocess.Popen([sys.executable, "-c", parent, str(tmp_path)], cwd=root)
    log = tmp_path / "logs" / "test.log"
    try:
        asyncio.run(until(lambda: log.exists() and log.read_text().endswith("\n")))
        pid = int(log.read_text())
        assert is_alive(pid)
    finally:
        running.kill()
        running.wait()
    asyncio.run(until(lambda: not is_alive(pid)))


def test_a_long_log_is_set_aside_while_its_writer_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.kernel.process.LOG_BYTES_MAX", 2000)
    monkeypatch.setattr("node.kernel.process.LOG_CHECK_SECONDS", 0.05)

    async def story() -> None:
        program = (
            "import time\nfor n in range(9999): print(n, 'x' * 90, flush=True); time.sleep(.005)"
        )
        process, _ = supervised(tmp_path, program)
        await process.start()
        await until(process.log_path.with_suffix(".old").exists)
        await until(lambda: 0 < process.log_path.stat().st_size < 2000)
        await process.stop()
        assert process.starts == 1

    asyncio.run(story())


def test_a_missing_program_is_a_sentence(tmp_path: Path) -> None:
    process = SupervisedProcess(
        "test",
        ["/nowhere/flower"],
        bare_environment(tmp_path),
        tmp_path / "test.log",
        restart_delay_seconds=1,
    )
    with pytest.raises(ProgramMissing, match="flower is not installed"):
        asyncio.run(process.start())


def test_a_child_inherits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINLI_SECRET", "open sesame")

    async def story() -> None:
        program = "import os; print(sorted(os.environ))"
        process, _ = supervised(tmp_path, program, restart_delay_seconds=None)
        await process.start()
        await asyncio.wait_for(process.wait(), WAIT_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            await process.stop()
        assert "LINLI_SECRET" not in process.log_path.read_text()

    asyncio.run(story())
