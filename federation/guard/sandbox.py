"""A child that can reach nothing: bubblewrap around a bare interpreter, under limits, used once.

The child has no network, no other process to see, no environment of ours and no file of the node:
what it may read comes over its pipe. It sees the interpreter, the installed packages and the
system's libraries, read-only. Limits hold twice: the kernel's for each process, and the guard's
own watch over all of them together, because the kernel's do not bind a child of root.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from federation.errors import ForecastError
from federation.guard import child
from federation.guard.child import Blobs, packed, unpacked
from federation.guard.pipes import ChildFailed, Pipes

SANDBOX_PROGRAM = "bwrap"
CHILD_FILE = "/guard/child.py"
HOME = "/scratch"  # inside the sandbox: its own, gone with it; nothing is installed below it
NOBODY = "65534"
WATCH_SECONDS = 0.1
END_SECONDS = 10.0
END_POLL_SECONDS = 0.01
PROBE_SECONDS = 10.0
READY = ("numpy", "flwr.app", "flwr.clientapp.utils", "flwr.common.serde")
READY_TO_TRAIN = (*READY, "torch")


class SandboxMissing(ForecastError):
    code = "guard.sandbox_missing"
    message = (
        "Training code from the office is only run in a sandbox, and there is none here: {reason} "
        "Install bubblewrap, or write sandbox = false into node.toml to do without."
    )


@dataclass(frozen=True)
class Limits:
    """What one task may use, at most."""

    wall_seconds: float = 900.0
    cpu_seconds: int = 900
    memory_bytes: int = 1536 * 1024 * 1024
    processes: int = 64
    scratch_bytes: int = 256 * 1024 * 1024
    output_bytes: int = 64 * 1024 * 1024


@dataclass
class Child:
    """One waiting child. It takes one task; whatever comes of it, the child is over then."""

    process: subprocess.Popen[bytes]
    limits: Limits
    inner_pid: int | None  # of the sandbox's first process, as seen from here
    scratch: Path | None  # where there is no sandbox
    said: bytes = b""  # on standard error, for the node's own log

    def run(self, task: Mapping[str, bytes], *, is_gone: Callable[[], bool]) -> Blobs:
        """The answer to the task; ChildFailed says which limit was passed."""
        pipes = Pipes(self.process, packed(task), answer_bytes_max=self.limits.output_bytes)
        deadline, next_watch = time.monotonic() + self.limits.wall_seconds, 0.0
        try:
            while pipes.answer is None:
                pipes.turn(WATCH_SECONDS)
                if (now := time.monotonic()) > deadline:
                    raise ChildFailed(reason=f"it took more than {self.limits.wall_seconds:.0f} s")
                if now > next_watch:
                    self._watch(is_gone)
                    next_watch = now + WATCH_SECONDS
            return unpacked(pipes.answer)
        except (ValueError, TypeError) as error:
            raise ChildFailed(reason="its answer is not of the agreed form") from error
        finally:
            pipes.close()
            self.said = bytes(pipes.said)
            self.end()

    def end(self) -> None:
        """End the child and all that it started; nothing of it is left when this returns."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + END_SECONDS  # its first process goes last, and by itself
        while _is_alive(self.inner_pid) and time.monotonic() < deadline:
            time.sleep(END_POLL_SECONDS)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _watch(self, is_gone: Callable[[], bool]) -> None:
        if is_gone():
            raise ChildFailed(reason="the run was stopped")
        if self.inner_pid is None:
            return
        pages = list(_resident_pages(self.inner_pid))
        if len(pages) > self.limits.processes:
            raise ChildFailed(reason=f"it started more than {self.limits.processes} processes")
        if sum(pages) * os.sysconf("SC_PAGE_SIZE") > self.limits.memory_bytes:
            megabytes = self.limits.memory_bytes // 1024 // 1024
            raise ChildFailed(reason=f"it used more than {megabytes} MB")


def start(
    *, limits: Limits, is_contained: bool, warm: Sequence[str], scratch_in: Path | None = None
) -> Child:
    """A child that imports what `warm` names and waits for its one task.

    Without a sandbox its scratch is a new folder in `scratch_in`, gone with it.
    """
    site = site_folders()
    scratch = None if is_contained else _new_folder(scratch_in)
    orders = {
        "home": str(scratch or HOME),
        "site": site,
        "warm": list(warm),
        "limits": {
            name: int(value)
            for name, value in asdict(limits).items()
            if name != "processes" or is_contained  # outside, it would count the user's others
        },
    }
    environment = _environment(str(scratch or HOME))
    python = os.path.realpath(sys.executable)
    program = [python, "-I", "-S", "-B"]
    if scratch is not None:
        process = _started([*program, str(child.__file__), json.dumps(orders)], environment)
        return Child(process, limits, inner_pid=None, scratch=scratch)
    with _as_file(_view(python, site, limits)) as handle, _pipe() as (told, telling):
        argv = [_bubblewrap(), "--args", str(handle), "--info-fd", str(telling)]
        argv += ["--", *program, CHILD_FILE, json.dumps(orders)]
        process = _started(argv, environment, handles=(handle, telling))
        os.close(telling)
        inner_pid = _inner_pid(told)
    return Child(process, limits, inner_pid=inner_pid, scratch=None)


