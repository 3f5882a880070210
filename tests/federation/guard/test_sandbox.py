"""A malicious app, deliberately approved: what it reaches, and what ends it."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.guard.pipes import ChildFailed
from federation.guard.sandbox import HOME, READY, Limits, start
from tests.federation.guard.apps import found_by, make_task, question, small_bundle

pytestmark = pytest.mark.usefixtures("sandbox")

SECRET = "a-secret-of-the-node"
MARK = "linli-guard-test-mark"
MEGABYTE = 1024 * 1024
SMALL = Limits(wall_seconds=60, cpu_seconds=60, memory_bytes=400 * MEGABYTE, processes=24)


def run(body: str, *, limits: Limits = SMALL, files: dict[str, bytes] | None = None) -> Any:
    child = start(limits=limits, is_contained=True, warm=READY)
    task = question(make_task(small_bundle(body)), files)
    return found_by(child.run(task, is_gone=lambda: False))


@pytest.fixture
def listener() -> Iterator[int]:
    """Something on loopback that would answer, as the SuperNode's port does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: _accept(server), daemon=True).start()
        yield int(server.getsockname()[1])


def _accept(server: socket.socket) -> None:
    try:
        server.accept()
    except OSError:
        return


def test_it_sees_the_export_and_no_other_file_of_the_node(tmp_path: Path) -> None:
    """Database, keys, the guard's own settings, the export's true place, and this machine's."""
    for name in ("node.sqlite", "signing.key", "guard.json", "training.csv"):
        (tmp_path / name).write_text(SECRET)
    found = run(
        f"""
        found = {{}}
        targets = [*{[str(tmp_path / "node.sqlite"), str(tmp_path / "signing.key")]!r},
            *{[str(tmp_path / "guard.json"), str(tmp_path / "training.csv")]!r},
            "/etc/passwd", "/etc/shadow", "/root/.bashrc", "/proc/1/root/etc/passwd", {__file__!r}]
        for path in targets:
            try:
                found[path] = open(path).read(100)
            except OSError as error:
                found[path] = type(error).__name__
        folders = {{path: sorted(os.listdir(path)) for path in ("/", "{HOME}", "/guard")}}
        export = Path(context.node_config["export"]).read_text()
        return answer(message, [found, folders, export, dict(context.node_config)])
        """,
        files={"export": b"date,category,count\n"},
    )
    seen, folders, export, node_config = found
    allowed = {"FileNotFoundError", "PermissionError", "NotADirectoryError"}
    assert set(seen.values()) <= allowed, seen
    assert export == "date,category,count\n"
    assert folders[HOME] == ["app", "export", "vault"]
    assert folders["/guard"] == ["child.py"]
    assert not {"etc", "home", "var", "sys", "run", "opt"} & set(folders["/"]), folders
    assert node_config["export"] == f"{HOME}/export"
    assert str(tmp_path) not in str(node_config)


def test_it_reads_no_secret_from_environment_or_command_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINLI_SECRET", SECRET)
    monkeypatch.chdir(tmp_path)
    said, processes = run(
        """
        said = [json.dumps(dict(os.environ))]
        numbers = [one for one in os.listdir("/proc") if one.isdecimal()]
        for one in numbers:
            for name in ("environ", "cmdline", "mountinfo"):
                try:
                    said.append(open(f"/proc/{one}/{name}", errors="replace").read())
                except OSError:
                    pass
            for handle in os.listdir(f"/proc/{one}/fd"):
                try:
                    said.append(os.readlink(f"/proc/{one}/fd/{handle}"))
                except OSError:
                    pass
        return answer(message, ["\\n".join(said), len(numbers)])
        """
    )
    assert processes == 2  # bubblewrap's first process and the app's own
    assert SECRET not in said
    assert str(tmp_path) not in said
    assert "token" not in said.lower()


def test_it_reaches_no_network(listener: int) -> None:
    found = run(
        f"""
        found = {{}}
        for address in (("127.0.0.1", {listener}), ("198.51.100.1", 443), ("10.0.0.1", 22)):
            try:
                socket.create_connection(address, timeout=2).close()
                found[str(address)] = "connected"
            except OSError as error:
                found[str(address)] = type(error).__name__
        try:
            found["dns"] = socket.gethostbyname("example.org")
        except OSError as error:
            found["dns"] = type(error).__name__
        interfaces = [name for _, name in socket.if_nameindex()]
        return answer(message, [found, interfaces])
        """
    )
    reached, interfaces = found
    assert not [name for name, what in reached.items() if what == "connected"], reached
    assert reached["dns"] == "gaierror"
    assert interfaces == ["lo"]


def test_it_writes_nowhere_but_into_its_own_scratch(tmp_path: Path) -> None:
    """And gives itself no new rights: limits, namespaces and mounts stay as they are."""
    found = run(
        f"""
        import ctypes, resource, site
        tried = {{}}
        places = ["/", "/usr/lib", "/guard", "/dev", "/dev/shm", "/proc", {str(tmp_path)!r},
            os.path.dirname(socket.__file__), os.path.dirname(sys.modules["flwr"].__file__)]
        for place in places:
            try:
                Path(place, "{MARK}").write_text("here")
                tried[place] = "written"
            except OSError as error:
                tried[place] = type(error).__name__
        try:
            resource.setrlimit(resource.RLIMIT_DATA, (2**40, 2**40))
            tried["limit"] = "raised"
        except (ValueError, OSError) as error:
            tried["limit"] = type(error).__name__
        library = ctypes.CDLL(None, use_errno=True)
        tried["namespace"] = library.unshare(0x10000000)
        tried["mount"] = library.mount(b"none", b"/scratch", b"tmpfs", 0, None)
        tried["user"] = os.getuid()
        Path("{HOME}/own").write_text("fine")
        return answer(message, tried)
        """
    )
    assert found.pop("limit") in ("ValueError", "PermissionError")
    assert (found.pop("namespace"), found.pop("mount")) == (-1, -1)
    assert found.pop("user") == 65534
    assert "written" not in found.values(), found
    assert not list(tmp_path.iterdir())


