"""Where the guard does not even begin, and says why: no sandbox, another Flower, no settings."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

from federation.guard.executor import FLOWER_VERSION, FlowerUnknown, require_known_flower
from federation.guard.sandbox import sandbox_problem

TIMEOUT_SECONDS = 60


def run(module: str, *arguments: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={"PATH": path, "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def broken(folder: Path) -> str:
    """A bubblewrap that may not make namespaces, as inside many containers."""
    program = folder / "bwrap"
    program.write_text(
        "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    return str(folder)


def settings_in(folder: Path, *, sandbox: bool) -> Path:
    file = folder / "guard.json"
    paths = {name: str(folder / name) for name in ("secret", "vault", "left", "bundles")}
    told = {"runtime": "127.0.0.1:1", "files": {}, "values": {}, "approve_own_bundle": False}
    file.write_text(json.dumps({**told, **paths, "sandbox": sandbox}))
    return file


def test_without_bubblewrap_the_guard_says_so_and_refuses(tmp_path: Path) -> None:
    said = run("federation.guard.sandbox", path=str(tmp_path))
    assert said.returncode == 2
    assert "sandbox = false" in said.stdout
    assert "bubblewrap" in said.stdout
    refused = run("federation.guard", str(settings_in(tmp_path, sandbox=True)), path=str(tmp_path))
    assert refused.returncode == 2
    assert refused.stderr.startswith("guard.sandbox_missing: ")


def test_where_no_namespace_may_be_made_it_is_the_same(tmp_path: Path) -> None:
    said = run("federation.guard.sandbox", path=broken(tmp_path))
    assert said.returncode == 2
    assert "No permissions to create new namespace" in said.stdout


@pytest.mark.usefixtures("sandbox")
def test_where_there_is_a_sandbox_nothing_is_said() -> None:
    assert sandbox_problem() is None
    said = run("federation.guard.sandbox", path="/usr/bin:/bin")
    assert (said.returncode, said.stdout) == (0, "")


def test_another_version_of_flower_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the guard uses of it is internal: a new version is a new test first."""
    require_known_flower()
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.42.0")
    with pytest.raises(FlowerUnknown, match=FLOWER_VERSION):
        require_known_flower()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"runtime": 1}'])
def test_settings_that_cannot_be_used_are_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "guard.json"
    file.write_text(content)
    refused = run("federation.guard", str(file), path="/usr/bin:/bin")
    assert refused.returncode == 2
    assert refused.stderr.startswith("guard.misconfigured: ")
