"""What needs more than Python is skipped outside CI with a sentence; in CI nothing is skipped."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy import create_engine, make_url

POSTGRES = "LINLI_TEST_POSTGRES"  # postgresql+psycopg://USER@HOST/DATABASE of a server to test on
# A busy machine is slow now and then: that says nothing about the code.
hypothesis_settings.register_profile(
    "linli", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
hypothesis_settings.load_profile("linli")

IS_CI = os.environ.get("CI") == "true"

NEEDS = {
    "processes": "starts many real processes, so it runs when asked for: pytest -m processes",
    "postgres": f"needs PostgreSQL: set {POSTGRES}=postgresql+psycopg://USER@HOST/DATABASE",
    "browser": "needs Debian's Chromium (apt install chromium), and is run by: pytest -m browser",
    "belenios": "needs belenios-tool (Debian: apt install belenios-tool)",
    "npm": "needs node and npm (apt install nodejs npm), and is run by: pytest -m npm",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip by marker what was not asked for; `.ci/run` asks for everything."""
    asked = str(config.option.markexpr)
    for marker, needs in NEEDS.items():
        if IS_CI or marker in asked or (marker == "postgres" and os.environ.get(POSTGRES)):
            continue
        if marker == "belenios" and shutil.which("belenios-tool"):
            continue
        skip = pytest.mark.skip(reason=f"{marker}: {needs}; .ci/run does it")
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(skip)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test is a failed run: something there is missing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IS_CI and reporter is not None and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind that a node may run on: one contract, two stores."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/node.sqlite"
        return
    with new_postgres_database() as url:
        yield url


@contextmanager
def new_postgres_database() -> Iterator[str]:
    """An empty database on the server that we may test on, gone afterwards; its URL."""
    server = os.environ.get(POSTGRES)
    assert server, NEEDS["postgres"]
    name = f"linli_test_{uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        url = make_url(server).set(database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        engine.dispose()
