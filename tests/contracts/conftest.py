"""Chains for the tests: one in this process under a movable clock, or a real devchain process."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.client import SettlementChain
from tests.contracts.district import (
    CHAIN_ID,
    GUARANTOR_LIMIT_MINUTES,
    District,
    LocalChain,
    found_district,
)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalChain]:
    with LocalChain(tmp_path / "chain.sqlite") as chain:
        yield chain


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A chain's file with the district on it, made once and copied for each test; its address."""
    path = tmp_path_factory.mktemp("founded") / "chain.sqlite"
    with LocalChain(path) as local:
        made = found_district(local)
        made.register(0, limit=GUARANTOR_LIMIT_MINUTES)
        for number in (1, 2, 3):
            made.register(number)
    return path, made.chain.contract_address


@pytest.fixture
def district(founded: tuple[Path, str], tmp_path: Path) -> Iterator[District]:
    """Communities 1, 2 and 3 and the guarantor, all at zero."""
    path, address = founded
    copy = tmp_path / "district.sqlite"
    shutil.copy(path, copy)
    with LocalChain(copy) as local:
        chain = SettlementChain(local.url, contract_address=address, chain_id=CHAIN_ID)
        yield District(chain, local.clock, local.url)
