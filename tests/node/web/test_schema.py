"""The API is what its description says: no failure of ours, no answer that is not described.

Method: schemathesis makes requests from /api/schema for every operation and sends them to the whole
site, as somebody who holds every role and as nobody; every answer is held against the description.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis import openapi
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from node.kernel.ids import new_id
from node.residents.rules import Role
from node.web.openapi import EXAMPLES
from tests.node.web.authorisation import Doors, doors

EXAMPLES_EACH = 3
OPERATIONS_MIN = 80
CHECKS = (status_code_conformance, content_type_conformance, response_schema_conformance)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with doors(tmp_path_factory.mktemp("schema") / "house", roles={"clerk": tuple(Role)}) as house:
        yield house
    structlog.reset_defaults()


def ask(house: Doors, case: Any, secret: str) -> Any:
    """The site's answer to a made-up request."""
    headers = {"Idempotency-Key": str(new_id())} | {
        name: str(value) for name, value in dict(case.headers or {}).items()
    }
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    sent = case.as_transport_kwargs()
    sent["headers"] = dict(sent.get("headers") or {}) | headers
    return case.call(session=None, **{"headers": sent["headers"]})


@pytest.mark.parametrize("caller", ["clerk", ""])
def test_every_answer_is_described(house: Doors, caller: str) -> None:
    schema = openapi.from_asgi("/api/schema/openapi.json", house.client.app)
    secret, seen, wrong = house.secrets.get(caller, ""), 0, []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @hypothesis_settings(
            max_examples=EXAMPLES_EACH,
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def look(case: Any) -> None:
            answer = ask(house, case, secret)
            if answer.status_code >= 500:
                wrong.append(f"{case.operation.label}: {answer.status_code} {case.body!r}")
                return
            try:
                case.validate_response(answer, checks=CHECKS)
            except AssertionError as problem:
                wrong.append(f"{case.operation.label}: {str(problem)[:300]}")
            except BaseExceptionGroup as problems:
                wrong.append(f"{case.operation.label}: {str(problems.exceptions[0])[:300]}")

        look()
        seen += 1
    assert seen >= OPERATIONS_MIN
    assert wrong == []


@pytest.mark.parametrize("route", EXAMPLES)
def test_an_example_works_as_pasted(house: Doors, route: str) -> None:
    method, path = route.split()
    shown = house.schema["paths"][path][method.lower()]
    body = shown["requestBody"]["content"]["application/json"]["example"]
    headers = {
        "Authorization": f"Bearer {house.secrets['clerk']}",
        "Idempotency-Key": str(new_id()),
    }
    house.database.forgets = False  # as in life: what one step writes the next one reads
    answer = house.client.request(method, path, content=json.dumps(body), headers=headers)
    assert answer.status_code in (200, 201), answer.text


def test_pages_are_not_described(house: Doors) -> None:
    assert house.schema["openapi"].startswith("3.1")
    assert all(path.startswith("/api/") for path in house.schema["paths"])
    asked = house.client.get("/schema", follow_redirects=False)
    assert asked.headers["location"] == "/api/schema"
