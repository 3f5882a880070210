"""The forecast as JSON, and the operator's order to judge the three forecasts anew."""

import json
from typing import Any, cast

import msgspec
from litestar import get, post
from litestar.params import JSONBody

from node.forecast import outlook_pages, registry, rules, service
from node.forecast.comparison import Runner, compare
from node.forecast.model import Evaluation
from node.residents.rules import Role
from node.web import idempotency
from node.web.session import AnyRequest, house, require


class ChoiceBody(msgspec.Struct):
    """Which model the operator wants."""

    sha256: str | None


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


@get("/api/forecast/roster")
async def show_roster(request: AnyRequest) -> dict[str, Any]:
    """Tomorrow's duty list, for those who make it: requests and people by category."""
    require(request, *outlook_pages.PLANNERS)
    with house(request).database.read() as session:
        latest = service.latest(session)
    result = json.loads(latest.result) if latest else {"days": []}
    found = outlook_pages.roster_of(house(request), result, days_ahead=1)
    if found is None:
        raise rules.NoForecast
    return {
        "date": found.date.isoformat(),
        "requests": found.requests,
        "people": found.people,
        "on_duty": found.on_duty,
        "missing": found.missing,
        "by_category": [duty._asdict() for duty in found.duties],
    }


@get("/api/forecast/kept")
async def show_kept(request: AnyRequest) -> list[dict[str, Any]]:
    """What was expected of each of the last days, and what came."""
    require(request)
    with house(request).database.read() as session:
        today = rules.local_day(house(request).clock.now())
        days = outlook_pages.kept_until_yesterday(session, today)
    return [{**day._asdict(), "date": day.date.isoformat()} for day in days]


@get("/api/forecast/models")
async def show_models(request: AnyRequest) -> dict[str, Any]:
    """Every model that the district sent, its card, and which one is used here."""
    require(request)
    with house(request).database.read() as session:
        used, held = registry.in_use(session), registry.chosen(session)
        models = [
            {
                "sha256": model.sha256,
                "received_at": model.received_at.isoformat(),
                "card": registry.card_of(model),
            }
            for model in registry.models(session)
        ]
    return {"in_use": used.sha256 if used else None, "held": held, "models": models}


@post("/api/forecast/models")
async def choose_model(request: AnyRequest, data: JSONBody[ChoiceBody]) -> dict[str, str | None]:
    """Hold on to one model, or with null let the newest be used again (operator)."""
    require(request, Role.OPERATOR)
    key, node = idempotency.key(request), house(request)
    await node.database.run(
        lambda session: registry.choose(session, node.clock, choice_id=key, sha256=data.sha256)
    )
    return {"held": data.sha256}


def runner_of(request: AnyRequest) -> Runner | None:
    """Another way to run the comparison, where the composition root put one."""
    return cast(Runner | None, request.app.state.get("forecast_runner"))


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as the API shows it: the answer of federation.evaluate, and when."""
    result: dict[str, Any] = json.loads(evaluation.result)
    stamp = {"id": str(evaluation.id), "evaluated_at": evaluation.evaluated_at.isoformat()}
    return result | stamp


routes = [show, evaluate, show_roster, show_kept, show_models, choose_model]
