"""An office without ports for the tests of its rules."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.coordinator.fakes import FakeOffice, copy_of, found_office


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> FakeOffice:
    """An office with the members A, B and C, closed; made once and copied for each test."""
    folder = tmp_path_factory.mktemp("founded")
    founded = found_office(folder / "office")
    for community in ("A", "B", "C"):
        founded.admit(community, folder)
    founded.database.close()
    return founded


@pytest.fixture
def district(founded: FakeOffice, tmp_path: Path) -> Iterator[FakeOffice]:
    """A, B and C are members and on the chain, at zero."""
    copied = copy_of(founded, tmp_path / "district")
    yield copied
    copied.database.close()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[FakeOffice]:
    founded = found_office(tmp_path / "office")
    yield founded
    founded.database.close()
