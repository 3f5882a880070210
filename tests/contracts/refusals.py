"""One way to say in a test: the chain must refuse this, for that reason."""

from collections.abc import Callable

import pytest

from contracts.terms import ChainRefused


def refused(act: Callable[[], object]) -> tuple[str, dict[str, int | str]]:
    """The code and figures of the refusal that `act` must raise."""
    with pytest.raises(ChainRefused) as caught:
        act()
    return caught.value.code, caught.value.details
