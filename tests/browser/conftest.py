"""One village, one server and one Chromium for all tests of this folder."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.village import Village, chromium, served, village


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    with village(tmp_path_factory.mktemp("village") / "node") as place:
        yield place


@pytest.fixture(scope="package")
def site(place: Village) -> Iterator[str]:
    with served(place) as site:
        yield site


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser
