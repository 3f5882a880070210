"""The plan as the desk edits it: teams, routes, due times, steps up, replies; one form for each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect
from msgspec.structs import replace
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.repairs import plan, rules, views
from node.repairs.access import PLANNERS, WORKERS
from node.repairs.rules import Level, Status
from node.residents.model import Resident, RoleGrant
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest, as_uuid, house, require

VERSION_MAX = 999_999_999
WORKERS_SHOWN_MAX = 200


@get("/repairs/plan")
async def show_plan(request: AnyRequest) -> Response[str]:
    """Who does what by when."""
    require(request, *PLANNERS)
    return _show(request, Form())


@post("/repairs/plan")
async def change_plan(request: AnyRequest) -> Response[Any]:
    """Change one part of it."""
    who, node, form = require(request, *PLANNERS), house(request), await Form.read(request)
    part = form.choice("part", PARTS)
    seen = form.integer("version", least=0, most=VERSION_MAX)
    if form.errors:
        return _show(request, form, status=422)

    def command(session: Session) -> None:
        _version, before = plan.current(session)
        after = PARTS[part](before, form)
        if not form.errors:
            plan.change(session, node.clock, seen=seen, plan=after, changed_by=who.actor)

    try:
        await node.database.run(command)
    except DomainError as refusal:
        form.refuse(refusal, "part")
    if form.errors:
        return _show(request, form, status=422)
    return Redirect(f"/repairs/plan#{_place(part)}", status_code=303)


def _place(part: str) -> str:
    """The section that a part stands in."""
    return part.partition("_")[0]


def _add_team(before: plan.Plan, form: Form) -> plan.Plan:
    name = form.text("team_name", most=60)
    taken = {one.code for one in before.teams}
    code = next(f"team_{n}" for n in range(1, len(taken) + 2) if f"team_{n}" not in taken)
    return replace(before, teams=(*before.teams, plan.Team(code, name)))


def _change_team(before: plan.Plan, form: Form) -> plan.Plan:
    code, name = form.values.get("team", ""), form.text("team_name", most=60)
    chosen = [word for word in form.values if word.startswith("member-")]
    members = tuple(
        as_uuid(word.removeprefix("member-"), field="part") for word in chosen[: plan.MEMBERS_MAX]
    )
    teams = tuple(
        replace(one, name=name, members=members) if one.code == code else one
        for one in before.teams
    )
    return replace(before, teams=teams)


def _remove_team(before: plan.Plan, form: Form) -> plan.Plan:
    """Its routes go with it, and no level names it any longer."""
    code = form.values.get("team", "")
    return replace(
        before,
        teams=tuple(one for one in before.teams if one.code != code),
        routes=tuple(one for one in before.routes if one.team != code),
        steps=tuple(replace(one, team="") if one.team == code else one for one in before.steps),
    )


def _add_route(before: plan.Plan, form: Form) -> plan.Plan:
    category = form.choice("category", ["", *rules.CATEGORIES])
    building = form.text("building", least=0, most=rules.BUILDING_LENGTH_MAX)
    team = form.choice("team", [one.code for one in before.teams] or [""])
    return replace(before, routes=(*before.routes, plan.Route(team, category, building)))


def _remove_route(before: plan.Plan, form: Form) -> plan.Plan:
    gone = (form.values.get("category", ""), form.values.get("building", ""))
    kept = tuple(one for one in before.routes if (one.category, one.building) != gone)
    return replace(before, routes=kept)


def _set_due(before: plan.Plan, form: Form) -> plan.Plan:
    hours = {
        code: form.integer(f"due-{code}", least=1, most=plan.DUE_HOURS_MAX)
        for code in rules.CATEGORIES
    }
    others = {code: due for code, due in before.due_hours.items() if code not in hours}
    return replace(before, due_hours=others | hours)


def _set_steps(before: plan.Plan, form: Form) -> plan.Plan:
    codes = ["", *(one.code for one in before.teams)]
    steps = tuple(
        plan.Step(
            level,
            form.integer(f"hours-{level}", least=0, most=plan.STEP_HOURS_MAX),
            form.choice(f"team-{level}", codes),
        )
        for level in (Level.BUILDING, Level.PROPERTY, Level.COMMUNITY)
    )
    return replace(before, steps=steps)


def _add_reply(before: plan.Plan, form: Form) -> plan.Plan:
    status = Status(form.choice("status", list(Status)))
    chinese, english = form.text("zh", most=500), form.text("en", most=500)
    taken = {one.code for one in before.replies}
    code = next(f"reply_{n}" for n in range(1, len(taken) + 2) if f"reply_{n}" not in taken)
    return replace(before, replies=(*before.replies, plan.Reply(code, status, chinese, english)))


def _remove_reply(before: plan.Plan, form: Form) -> plan.Plan:
    code = form.values.get("reply", "")
    return replace(before, replies=tuple(one for one in before.replies if one.code != code))


PARTS: Mapping[str, Callable[[plan.Plan, Form], plan.Plan]] = {
    "teams_add": _add_team,
    "teams_change": _change_team,
    "teams_remove": _remove_team,
    "routes_add": _add_route,
    "routes_remove": _remove_route,
    "due_set": _set_due,
    "steps_set": _set_steps,
    "replies_add": _add_reply,
    "replies_remove": _remove_reply,
}
"""What a form may change, and how."""


def _show(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    with house(request).database.read() as session:
        version, current = plan.current(session)
        workers = [(str(one.id), one.name) for one in _workers(session)]
    names = {one.code: one.name for one in current.teams}
    due = {code: plan.due_hours(current, code) for code in rules.CATEGORIES}
    form.values = {f"due-{code}": str(hours) for code, hours in due.items()} | form.values
    for step in current.steps:
        form.values.setdefault(f"hours-{step.level}", str(step.hours_after_due))
        form.values.setdefault(f"team-{step.level}", step.team)
    context: dict[str, Any] = {
        "form": form,
        "version": version,
        "plan": current,
        "workers": workers,
        "team_names": names,
        "teams": list(names.items()),
        "categories": views.category_names(),
        "category_name": views.category_name,
        "statuses": [(one.value, name) for one, name in views.status_names().items()],
        "status_names": views.status_names(),
        "level_names": views.level_names(),
        "any_category": [("", _("every kind")), *views.category_names()],
        "no_team": [("", _("stays with its team")), *names.items()],
    }
    return page(request, "repairs/plan.html", status=status, **context)


def _workers(session: Session) -> Sequence[Resident]:
    """Who may be in a team: residents who work here."""
    held = [role.value for role in WORKERS]
    query = (
        select(Resident)
        .join(RoleGrant, RoleGrant.resident_id == Resident.id)
        .where(RoleGrant.role.in_(held))
        .distinct()
        .order_by(Resident.name, Resident.id)
        .limit(WORKERS_SHOWN_MAX)
    )
    return session.scalars(query).all()


routes = [show_plan, change_plan]