def _new_folder(parent: Path | None) -> Path:
    if parent is not None:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="app-", dir=parent))


def sandbox_problem() -> str | None:
    """Why no sandbox can be made here, in a sentence; None where one can."""
    if sys.platform != "linux":
        return f"bubblewrap needs Linux, and this is {sys.platform}."
    if (program := shutil.which(SANDBOX_PROGRAM)) is None:
        return f"the program {SANDBOX_PROGRAM} (bubblewrap) is not installed."
    # the words that the real call needs too: --disable-userns came with bubblewrap 0.8
    words = ("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent")
    argv = [program, *words, "--ro-bind", "/", "/", "true"]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=PROBE_SECONDS, check=False)  # noqa: S603 (our own words)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start ({type(error).__name__})."
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[:200]
        return f"bubblewrap may not make namespaces here ({said})."
    return None


def site_folders() -> list[str]:
    """Where the installed packages lie, as the child is to find them."""
    paths = sysconfig.get_paths()
    return sorted({paths["purelib"], paths["platlib"]})


def _view(python: str, site: Sequence[str], limits: Limits) -> list[str]:
    """All that exists inside: libraries, interpreter, packages, one program, an empty scratch."""
    view = [
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"),
        *("--new-session", "--cap-drop", "ALL", "--uid", NOBODY, "--gid", NOBODY),
        *("--hostname", "sandbox"),
    ]
    for name in ("lib", "lib32", "lib64", "libx32"):
        view += ["--ro-bind-try", f"/usr/{name}", f"/usr/{name}"]
        if Path("/", name).is_symlink():
            view += ["--symlink", f"usr/{name}", f"/{name}"]
        else:
            view += ["--ro-bind-try", f"/{name}", f"/{name}"]
    standard_library = sysconfig.get_paths()["stdlib"]
    folders = [str(Path(standard_library).parent), *site]
    shared = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib")
    for folder in dict.fromkeys([*folders, str(shared)]):
        view += ["--ro-bind-try", folder, folder]
    view += [
        *("--ro-bind", python, python),
        *("--ro-bind", str(child.__file__), CHILD_FILE),
        *("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"),
        *("--size", str(limits.scratch_bytes), "--tmpfs", HOME, "--chdir", HOME),
        *("--remount-ro", "/"),
    ]
    return view


def _environment(home: str) -> dict[str, str]:
    """Bubblewrap's own as well as the child's: /proc/1/environ shows the former inside."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "FLWR_HOME": f"{home}/flwr",
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "OMP_NUM_THREADS": "1",
    }


def _bubblewrap() -> str:
    program = shutil.which(SANDBOX_PROGRAM)
    assert program is not None, "sandbox_problem has found it"
    return program


def _started(
    argv: Sequence[str], environment: Mapping[str, str], *, handles: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 (our own words)
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        pass_fds=handles,
        start_new_session=True,
        cwd="/",
    )


@contextlib.contextmanager
def _as_file(options: Sequence[str]) -> Iterator[int]:
    """Options that bubblewrap reads from a handle: its command line can be read inside."""
    handle = os.memfd_create("options", 0)
    try:
        os.write(handle, b"".join(one.encode() + b"\0" for one in options))
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    told, telling = os.pipe()
    try:
        yield told, telling
    finally:
        os.close(told)


def _inner_pid(told: int) -> int | None:
    """The sandbox's first process, which bubblewrap names; None if it could not start."""
    said = b""
    while heard := os.read(told, 4096):
        said += heard
    try:
        return int(json.loads(said)["child-pid"])
    except (ValueError, KeyError):
        return None


def _is_alive(pid: int | None) -> bool:
    """Whether the process runs; one that has ended and was not collected yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in "ZX"


def _resident_pages(inner_pid: int) -> Iterator[int]:
    """Memory pages of each process in the sandbox: all that share its process namespace."""
    try:
        namespace = os.readlink(f"/proc/{inner_pid}/ns/pid")
    except OSError:
        return  # it has ended
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                if os.readlink(f"/proc/{entry}/ns/pid") == namespace:
                    yield int(Path(f"/proc/{entry}/statm").read_text().split()[1])


def main() -> int:
    """For the node, which imports nothing of this package: exit status 2 and why, or 0."""
    problem = sandbox_problem()
    if problem is not None:
        print(SandboxMissing(reason=problem))  # noqa: T201 (the answer)
    return 0 if problem is None else 2


if __name__ == "__main__":
    sys.exit(main())
