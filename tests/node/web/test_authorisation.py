"""Every route x every caller, own things and another's: generated from the app's own routes.

A route without a line in authorisation.txt fails, and so does one that lets in anybody else than
its line says. Whoever adds a route adds its line, having thought about it.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.node.web.authorisation import CALLERS, OWNED, doors

TABLE = Path(__file__).with_name("authorisation.txt")
WORDS = {"everyone": set(CALLERS), "signed-in": set(CALLERS[1:]), "-": set[str]()}
OPEN_TO_ALL = {
    "POST /api/sessions",  # signing in
    "POST /sign-in",
    "POST /sign-out",
    "POST /api/gift-codes/{code}/withdraw",  # the code's spelling is looked at first
    "POST /api/council/motions/{motion_id}/sealed-ballots",  # a secret ballot names nobody
    "POST /council/motions/{motion_id}/sealed",
}
"""What changes something and is served to who has not signed in, and why."""

OPEN_TO_NEIGHBOURS = {
    "PUT /api/repairs/{request_id}/follow",  # "me too": refused unless it is a shared place
    "DELETE /api/repairs/{request_id}/follow",
    "POST /repairs/{request_id}/follow",
}


def expected() -> Mapping[str, set[str]]:
    """Who gets in at each route, as the table says."""
    found = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            route, _, callers = line.rpartition(": ")
            found[route] = WORDS.get(callers) or set(callers.split()) - {"-"}
    return found


@pytest.fixture(scope="module")
def actual(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """Who gets in at each route, as the site answers."""
    with doors(tmp_path_factory.mktemp("matrix") / "house") as house:
        return {
            f"{method} {path}": set(house.who_gets_in(method, path))
            for method, path in house.routes()
        }


def test_every_route_lets_in_whom_its_line_names(actual: Mapping[str, set[str]]) -> None:
    named = expected()
    assert sorted(actual.keys() - named.keys()) == [], "add a line to authorisation.txt"
    assert sorted(named.keys() - actual.keys()) == [], "no such route: take the line away"
    differing = {
        route: f"expected {sorted(named[route])}, found {sorted(callers)}"
        for route, callers in actual.items()
        if callers != named[route]
    }
    assert differing == {}


def test_a_stranger_reaches_nothing_that_somebody_owns() -> None:
    owned = {
        route: callers
        for route, callers in expected().items()
        if any(f"{{{name}}}" in route for name in OWNED) and route not in OPEN_TO_NEIGHBOURS
    }
    assert len(owned) > 40
    assert [route for route, callers in owned.items() if "stranger" in callers] == []
    assert [route for route, callers in owned.items() if "nobody" in callers] == []


def test_who_has_not_signed_in_changes_nothing() -> None:
    changing = {
        route
        for route, callers in expected().items()
        if not route.startswith("GET ") and "nobody" in callers
    }
    assert changing == OPEN_TO_ALL


def test_residents_without_a_role_reach_no_desk() -> None:
    for route, callers in expected().items():
        if "stranger" not in callers:
            assert "nobody" not in callers, route
    desks = [route for route in expected() if "/residents" in route or "/acts" in route.split()[1]]
    inside = {route for route in desks if "stranger" in expected()[route]}
    assert inside == {"GET /acts/mine", "GET /api/acts/mine"}
