"""What everybody may read: the versions of the rules, the journal of points, the ranking."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromQuery
from litestar.response import Redirect

from node.points import ranking, rules, service
from node.points.api import reader_of
from node.points.rules import Difference, Shown
from node.points.words import activity_name, evidence_names, per_names, reversal_names
from node.residents import service as residents
from node.residents.rules import Scope
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.paging import Cursor
from node.web.session import AnyRequest, caller, house, require_subject

JOURNAL_ROWS = 50  # of the public journal, on one page
VERSION_ROWS = 10  # of the rules, on one page
MONTHS_SHOWN = 12  # of the ranking, to choose from


@get("/points/rules")
async def show_versions(
    request: AnyRequest, after: FromQuery[Cursor | None] = None
) -> Response[str]:
    """Every version of the rules: since when, by which motion, and what it changed."""
    with house(request).database.read() as session:
        found = service.versions(session, limit=VERSION_ROWS, after=after)
        versions = []
        for row in found.rows:
            current, changes = rules.from_json(row.content), []
            if row.version > rules.FIRST_VERSION:
                before = service.version(session, row.version - 1)
                changes = [change_words(one) for one in rules.differences(before, current)]
            versions.append((row, current, changes))
    return page(
        request,
        "points/rules.html",
        versions=versions,
        following=found.next,
        activity_name=activity_name,
        per_names=per_names(),
        evidence_words=lambda line: _value_words(sorted(line.evidence)),
    )


@get("/points/journal")
async def journal(request: AnyRequest, after: FromQuery[Cursor | None] = None) -> Response[str]:
    """Everybody's awards under pseudonyms; who signed in sees which one is theirs."""
    who, node = caller(request), house(request)
    with node.database.read() as session:
        found, secret = (
            service.journal(session, limit=JOURNAL_ROWS, after=after),
            service.secret(session),
        )
        lines = [(_pseudonym(row.resident_id, row.awarded_at, secret), row) for row in found.rows]
    mine = _pseudonym(who.subject, node.clock.now(), secret) if who.subject else None
    return page(
        request,
        "points/journal.html",
        lines=lines,
        mine=mine,
        following=found.next,
        activity_name=activity_name,
        reversal_names=reversal_names(),
    )


@get("/points/ranking")
async def show_ranking(request: AnyRequest, month: FromQuery[date | None] = None) -> Response[str]:
    """Who was thanked most in a month; and how I want to stand there, if at all."""
    node, reader = house(request), reader_of(caller(request))
    today = rules.local_day(node.clock.now())
    month = min(month or today, today)
    with node.database.read() as session:
        secret = service.secret(session)
        lines = [
            (
                line,
                residents.resident(session, line.resident_id).name
                if line.shown is Shown.NAME
                else rules.pseudonym(line.resident_id, year=month.year, secret=secret),
            )
            for line in ranking.ranking(session, month=month)
        ]
        own = ranking.earned_in(session, reader, month=month) if reader else 0
        choice = ranking.choice_of(session, reader) if reader else Shown.PSEUDONYM
    return page(
        request,
        "points/ranking.html",
        lines=lines,
        reader=reader,
        own=own,
        month=month,
        months=_months_before(today),
        form=Form.of({"shown": choice.value}),
        options=shown_names(),
    )


@post("/points/ranking")
async def choose(request: AnyRequest) -> Redirect:
    """How I want to stand in the ranking."""
    _who, resident_id = require_subject(request, Scope.POINTS)
    node, form = house(request), await Form.read(request)
    shown = Shown(form.choice("shown", list(Shown)))
    await node.database.run(
        lambda session: ranking.choose(session, node.clock, resident_id=resident_id, shown=shown)
    )
    return Redirect("/points/ranking", status_code=303)


def shown_names() -> list[tuple[str, str]]:
    """How one can stand in the ranking, in the reader's language."""
    return [
        (Shown.PSEUDONYM.value, _("Under my code")),
        (Shown.NAME.value, _("With my name")),
        (Shown.NOT.value, _("Not at all")),
    ]


def change_words(one: Difference) -> str:
    """One change of the rules as a sentence."""
    if one.before is None and one.what == "points":
        return _("New: %(act)s, %(points)s points") % {
            "act": activity_name(one.activity),
            "points": one.after,
        }
    if one.after is None and one.what == "points":
        return _("Taken out: %(act)s") % {"act": activity_name(one.activity)}
    if one.before is None or one.after is None:
        return ""
    what = {
        "points": _("Points"),
        "per": _("counted by"),
        "daily_points_max": _("At most a day"),
        "evidence": _("What shows it?"),
    }[one.what]
    act = activity_name(one.activity) if one.activity else _("All acts together")
    values = {"before": _value_words(one.before), "after": _value_words(one.after)}
    return _("%(act)s · %(what)s: %(before)s → %(after)s") % {"act": act, "what": what, **values}


def _value_words(value: Any) -> str:
    if isinstance(value, list):
        names = dict(evidence_names())
        return _(", ").join(names.get(str(one), str(one)) for one in value)
    return str({per.value: words for per, words in per_names().items()}.get(value, value))


def _pseudonym(resident_id: UUID, moment: datetime, secret: str) -> str:
    return rules.pseudonym(resident_id, year=rules.local_day(moment).year, secret=secret)


def _months_before(today: date) -> list[date]:
    months, first = [], today.replace(day=1)
    for _number in range(MONTHS_SHOWN):
        months.append(first)
        first = date(first.year - (first.month == 1), (first.month - 2) % 12 + 1, 1)
    return months


routes = [show_versions, journal, show_ranking, choose]
