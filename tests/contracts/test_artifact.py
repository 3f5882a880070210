"""The committed artifact is what the source says: by hash here, byte for byte where npm is."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from contracts.artifact import FILE, artifact

FOLDER = FILE.parent
INSTALL_TIMEOUT_SECONDS = 180
COMPILE_TIMEOUT_SECONDS = 120
CODE_BYTES_MAX = 24_576  # EIP-170


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", "compile.mjs", "--check"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=COMPILE_TIMEOUT_SECONDS,
    )


@pytest.fixture
def compiler(tmp_path: Path) -> Path:
    """A copy of contracts/ with solc and OpenZeppelin beside it."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are missing; install Node.js 20 or later to recompile")
    if not (FOLDER / "node_modules").is_dir():
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts"],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_SECONDS,
        )
        if done.returncode != 0:
            pytest.skip("npm could not fetch solc; run `npm ci` in contracts/ with a network")
    for name in ("HourSettlement.sol", "HourSettlement.json", "compile.mjs", "package.json"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    return tmp_path


def test_the_artifact_was_made_from_this_source() -> None:
    recorded = json.loads(FILE.read_text(encoding="utf-8"))["sourcesSha256"]
    source = (FOLDER / "HourSettlement.sol").read_bytes()
    assert recorded["HourSettlement.sol"] == hashlib.sha256(source).hexdigest(), (
        "run `npm ci && node compile.mjs` in contracts/ and commit both"
    )


def test_the_code_fits_a_chain() -> None:
    assert 0 < len(artifact().deployed_bytecode) <= CODE_BYTES_MAX


@pytest.mark.npm
def test_recompiling_gives_the_same_bytes(compiler: Path) -> None:
    done = check(compiler)
    assert done.returncode == 0, done.stderr


@pytest.mark.npm
def test_a_changed_source_or_artifact_is_found(compiler: Path) -> None:
    source = compiler / "HourSettlement.sol"
    original = source.read_text(encoding="utf-8")
    source.write_text(original.replace("7 days", "8 days"), encoding="utf-8")
    done = check(compiler)
    assert done.returncode == 1
    assert "bytecode" in done.stderr
    source.write_text(original, encoding="utf-8")
    artifact_file = compiler / "HourSettlement.json"
    tampered = artifact_file.read_text(encoding="utf-8").replace('"0x60', '"0x61', 1)
    artifact_file.write_text(tampered, encoding="utf-8")
    assert check(compiler).returncode == 1
