"""Gas is a fee on a public chain and time on any: a dearer call is a decision, not an accident."""

import json
from pathlib import Path

from tests.contracts.gas import FILE, measure

TOLERANCE = 0.02


def test_no_call_has_changed_its_price(tmp_path: Path) -> None:
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    now = measure(tmp_path / "chain.sqlite")
    changed = {
        name: (kept.get(name), gas)
        for name, gas in now.items()
        if name not in kept or abs(gas - kept[name]) > TOLERANCE * kept[name]
    }
    assert not changed, "meant? then run: python -m tests.contracts.gas"
    assert set(kept) == set(now)
