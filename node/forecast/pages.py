"""Next week per category with its band, the three errors side by side, and where it came from."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from babel.dates import format_date
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.forecast import counting, drawing, model_pages, outlook_pages, rules, service
from node.forecast.api import runner_of
from node.forecast.comparison import compare
from node.forecast.drawing import Coming, Past, Picture
from node.forecast.model import Evaluation
from node.forecast.panel import TOTAL
from node.forecast.words import arm_names, category_name
from node.kernel.errors import DomainError
from node.outbox.api import read_left
from node.residents.rules import Role
from node.web import language
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import Card, Link, page, picture
from node.web.session import AnyRequest, Caller, house, require

MODEL_UPDATE = "model_update"  # the kind under which a training's departures are listed


class Series(NamedTuple):
    """A category as the page shows it."""

    code: str
    name: str
    source: str  # of its picture
    sentence: str  # what the picture shows, for those who do not see it
    coming: Sequence[Coming]
    days: Sequence[str]  # names of the coming days


class ArmRow(NamedTuple):
    """One forecast's figures over the last weeks."""

    name: str
    total_mae: float | None
    category_mae: float | None
    bias: float | None
    is_used: bool


@get("/forecast")
async def show(request: AnyRequest) -> Response[str]:
    """What to expect next week, and how well such forecasts did before."""
    return _show(request, Form())


@get("/forecast/{category:str}/plot.svg")
async def plot(request: AnyRequest, category: FromPath[str]) -> Response[str]:
    """The picture of one category: four weeks that were, the week to come."""
    require(request)
    result = json.loads(_latest(request).result)
    past, coming = _rows(result)
    if category not in coming:
        raise rules.NoForecast
    names = [day_name(day.date) for day in coming[category]]
    form = drawing.NARROW if "narrow" in request.query_params else drawing.WIDE
    drawn: Picture = drawing.draw(past[category], coming[category], names=names, form=form)
    return picture("forecast/plot.svg", plot=drawn, name=category_name(category))


@post("/forecast/evaluate")
async def evaluate(request: AnyRequest) -> Response[Any]:
    """The operator lets the forecasts compete anew."""
    require(request, Role.OPERATOR)
    form = await Form.read(request)
    try:
        await compare(house(request), evaluation_id=form.id, runner=runner_of(request))
    except DomainError as refusal:
        form.refuse(refusal, "evaluate")
        return _show(request, form, status=422)
    return Redirect("/forecast", status_code=303)


def card(request: AnyRequest, session: Session, who: Caller) -> Card | None:
    """On the home page of those who plan the work: tomorrow's figure."""
    if not who.has(Role.PROPERTY, Role.CLERK, Role.OPERATOR) or who.acting_for:
        return None
    latest = service.latest(session)
    if latest is None:
        return None
    days = _rows(json.loads(latest.result))[1].get(TOTAL, [])
    lines = [
        _("%(day)s: about %(figure)s requests")
        % {"day": day_name(day.date), "figure": drawing.figure(day.mean)}
        for day in days[:2]
    ]
    return Card(_("Next week's requests"), lines, [Link("/forecast", _("See the forecast"))])


def day_name(day: date) -> str:
    """A weekday, short."""
    spoken = language.language.get()
    return format_date(day, "EEE", locale=language.LOCALES[spoken])


