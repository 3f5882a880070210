"""The app that nodes are asked to run: the two Flower apps and what they import, nothing else.

The same sources give the same bytes, so that an operator who has read them can approve the hash.
"""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "federation"
APPS = ("client_app.py", "server_app.py")
PROJECT_FILE = "flower_app.toml"  # shipped as pyproject.toml, the name that Flower looks for


def build_bundle(target_dir: Path) -> Path:
    """Write the app's folder anew and return it."""
    source = _source()
    package = target_dir / PACKAGE
    if package.exists():
        shutil.rmtree(package)  # whatever lies there would be shipped
    target_dir.mkdir(parents=True, exist_ok=True)
    (target_dir / "pyproject.toml").write_bytes((source / PROJECT_FILE).read_bytes())
    for name in bundle_files():
        copy = package / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((source / name).read_bytes())
    return target_dir


def bundle_files() -> tuple[str, ...]:
    """What the apps need of the package, directly or not, as names inside it."""
    source = _source()
    found: set[str] = set()
    waiting = set(APPS)
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= set(_imported_by(source / name, source)) - found
    return tuple(sorted(found))


def _source() -> Path:
    return Path(__file__).resolve().parent.parent / PACKAGE


def _imported_by(file: Path, source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == PACKAGE:
                for alias in node.names:
                    yield from _files_of([*parts[1:], alias.name], source)


def _files_of(parts: list[str], source: Path) -> Iterator[str]:
    """The files that `from a.b import c` reads: each package's own, and the module's."""
    for length in range(len(parts) + 1):
        path = Path(*parts[:length])
        for name in (path / "__init__.py", path.with_suffix(".py") if length else None):
            if name is not None and (source / name).is_file():
                yield name.as_posix()
