"""Chains for the tests: one in this process under a movable clock, or a real devchain process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.district import (
    GUARANTOR_LIMIT_MINUTES,
    District,
    LocalChain,
    found_district,
)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalChain]:
    with LocalChain(tmp_path / "chain.sqlite") as chain:
        yield chain


@pytest.fixture
def district(local: LocalChain) -> District:
    """Communities 1, 2 and 3 and the guarantor, all at zero."""
    made = found_district(local)
    made.register(0, limit=GUARANTOR_LIMIT_MINUTES)
    for number in (1, 2, 3):
        made.register(number)
    return made
