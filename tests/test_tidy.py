"""Our own rules as tests: codes, sizes, nothing left undone, time and chance as arguments."""

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("contracts", "coordinator", "federation", "node", "protos", "recount", "simulation")
GENERATED = ("_pb2.py", "_pb2_grpc.py", "_pb2.pyi")
LINES_MAX = 400
LONG_FOR_A_REASON = {
    "coordinator/cli.py": "one short function a command, read as one --help",
}
"""Files that are longer than LINES_MAX, and why one file reads better than two."""

TIME_AND_CHANCE = {  # where the program may ask for them, and why
    "node/kernel/clock.py": "the one system clock",
    "node/kernel/ids.py": "the one source of new ids and codes",
    "contracts/devchain.py": "a program's edge: it hands the system's time in",
    "federation/client_app.py": "an edge: Flower starts it, nobody can hand a clock in",
    "federation/server_app.py": "an edge: Flower starts it, nobody can hand a clock in",
    "federation/secagg/vault.py": "an edge: a file's age, in the app that Flower starts",
    "federation/guard/bundles.py": "an edge: the guard is a program of its own",
    "federation/guard/judge.py": "an edge: the guard is a program of its own",
}
LONG_FUNCTIONS = {
    "federation/step.py take_steps": "one compiled kernel, read in its order",
    "simulation/compare/command.py compare": "one paragraph an option, read as one --help",
}
"""Functions that are longer than a screen, and why one reads better than two."""

TEXT = {".py", ".proto", ".sol", ".mjs", ".js", ".css", ".html", ".md", ".toml", ".yml", ".sh"}


@cache
def committed() -> tuple[str, ...]:
    """Every file of the repository, as git names it."""
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return tuple(name for name in listing.stdout.splitlines() if (ROOT / name).is_file())


def python_files() -> list[str]:
    return [
        name
        for name in committed()
        if name.endswith(".py") and name.startswith(PACKAGES) and not name.endswith(GENERATED)
    ]


@cache
def tree(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"), name)


def refusals() -> Iterator[tuple[str, str, ast.ClassDef]]:
    """(code, file, class) of every refusal: a class with a `code` and a `message`."""
    for name in python_files():
        for one in ast.walk(tree(name)):
            if isinstance(one, ast.ClassDef) and (code := text_of(one, "code")):
                yield code, name, one


def text_of(owner: ast.ClassDef, attribute: str) -> str | None:
    for line in owner.body:
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant):
            [target] = line.targets
            if isinstance(target, ast.Name) and target.id == attribute:
                return str(line.value.value)
    return None


def test_every_refusal_has_a_code_of_its_own() -> None:
    """Only `federation` may say a code again: it is another process, without our imports."""
    codes = Counter(code for code, name, _ in refusals() if not name.startswith("federation/"))
    assert len(codes) > 30, "the search finds them"
    assert [code for code, count in codes.items() if count > 1] == []


@pytest.mark.parametrize(
    ("code", "name", "owner"), list(refusals()), ids=lambda one: getattr(one, "name", one)
)
def test_a_refusal_says_where_it_comes_from_and_what_is_wrong(
    code: str, name: str, owner: ast.ClassDef
) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z]+(_[a-z0-9]+)*", code), "slice.reason"
    bases = [base.id for base in owner.bases if isinstance(base, ast.Name)]
    if "DomainError" in bases:  # the chain's and Flower's own errors bring their sentence along
        assert text_of(owner, "message"), f"{name}: {owner.name} has no sentence"


def test_a_file_is_one_sitting() -> None:
    long = {
        name
        for name in python_files()
        if len((ROOT / name).read_text(encoding="utf-8").splitlines()) > LINES_MAX
    }
    assert sorted(long - LONG_FOR_A_REASON.keys()) == []
    assert sorted(LONG_FOR_A_REASON.keys() - set(committed())) == [], "take it off the list"


def test_nothing_is_left_undone() -> None:
    marks = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
    found = [
        f"{name}:{number}"
        for name in committed()
        if Path(name).suffix in TEXT and not name.startswith("contracts/node_modules")
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert found == []


def test_nothing_swallows_a_cancellation() -> None:
    # On Python 3.11 asyncio.wait_for loses a cancellation that arrives together with the answer:
    # Ctrl-C would be ignored now and then. asyncio.timeout does not.
    call = "asyncio." + "wait_for("
    parts = ("contracts/", "coordinator/", "federation/", "node/", "simulation/")
    found = [
        name
        for name in python_files()
        if name.startswith(parts) and call in (ROOT / name).read_text(encoding="utf-8")
    ]
    assert found == []


def test_time_and_chance_are_arguments() -> None:
    """`datetime.now`, `time.time`, `uuid4`, `random`: in the kernel and in the simulation only."""
    found = [
        f"{name}:{line}"
        for name in python_files()
        if not name.startswith("simulation/") and name not in TIME_AND_CHANCE
        for line in lines_that_ask(tree(name))
    ]
    assert found == []


def lines_that_ask(module: ast.Module) -> Iterator[int]:
    asked = {("datetime", "now"), ("datetime", "utcnow"), ("date", "today"), ("time", "time")}
    for one in ast.walk(module):
        match one:
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
                if (owner, attribute) in asked:
                    yield one.lineno
            case ast.ImportFrom(module="uuid", names=names):
                if any(name.name in ("uuid1", "uuid4") for name in names):
                    yield one.lineno
            case ast.Import(names=names):
                if any(name.name == "random" for name in names):
                    yield one.lineno
            case ast.ImportFrom(module="random"):
                yield one.lineno


def test_a_function_fits_a_screen() -> None:
    long = [
        f"{name} {one.name}"
        for name in python_files()
        for one in ast.walk(tree(name))
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        and (one.end_lineno or one.lineno) - one.lineno >= 70
        and "migrations/versions" not in name
    ]
    assert sorted(set(long) - LONG_FUNCTIONS.keys()) == []
    assert sorted(LONG_FUNCTIONS.keys() - set(long)) == [], "take it off the list"


def test_every_module_says_what_lives_in_it() -> None:
    silent = [
        name for name in python_files() if tree(name).body and ast.get_docstring(tree(name)) is None
    ]
    assert silent == []