def marked_processes() -> list[int]:
    """Processes of this machine that carry the test's mark on their command line."""
    marked = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if MARK.encode() in (entry / "cmdline").read_bytes():
                    marked.append(int(entry.name))
            except OSError:
                continue
    return marked


FORKS = f"""
program = "import time; time.sleep(600)"
for _ in range({{count}}):
    try:
        if os.fork() == 0:
            {{work}}
            os.execv(sys.executable, [sys.executable, "-S", "-c", program, "{MARK}"])
    except OSError:
        break
time.sleep(600)
"""


def test_a_fork_bomb_is_ended_with_all_its_children() -> None:
    with pytest.raises(ChildFailed, match="more than 24 processes"):
        run(FORKS.format(count=200, work="pass"), limits=Limits(wall_seconds=30, processes=24))
    assert not marked_processes()


def test_memory_is_bounded_for_one_process_and_for_all_together() -> None:
    found = run(
        """
        try:
            block = bytearray(900 * 1024 * 1024)
            return answer(message, "taken")
        except MemoryError:
            return answer(message, "refused")
        """
    )
    assert found == "refused"
    work = "block = bytearray(os.urandom(1024)) * (200 * 1024); time.sleep(600)"
    with pytest.raises(ChildFailed, match="more than 400 MB"):
        run(FORKS.format(count=4, work=work))
    assert not marked_processes()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("time.sleep(600)", "took more than 8 s"),
        ("os._exit(0)", "without an answer"),
        ("os.kill(os.getpid(), 9)", "without an answer"),
        ("return answer(message, 'x' * 3_000_000)", "more than 1024 kB"),
        (
            "for handle in range(3, 32):\n"
            "    try:\n"
            "        os.write(handle, b'\\xff' * 4096)\n"
            "    except OSError:\n"
            "        pass\n"
            "time.sleep(600)",
            "more than 1024 kB",
        ),
        (
            "for handle in range(3, 32):\n"
            "    try:\n"
            "        os.write(handle, (4).to_bytes(8, 'big') + b'none')\n"
            "    except OSError:\n"
            "        pass\n"
            "time.sleep(600)",
            "not of the agreed form",
        ),
    ],
)
def test_an_app_that_does_not_end_well_is_ended(body: str, reason: str) -> None:
    limits = Limits(wall_seconds=8, memory_bytes=400 * MEGABYTE, output_bytes=MEGABYTE)
    with pytest.raises(ChildFailed, match=reason):
        run(body, limits=limits)


def test_an_app_that_never_stops_talking_fills_nothing() -> None:
    child = start(limits=SMALL, is_contained=True, warm=READY)
    body = "for _ in range(400): print('x' * 10_000)\nreturn answer(message, 'done')"
    assert found_by(child.run(question(make_task(small_bundle(body))), is_gone=lambda: False))
    assert len(child.said) <= 64 * 1024


def test_a_stopped_run_ends_its_child() -> None:
    child = start(limits=SMALL, is_contained=True, warm=())
    with pytest.raises(ChildFailed, match="was stopped"):
        child.run(question(make_task(small_bundle("time.sleep(600)"))), is_gone=lambda: True)
    assert child.process.returncode is not None


def test_a_child_takes_one_task() -> None:
    child = start(limits=SMALL, is_contained=True, warm=READY)
    task = question(make_task(small_bundle("return answer(message, os.getpid())")))
    child.run(task, is_gone=lambda: False)
    assert child.process.returncode is not None
    with pytest.raises(ValueError, match="closed"):
        child.run(task, is_gone=lambda: False)


GUARD = """
import sys, time
from federation.guard.sandbox import Limits, start
child = start(limits=Limits(), is_contained=True, warm=())
print(child.inner_pid, flush=True)
time.sleep(600)
"""


def test_a_guard_that_is_killed_leaves_no_child_behind() -> None:
    guard = subprocess.Popen([sys.executable, "-c", GUARD], stdout=subprocess.PIPE, text=True)
    try:
        assert guard.stdout is not None
        inner = guard.stdout.readline().strip()
        child = Path("/proc", inner, "cmdline")
        deadline = time.monotonic() + 10
        while not Path("/proc", inner, "task", inner, "children").read_text():
            # Bubblewrap ties it to its parent just before the app's process is made.
            assert time.monotonic() < deadline, "the sandbox did not begin"
            time.sleep(0.01)
    finally:
        guard.kill()
        guard.wait()
    deadline = time.monotonic() + 10
    while _still_runs(child):
        assert time.monotonic() < deadline, "the sandbox outlived its guard"
        time.sleep(0.05)


def _still_runs(command_line: Path) -> bool:
    """One that has ended has no command line, collected or not."""
    try:
        return bool(command_line.read_bytes())
    except OSError:
        return False
