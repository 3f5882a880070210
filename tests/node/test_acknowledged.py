"""No report acknowledged over HTTP is lost to kill -9, and a dead node still backs up."""

from pathlib import Path

import pytest

from node import settings
from node.backup import archive, restore
from node.backup.age import RecoveryKey
from node.kernel.clock import SystemClock
from tests.node.acknowledged import kill_and_count, stored

pytestmark = pytest.mark.processes

KILLS = 20
WRITES = 3_000  # the long run is `python -m tests.node.acknowledged DIR` (docs/benchmarks.md)


def test_nothing_acknowledged_is_lost_over_twenty_kills(tmp_path: Path) -> None:
    outcome = kill_and_count(tmp_path / "house", kills=KILLS, writes=WRITES)
    print(f"\n{outcome}")  # noqa: T201 (a figure)
    assert outcome.acknowledged >= WRITES
    assert outcome.lost == 0
    _restores_to_the_last_act(tmp_path)


def _restores_to_the_last_act(folder: Path) -> None:
    """The disk survived its node: a backup of it holds all that was ever acknowledged."""
    clock, key, file = SystemClock(), RecoveryKey.new(), folder / "backup.age"
    before = stored(folder / "house")
    archive.make(settings.load(folder / "house"), clock, to=file, keys=[key])
    restore.restore(file, folder / "again", clock, key=key)
    assert stored(folder / "again") == before