def _show(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    who = require(request)
    with house(request).database.read() as session:
        latest, known = service.latest(session), counting.history_days(session)
    shown: dict[str, Any] = {"form": form, "may_evaluate": who.has(Role.OPERATOR), "known": known}
    if latest is None:
        return page(request, "forecast/none.html", status=status, **shown)
    result = json.loads(latest.result)
    left = [line for line in read_left(request) if line.kind == MODEL_UPDATE]
    shown |= {
        "series": _series(result, latest),
        "arms": _arms(result),
        "reason": _reason(result),
        "weeks": result.get("weeks"),
        "evaluated_at": latest.evaluated_at,
        "model_sha256": latest.model_sha256,
        "left_messages": sum(line.messages for line in left),
        "left_kilobytes": -(-sum(line.bytes for line in left) // 1_000),
        "tomorrow": outlook_pages.tomorrow(house(request), result, who),
        "against": outlook_pages.against(request),
        "promise": model_pages.promise(result.get("privacy")),
        "takes_part": house(request).settings.training,
    }
    return page(request, "forecast/forecast.html", status=status, **shown)


def _latest(request: AnyRequest) -> Evaluation:
    with house(request).database.read() as session:
        latest = service.latest(session)
    if latest is None:
        raise rules.NoForecast
    return latest


def _rows(result: dict[str, Any]) -> tuple[dict[str, list[Past]], dict[str, list[Coming]]]:
    past: dict[str, list[Past]] = defaultdict(list)
    coming: dict[str, list[Coming]] = defaultdict(list)
    for row in result["actual"]:
        day = datetime.strptime(row["date"], "%Y-%m-%d").date()  # noqa: DTZ007 (a day, no moment)
        past[row["category"]].append(Past(day, row["count"]))
    for row in result["days"]:
        day = datetime.strptime(row["date"], "%Y-%m-%d").date()  # noqa: DTZ007 (a day, no moment)
        coming[row["category"]].append(Coming(day, row["mean"], row["q10"], row["q90"]))
    return past, coming


def _series(result: dict[str, Any], latest: Evaluation) -> list[Series]:
    """The total first, then the busiest category, and so on."""
    coming = _rows(result)[1]
    ordered = sorted(
        coming.items(), key=lambda pair: (pair[0] != TOTAL, -sum(day.mean for day in pair[1]))
    )
    return [
        Series(
            code=code,
            name=category_name(code),
            source=f"/forecast/{quote(code, safe='')}/plot.svg?v={latest.id}",
            sentence=_sentence(days),
            coming=days,
            days=[day_name(day.date) for day in days],
        )
        for code, days in ordered
    ]


def _sentence(days: Sequence[Coming]) -> str:
    busiest = max(days, key=lambda day: day.mean)
    figures = {
        "sum": drawing.figure(sum(day.mean for day in days)),
        "day": day_name(busiest.date),
        "most": drawing.figure(busiest.mean),
    }
    return _("About %(sum)s in the whole week; most on %(day)s, about %(most)s.") % figures


def _arms(result: dict[str, Any]) -> list[ArmRow]:
    names, used = arm_names(), result["adopted"]
    return [
        ArmRow(
            name=names[arm],
            total_mae=figures.get("total_mae"),
            category_mae=figures.get("category_mae"),
            bias=figures.get("bias"),
            is_used=arm == used,
        )
        for arm in rules.ARMS
        for figures in (result["arms"].get(arm) or {},)
    ]


def _reason(result: dict[str, Any]) -> str:
    used, errors = result["adopted"], result["arms"]
    simple, best = errors["mean8"]["total_mae"], errors[used]["total_mae"]
    if used == "mean8":
        return _("No learned forecast did better here than the simple one, so that one is used.")
    percent = round(100 * (1 - best / simple)) if simple else 0
    if percent < 0:
        kept = _(
            "In use: “%(name)s”. Lately “%(simple)s” did a little better, but eight weeks are "
            "few: it is given up only when it is clearly worse."
        )
        return kept % {"name": arm_names()[used], "simple": arm_names()["mean8"]}
    figures = {"name": arm_names()[used], "percent": percent, "simple": arm_names()["mean8"]}
    if percent < 1:
        return _("In use: “%(name)s”. Lately it was a little better than “%(simple)s”.") % figures
    words = _("In use: “%(name)s”. Lately it missed by %(percent)s percent less than “%(simple)s”.")
    return words % figures


routes = [show, plot, evaluate, *outlook_pages.routes, *model_pages.routes]
