"""The app that nodes are asked to run: the two Flower apps and what they import, nothing else.

The same sources give the same bytes, so that an operator who has read them can approve the hash.
As a program, for the office, which imports nothing of this package:

    python -m federation.bundle FOLDER FILE

writes the sources to FOLDER and the very bytes that nodes will be sent to FILE, and prints the
hash.
"""

import argparse
import ast
import hashlib
import json
import shutil
import tempfile
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


def packed_bundle(folder: Path) -> bytes:
    """The bytes that Flower makes of such a folder and sends to the nodes."""
    from flwr.cli.build import build_fab_from_disk  # half a second, and only needed here

    return build_fab_from_disk(folder)


def own_sha256() -> str:
    """The hash of the bundle of the sources that are installed here."""
    with tempfile.TemporaryDirectory() as folder:
        return hashlib.sha256(packed_bundle(build_bundle(Path(folder) / "app"))).hexdigest()


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
    return Path(__file__).resolve().parent


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


def main() -> None:
    """Write the bundle and print its hash."""
    parser = argparse.ArgumentParser(description="Build the app that nodes are asked to run.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path)
    asked = parser.parse_args()
    content = packed_bundle(build_bundle(asked.folder))
    asked.file.write_bytes(content)
    print(json.dumps({"sha256": hashlib.sha256(content).hexdigest()}))  # noqa: T201 (the answer)


if __name__ == "__main__":
    main()
