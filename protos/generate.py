"""Make the message classes from the .proto files beside this one.

`python -m protos.generate` writes them; `--check` writes nothing and fails when they have drifted.
"""

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]  # it ships no types

HERE = Path(__file__).parent
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


def generate(target: Path) -> list[Path]:
    """Write the classes below `target`/protos; returns the files."""
    well_known = Path(protoc.__file__).parent / "_proto"
    sources = sorted(HERE.glob("*.proto"))
    arguments = [
        "protoc",
        f"-I{HERE.parent}",
        f"-I{well_known}",
        f"--python_out={target}",
        f"--pyi_out={target}",
        f"--grpc_python_out={target}",
        *(str(source) for source in sources),
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc refused a .proto file; its reason stands above")
    return [
        target / "protos" / f"{source.stem}{suffix}" for source in sources for suffix in SUFFIXES
    ]


def drifted() -> list[str]:
    """Names of generated files that are not what the .proto files say."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = generate(Path(folder))
        return [
            file.name
            for file in fresh
            if not (HERE / file.name).exists()
            or (HERE / file.name).read_bytes() != file.read_bytes()
        ]


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        if names := drifted():
            raise SystemExit(f"Run `make protos`: {', '.join(names)} differ from the .proto files")
    else:
        generate(HERE.parent)
