"""Parts of the forecast's page: tomorrow's duty list, and the last weeks held against what came."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from litestar import Response, get
from sqlalchemy.orm import Session

from node.forecast import drawing, outlook, rules
from node.forecast.drawing import Coming, Past
from node.forecast.outlook import Kept, Roster
from node.forecast.words import category_name
from node.residents.rules import Role
from node.web.language import gettext as _
from node.web.layout import picture
from node.web.session import AnyRequest, Caller, House, house, require

PLANNERS = (Role.PROPERTY, Role.CLERK, Role.OPERATOR)


class DutyRow(NamedTuple):
    """One category of the duty list as it is read."""

    name: str
    requests: str
    people: str


class Tomorrow(NamedTuple):
    """The duty list as the page shows it."""

    roster: Roster
    rows: Sequence[DutyRow]
    requests_per_person: int


class Against(NamedTuple):
    """The last weeks in a sentence, a picture and a table."""

    sentence: str
    days: Sequence[Kept]


@get("/forecast/kept.svg")
async def kept_picture(request: AnyRequest) -> Response[str]:
    """What was expected of each of the last days, and what came."""
    require(request)
    days = [
        (Past(one.date, one.came), Coming(one.date, one.expected, one.low, one.high))
        for one in _kept(request)
    ]
    if not days:
        raise rules.NoForecast
    form = drawing.NARROW if "narrow" in request.query_params else drawing.WIDE
    name = _("Forecast and what came")
    return picture("forecast/kept.svg", plot=drawing.draw_kept(days, form=form), name=name)


def tomorrow(place: House, result: dict[str, Any], who: Caller) -> Tomorrow | None:
    """Tomorrow's duty list, for those who make it; None where the forecast does not reach it."""
    if not who.has(*PLANNERS):
        return None
    found = roster_of(place, result, days_ahead=1)
    if found is None:
        return None
    rows = [
        DutyRow(category_name(duty.category), drawing.figure(duty.requests), f"{duty.people:.1f}")
        for duty in found.duties
    ]
    return Tomorrow(found, rows, place.settings.requests_per_person)


def roster_of(place: House, result: dict[str, Any], *, days_ahead: int) -> Roster | None:
    """The duty list of a day to come, by this community's own figures."""
    settings = place.settings
    return outlook.roster(
        result,
        rules.local_day(place.clock.now()) + timedelta(days=days_ahead),
        requests_per_person=settings.requests_per_person,
        on_duty=settings.people_on_duty,
    )


def against(request: AnyRequest) -> Against | None:
    """How the last weeks' forecasts did; None before the first such day."""
    days = _kept(request)
    if not days:
        return None
    inside, miss = outlook.hits(days)
    figures = {"inside": inside, "days": len(days), "miss": f"{miss:.1f}"}
    words = _(
        "On %(inside)s of %(days)s days the number fell inside its box; "
        "on average the forecast missed by %(miss)s requests a day."
    )
    return Against(words % figures, days)


def _kept(request: AnyRequest) -> list[Kept]:
    with house(request).database.read() as session:
        return kept_until_yesterday(session, rules.local_day(house(request).clock.now()))


def kept_until_yesterday(session: Session, today: date) -> list[Kept]:
    """The days that are over and were forecast."""
    return outlook.kept_days(session, until=today - timedelta(days=1))


routes = [kept_picture]
