"""The forecast as JSON, and the operator's order to judge the three forecasts anew."""

import json
from typing import Any, cast

from litestar import get, post

from node.forecast import rules, service
from node.forecast.comparison import Runner, compare
from node.forecast.model import Evaluation
from node.residents.rules import Role
from node.web import idempotency
from node.web.session import AnyRequest, house, require


@get("/api/forecast")
async def show(request: AnyRequest) -> dict[str, Any]:
    """Next week's requests by category and in total, and how far each forecast missed before."""
    require(request)
    with house(request).database.read() as session:
        latest = service.latest(session)
        if latest is None:
            raise rules.NoForecast
        return as_json(latest)


@post("/api/forecast/evaluate")
async def evaluate(request: AnyRequest) -> dict[str, Any]:
    """Judge mean8, local and federated on the last weeks and use the best (operator)."""
    require(request, Role.OPERATOR)
    key, runner = idempotency.key(request), runner_of(request)
    return as_json(await compare(house(request), evaluation_id=key, runner=runner))


def runner_of(request: AnyRequest) -> Runner | None:
    """Another way to run the comparison, where the composition root put one."""
    return cast(Runner | None, request.app.state.get("forecast_runner"))


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as the API shows it: the answer of federation.evaluate, and when."""
    result: dict[str, Any] = json.loads(evaluation.result)
    stamp = {"id": str(evaluation.id), "evaluated_at": evaluation.evaluated_at.isoformat()}
    return result | stamp


routes = [show, evaluate]
