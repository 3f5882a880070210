"""What the audit of dependencies makes of an answer: holes fail, silence is said."""

import json

from tests.audit import read


def test_holes_and_what_could_not_be_looked_up_are_told_apart() -> None:
    report = {
        "dependencies": [
            {"name": "good", "version": "1", "vulns": []},
            {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]},
            {"name": "private", "skip_reason": "Dependency not found"},
        ]
    }
    found = read(json.dumps(report))
    assert (found.known, found.unknown) == (2, 1)
    assert found.holes == ["bad 2: PYSEC-1", "bad 2: PYSEC-2"]
