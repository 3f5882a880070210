"""A finished run made up for tests: everything that a report can show."""

from datetime import date, timedelta
from typing import Any

NAMES = ("alpha", "bravo", "charlie <&>", "$delta$")
CATEGORIES = ("lift", "water", "total")


def summary() -> dict[str, Any]:
    return {
        "panel": "generated from seed 7, not real people",
        "nodes": 4,
        "training": {
            "engine": "flower",
            "rounds": 2,
            "results_per_round": [4, 4],
            "mae": {"mean8": 2.5, "local": 2.4, "federated": 2.3},
            "adopted": dict.fromkeys(NAMES, "federated"),
        },
        "redemption": {"minutes": 90, "state": "captured", "killed": "B", "recovered": True},
        "settlement": {"transaction": "0x" + "ab" * 32, "communities": 4, "sum": 0, "minutes": 75},
        "audit": {name: {"ok": True, "entries": 8, "head": "cd" * 32} for name in NAMES},
        "left": {
            name: {
                "Heartbeat": {"messages": 30, "bytes": 900},
                "model_update": {"messages": 2, "bytes": 66_112},
            }
            for name in NAMES
        },
        "seconds": 101.5,
    }


def details() -> dict[str, Any]:
    return {
        "panel": {
            "label": "generated from seed 7, not real people",
            "is_generated": True,
            "seed": 7,
            "first_day": "2023-01-01",
            "last_day": "2025-12-31",
            "communities_in_file": 4,
        },
        "communities": [{"id": f"c{index}", "name": name} for index, name in enumerate(NAMES)],
        "forecasts": {name: forecast(index) for index, name in enumerate(NAMES)},
        "story": {
            "moments": [
                moment(0.1, "A", "step"),
                moment(0.2, "B", "step"),
                moment(0.9, "B", "kill"),
                moment(1.1, "A", "step"),
                moment(3.2, "B", "start"),
            ],
            "caught_in": "confirmed",
            "down_seconds": 2.3,
        },
        "statements": [
            {"debtor": NAMES[0], "creditor": NAMES[1], "minutes": 90, "count": 1},
            {"debtor": NAMES[2], "creditor": NAMES[0], "minutes": 45, "count": 2},
        ],
        "positions": dict(zip(NAMES, (-45, 90, -45, 0), strict=True)),
        "everyday": {
            name: {"repair": "completed", "points": "collected", "hour": "captured", "motion": "2"}
            for name in NAMES
        },
        "steps": [
            {"number": number, "zh": "一步", "en": f"step {number}", "seconds": 1.5 * number}
            for number in range(1, 9)
        ],
    }


def forecast(index: int) -> dict[str, Any]:
    errors = {"mean8": 2.5 + index, "local": None if index == 3 else 2.4, "federated": 2.3}
    arms = {arm: error and {"total_mae": error} for arm, error in errors.items()}
    first = date(2025, 12, 4)
    days = [(first + timedelta(days=day)).isoformat() for day in range(35)]
    actual = [
        {"date": day, "category": category, "count": place % 5}
        for category in CATEGORIES
        for place, day in enumerate(days[:28])
    ]
    ahead = [
        {"date": day, "category": category, "mean": 2.0, "q10": 0, "q50": 2, "q90": 5}
        for category in CATEGORIES
        for day in days[28:]
    ]
    return {"arms": arms, "adopted": "federated", "days": ahead, "actual": actual}


def moment(seconds: float, house: str, kind: str) -> dict[str, Any]:
    return {"seconds": seconds, "house": house, "kind": kind, "zh": "某事", "en": "something"}
