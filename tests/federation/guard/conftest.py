"""A sandbox for the tests that need one; where there is none they are skipped by name."""

import os

import pytest

from federation.guard.sandbox import sandbox_problem

IS_CI = os.environ.get("CI") == "true"


@pytest.fixture
def sandbox() -> None:
    """Skip where this machine cannot make one; in CI that would be a failure."""
    problem = sandbox_problem()
    if problem is not None and not IS_CI:
        pytest.skip(f"sandbox: needs bubblewrap (apt install bubblewrap): {problem}")
    assert problem is None, problem
