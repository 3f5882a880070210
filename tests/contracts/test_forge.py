"""What holds after any sequence of acts: forge's fuzz and invariants, and that they can fail."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from contracts.artifact import FILE

pytestmark = pytest.mark.npm

FOLDER = FILE.parent
PACKAGE = "@foundry-rs/forge-linux-amd64"
TIMEOUT_SECONDS = 1_800  # 50 seconds of work, on a machine that may be busy
FEW_RUNS = {"FOUNDRY_INVARIANT_RUNS": "12", "FOUNDRY_FUZZ_RUNS": "24"}


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A copy of contracts/ with the compiler and forge beside it."""
    modules = FOLDER / "node_modules"
    if not shutil.which("node") or not (modules / PACKAGE / "bin" / "forge").exists():
        pytest.skip(f"forge is missing; `npm install --no-save {PACKAGE}` in contracts/ brings it")
    folder = tmp_path / "contracts"
    folder.mkdir()
    for name in ("HourSettlement.sol", "foundry.toml"):
        shutil.copy(FOLDER / name, folder)
    shutil.copytree(FOLDER / "forge", folder / "forge")
    (folder / "node_modules").symlink_to(modules)
    return folder


def forge(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    program = folder / "node_modules" / PACKAGE / "bin" / "forge"
    return subprocess.run(
        [str(program), "test", "--root", str(folder), "--use", str(folder / "forge" / "solc.mjs")],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )


def test_the_invariants_hold(workshop: Path) -> None:
    done = forge(workshop)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 passed; 0 failed; 0 skipped" in done.stdout


@pytest.mark.parametrize(
    ("check", "instead", "broken"),
    [
        (
            "if (!_isSigned(position.signer",
            "if (false && !_isSigned(position.signer",
            "nobodySigns",
        ),
        ("if (deltaMinutes < 0 && balance", "if (false && balance", "noSettlementCrossesALimit"),
        ("position.sequence = entry.sequence + 1;", "", "aBatchServesOnce"),
    ],
)
def test_a_planted_bug_is_caught(workshop: Path, check: str, instead: str, broken: str) -> None:
    source = workshop / "HourSettlement.sol"
    text = source.read_text(encoding="utf-8")
    assert check in text
    source.write_text(text.replace(check, instead, 1), encoding="utf-8")
    done = forge(workshop, **FEW_RUNS)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"_{broken}" in done.stdout.partition("Failing tests")[2]
