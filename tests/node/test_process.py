"""What an idle node is: small, soon there, and without the libraries that it does not need.

Figures are printed (pytest -s shows them); the only bound on time is a generous one.
"""

import json
import re
import time
from pathlib import Path
from statistics import median

import pytest

from simulation.processes import endpoint, free_ports
from tests.node.commands import (
    Served,
    enrol,
    linli,
    make_node,
    python,
    serving_node,
    serving_office,
)

pytestmark = pytest.mark.processes

RSS_BYTES_MAX = 110 * 2**20
MEMBER_RSS_BYTES_MAX = 135 * 2**20  # gRPC, protobuf and their threads are 20 MB of it
STARTS = 3
READY_SECONDS = 2.0  # what a node is built to do on a quiet machine
PATIENCE = 10  # how many times that a busy one may take
STRANGERS = ("torch", "flwr", "web3", "ray", "federation", "simulation", "numpy", "pydantic")
FOREIGN_FILES = ("libtorch", "/flwr/", "coincurve", "/numpy/")

SERVE_AND_SHOW = """
import asyncio, json, os, signal, sys, threading, urllib.request
from pathlib import Path
from node import settings
from node.app import Node
from node.kernel.clock import SystemClock
from node.serve import serve

def look():
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(600):
        try:
            opener.open(f"http://{sys.argv[2]}/", timeout=5).read()
            break
        except OSError:
            threading.Event().wait(0.05)
    os.kill(os.getpid(), signal.SIGTERM)

node = Node(settings.load(Path(sys.argv[1])), clock=SystemClock())
threading.Thread(target=look).start()
asyncio.run(serve(node, http=sys.argv[2], peer=sys.argv[3]))
node.close()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules if sys.modules[name]})))
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_node(tmp_path_factory.mktemp("house") / "plum")


def modules_after(code: str, *arguments: str | Path) -> set[str]:
    """Top-level modules that a Python of its own holds at the end of `code`."""
    ran = python(code, *arguments)
    assert ran.status == 0, ran.said
    return set(json.loads(ran.output.splitlines()[-1]))


def test_a_node_that_has_served_knows_no_strangers(directory: Path) -> None:
    loaded = modules_after(SERVE_AND_SHOW, directory, "127.0.0.1:23471", "127.0.0.1:23472")
    assert "litestar" in loaded, "it did serve"
    assert loaded.isdisjoint(STRANGERS), loaded.intersection(STRANGERS)


def test_nor_does_the_running_process(directory: Path) -> None:
    with serving_node(directory) as served:
        served.get("/", role="")
        mapped = maps(served)
    assert "sqlite" in mapped
    assert not any(library in mapped for library in FOREIGN_FILES)


def test_web3_comes_only_with_a_chain(directory: Path) -> None:
    """A configured chain is opened through `open_chain`, the only door to web3."""
    show = "import json, sys; print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"
    without = modules_after(f"import node.serve, node.member, node.audit, node.cli; {show}")
    assert "web3" not in without
    assert "web3" in modules_after(f"import contracts.client; {show}")
    asked = python(
        "import json, sys; from node import cli\n"
        "try: cli.app(['audit', sys.argv[1], '--json'])\n"
        "except SystemExit: print(json.dumps(sorted(sys.modules)))",
        directory,
    )
    assert "web3" not in json.loads(asked.output.splitlines()[-1])


def test_memory_of_an_idle_node(directory: Path) -> None:
    with serving_node(directory) as served:
        assert served.get("/", role="").status_code == 200
        served.get("/api/repairs")
        time.sleep(1)
        resident = memory_bytes(served)
    print(f"\nidle node: {resident / 1e6:.1f} MB resident")  # noqa: T201 (a figure)
    assert resident <= RSS_BYTES_MAX


def test_memory_of_an_idle_member(directory: Path, tmp_path: Path) -> None:
    """It listens for neighbours and speaks with its office; no chain is configured."""
    member, peer = make_node(tmp_path / "jade"), endpoint(free_ports(1)[0])
    with serving_office(tmp_path / "office") as office:
        enrol(tmp_path / "office", member, community="jade-garden", peer=peer)
        with serving_node(member, peer=peer) as served:
            assert served.get("/", role="").status_code == 200
            served.get("/api/repairs")
            time.sleep(2)
            resident, modules = memory_bytes(served), maps(served)
        assert office.get("/api/status", role="").json()["communities"][0]["is_here"]
    print(f"\nidle member: {resident / 1e6:.1f} MB resident")  # noqa: T201 (a figure)
    assert resident <= MEMBER_RSS_BYTES_MAX
    assert not any(library in modules for library in FOREIGN_FILES)


def test_seconds_until_it_serves(directory: Path) -> None:
    """Beside the same machine's `import torch`, for a figure that travels."""
    seconds = []
    for _ in range(STARTS):
        with serving_node(directory, is_clerk=False) as served:
            seconds.append(served.ready_seconds)
    began = time.monotonic()
    assert python("import torch").status == 0
    torch_seconds = time.monotonic() - began
    ready = median(seconds)
    ratio = ready / torch_seconds
    print(f"\nready: {ready:.2f} s, {ratio:.2f} times `import torch`")  # noqa: T201 (a figure)
    assert ready <= PATIENCE * READY_SECONDS


def test_a_command_needs_no_web_framework() -> None:
    assert linli("node", "--help").status == 0
    show = "import json, sys; print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"
    loaded = modules_after(f"import node.cli; {show}")
    assert loaded.isdisjoint({"litestar", "grpc", "uvicorn", *STRANGERS})


def maps(served: Served) -> str:
    """The files that the process has mapped."""
    return Path(f"/proc/{served.pid}/maps").read_text(encoding="utf-8")


def memory_bytes(served: Served) -> int:
    """VmRSS of the serving process."""
    status = Path(f"/proc/{served.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found.group(1)) * 1024
