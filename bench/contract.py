"""Gas of a settled transfer against the seed contract's recorded service."""

import json
from pathlib import Path

from bench.figures import Figure

SEED_GAS = 157_514  # one addService of the seed's contract, made to compile; facts of the anchor
GAS_FILE = Path(__file__).parents[1] / "contracts" / "gas.json"
COMMUNITIES = 20


def figures() -> list[Figure]:
    """From contracts/gas.json, which tests/contracts/test_gas.py keeps true within 2 %."""
    gas = json.loads(GAS_FILE.read_text(encoding="utf-8"))[f"settle {COMMUNITIES} steady"]
    found = []
    for transfers, must, aim in ((100, 1 / 35, 1 / 60), (10_000, 1 / 3_500, 1 / 6_000)):
        parts = {"gas": float(gas), "a transfer": gas / transfers, "seed": float(SEED_GAS)}
        name = f"gas a transfer, {COMMUNITIES} communities, batch of {transfers:,} / seed's"
        ratio = gas / transfers / SEED_GAS
        found.append(Figure(name, ratio, must, aim, True, parts))
    return found
