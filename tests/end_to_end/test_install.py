"""A node is installed without torch, flwr, ray or web3, and everything it shows comes along.

Method: a wheel from a copy of the tree, into a fresh venv without extras, used from elsewhere.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

from node.kernel.process import bare_environment
from simulation.processes import endpoint, free_ports
from tests.node.commands import Served, serving

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "coordinator", "federation", "node", "protos", "recount", "simulation")
FILES = ("pyproject.toml", "constraints.txt", "README.md")
LEFT_OUT = ("torch", "flwr", "ray", "web3", "numpy", "matplotlib", "eth", "pytest")
INSTALL_TIMEOUT_SECONDS = 600
COMMAND_TIMEOUT_SECONDS = 60
SHOWN = {".css", ".html", ".js", ".json", ".po", ".proto", ".sol", ".svg"}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a venv with Linli and nothing that a node can do without."""
    folder = tmp_path_factory.mktemp("install")
    for package in PACKAGES:
        ignored = ignore_patterns("__pycache__", "node_modules")
        copytree(ROOT / package, folder / "tree" / package, ignore=ignored)
    for name in FILES:
        copy(ROOT / name, folder / "tree" / name)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [str(folder / "venv/bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    constraints = folder / "tree/constraints.txt"
    subprocess.run(
        [*pip, "-c", str(constraints), str(folder / "tree")],
        check=True,
        timeout=INSTALL_TIMEOUT_SECONDS,
    )
    return folder / "venv/bin"


def runs(programs: Path, name: str, *arguments: str | Path, cwd: Path) -> str:
    """The output of an installed program that must have worked."""
    ran = subprocess.run(
        [programs / name, *map(str, arguments)],
        env=bare_environment(cwd),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def served(programs: Path, tmp_path: Path) -> Iterator[Served]:
    """An installed node, made and served from a folder that holds nothing else."""
    runs(programs, "linli-node", "init", "plum", "--name", "梅园", cwd=tmp_path)
    http, peer = map(endpoint, free_ports(2))
    argv = [str(programs / "linli-node"), "serve", "plum", "--http", http, "--peer", peer]
    with serving(argv, log=tmp_path / "plum.log") as served:
        yield served


def test_what_a_node_can_do_without_is_not_there(programs: Path, tmp_path: Path) -> None:
    listed = json.loads(runs(programs, "pip", "list", "--format", "json", cwd=tmp_path))
    names = {package["name"].lower() for package in listed}
    assert "linli" in names
    assert names.isdisjoint(LEFT_OUT)
    runs(programs, "pip", "check", cwd=tmp_path)


def test_every_file_of_the_tree_is_in_the_wheel(programs: Path) -> None:
    [installed] = (programs.parent / "lib").glob("python3*/site-packages")
    assert not (installed / "tests").exists()
    tree = programs.parent.parent / "tree"
    wanted = {
        path.relative_to(tree)
        for package in PACKAGES
        for path in (tree / package).rglob("*")
        if path.suffix in SHOWN | {".py"} and not path.name.startswith("package")  # npm's
    }
    assert Path("node/web/templates/page.html") in wanted
    assert [path for path in sorted(wanted) if not (installed / path).exists()] == []


def test_it_serves_its_pages_in_both_languages(served: Served) -> None:
    page = served.get("/", role="")
    assert page.status_code == 200
    assert 'lang="zh' in page.text
    assert "报修" in page.text
    english = served.get("/?lang=en", role="").text
    assert "repair" in english.lower()
    assert served.get("/static/linli.css", role="").status_code == 200


def test_its_books_are_written_and_audited(programs: Path, served: Served, tmp_path: Path) -> None:
    made = runs(programs, "linli-node", "token", "plum", "--role", "clerk", "--json", cwd=tmp_path)
    served.tokens["clerk"] = json.loads(made)["token"]
    resident = served.post("/api/residents", {"name": "王", "phone": "13900000001"})["id"]
    report = {"title": "路灯不亮", "description": "坏了", "location": "三号楼"}
    served.post("/api/repairs", report, acting_for=resident)
    assert served.terminate() == 0
    found = json.loads(runs(programs, "linli-node", "audit", "plum", "--json", cwd=tmp_path))
    assert found["ok"] is True
    migrated = runs(programs, "linli-node", "migrate", "plum", "--json", cwd=tmp_path)
    assert json.loads(migrated)["before"] == json.loads(migrated)["after"]


@pytest.mark.parametrize("program", ["linli-node", "linli-district"])
def test_every_program_explains_itself(programs: Path, tmp_path: Path, program: str) -> None:
    assert "Usage" in runs(programs, program, "--help", cwd=tmp_path)


def test_the_office_serves_without_extras(programs: Path, tmp_path: Path) -> None:
    runs(programs, "linli-district", "init", "office", "--name", "片区", cwd=tmp_path)
    ports = [part for name in ("enrol", "member", "http") for part in (f"--{name}", "127.0.0.1:0")]
    argv = [str(programs / "linli-district"), "serve", "office", *ports]
    with serving(argv, log=tmp_path / "office.log") as served:
        assert served.get("/", role="").status_code == 200
        assert served.ready["superlink"] is None
        assert served.terminate() == 0
