"""Who does what by when: teams, routes, due times, steps up, replies. Data that the desk edits.

A version is never changed: `change` writes the next one, so that every request can be judged by
the plan of its day. Choosing (`team_for`, `due_at`, …) is pure.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel import rows
from node.kernel.errors import BadInput, DomainError
from node.kernel.ports import Clock
from node.repairs import rules
from node.repairs.kept import COUNTERS, PLAN_VERSIONS, next_value
from node.repairs.model import RepairCounter, RepairPlan
from node.repairs.rules import Level, Status

PLAN_COUNTER = "plan"
TEAMS_MAX, ROUTES_MAX, REPLIES_MAX, MEMBERS_MAX = 100, 1_000, 100, 100
DUE_HOURS_MAX, STEP_HOURS_MAX = 24 * 90, 24 * 90

Code = Annotated[str, msgspec.Meta(pattern="^[a-z0-9_]{1,40}$")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class PlanChanged(DomainError):
    code = "repairs.plan_changed"
    message = "Somebody changed the plan meanwhile. Look at it again, then change it."
    retryable = True


class Team(msgspec.Struct, frozen=True):
    """Who works together. Their members see the team's requests as their own work."""

    code: Code
    name: Name
    members: Annotated[tuple[UUID, ...], msgspec.Meta(max_length=MEMBERS_MAX)] = ()


class Route(msgspec.Struct, frozen=True):
    """Requests of this category and building go to this team; an empty word fits all."""

    team: Code
    category: str = ""
    building: str = ""


class Step(msgspec.Struct, frozen=True):
    """How long after its due time a request goes up to this level, and to which team there."""

    level: Annotated[int, msgspec.Meta(ge=1, le=3)]
    hours_after_due: Annotated[int, msgspec.Meta(ge=0, le=STEP_HOURS_MAX)]
    team: str = ""


class Reply(msgspec.Struct, frozen=True):
    """What is often said at a status, in both languages."""

    code: Code
    status: Status
    zh: Words
    en: Words


class Plan(msgspec.Struct, frozen=True):
    """All of it. The defaults are those of a community that has not planned anything yet."""

    teams: Annotated[tuple[Team, ...], msgspec.Meta(max_length=TEAMS_MAX)] = ()
    routes: Annotated[tuple[Route, ...], msgspec.Meta(max_length=ROUTES_MAX)] = ()
    due_hours: dict[str, Annotated[int, msgspec.Meta(ge=1, le=DUE_HOURS_MAX)]] = {}
    steps: tuple[Step, ...] = (
        Step(Level.BUILDING, 0),
        Step(Level.PROPERTY, 24),
        Step(Level.COMMUNITY, 72),
    )
    replies: Annotated[tuple[Reply, ...], msgspec.Meta(max_length=REPLIES_MAX)] = (
        Reply("on_the_way", Status.DISPATCHED, "已派师傅，请保持电话畅通。", "We are on our way."),
        Reply("parts", Status.PROCESSING, "配件已订购，到货后安装。", "Parts have been ordered."),
        Reply("done", Status.COMPLETED, "已修好，请您查看并评价。", "Done. Please rate it."),
    )
    looked_at_first: tuple[str, ...] = ("other",)
    """Open311 services whose reports get their public number once the desk has dispatched them."""


def team_for(plan: Plan, *, category: str, building: str | None) -> str | None:
    """The team of the most specific route; the building says more than the category."""
    fitting = [
        route
        for route in plan.routes
        if route.category in ("", category) and route.building in ("", building or "")
    ]
    best = max(fitting, key=lambda one: (one.building != "", one.category != ""), default=None)
    return best.team if best else None


def team(plan: Plan, code: str | None) -> Team | None:
    """The team of this code, while there is one."""
    return next((one for one in plan.teams if one.code == code), None)


def teams_of(plan: Plan, resident_id: UUID | None) -> tuple[str, ...]:
    """The teams that somebody works in."""
    return tuple(one.code for one in plan.teams if resident_id in one.members)


def due_hours(plan: Plan, category: str) -> int:
    """How soon work of this category is to be over."""
    known = rules.CATEGORIES.get(category)
    usual = known.due_hours if known else rules.DUE_HOURS_DEFAULT
    return plan.due_hours.get(category, usual)


def due_at(plan: Plan, category: str, reported_at: datetime) -> datetime:
    """When the work is to be over."""
    return reported_at + timedelta(hours=due_hours(plan, category))


def step_above(plan: Plan, level: int) -> Step | None:
    """The next step up from this level; None at the top."""
    return next((one for one in plan.steps if one.level > level), None)


def escalate_at(plan: Plan, *, due: datetime, level: int) -> datetime | None:
    """When a request that stays open goes up from this level."""
    step = step_above(plan, level)
    return due + timedelta(hours=step.hours_after_due) if step else None


def check(plan: Plan) -> Plan:
    """The plan, if everything that it names exists; refuses it with the part that is wrong."""
    codes = [one.code for one in plan.teams]
    if len(set(codes)) < len(codes):
        raise BadInput(field="teams", problem="two teams share a code")
    named = {route.team for route in plan.routes} | {step.team for step in plan.steps} - {""}
    if named - set(codes):
        raise BadInput(field="routes", problem="there is no such team")
    places = [(route.category, route.building) for route in plan.routes]
    if len(set(places)) < len(places):
        raise BadInput(field="routes", problem="there is a route for this already")
    if len({reply.code for reply in plan.replies}) < len(plan.replies):
        raise BadInput(field="replies", problem="two replies share a code")
    levels = [step.level for step in plan.steps]
    hours = [step.hours_after_due for step in plan.steps]
    if levels != list(range(1, 4)) or hours != sorted(hours):
        raise BadInput(field="steps", problem="each level comes later than the one before")
    return plan


def current(session: Session) -> tuple[int, Plan]:
    """The plan in force and its version; version 0 where nobody has planned yet."""
    if rows.are_kept(session):
        counter = COUNTERS.get(session, PLAN_COUNTER)
        version = counter.value if counter else 0
        kept = PLAN_VERSIONS.get(session, version) if version else None
        return version, _decoded(kept.content) if kept else Plan()
    query = (
        select(RepairPlan.version, RepairPlan.content)
        .join(RepairCounter, RepairCounter.value == RepairPlan.version)
        .where(RepairCounter.name == PLAN_COUNTER)
    )
    row = session.execute(query).first()
    return (row.version, _decoded(row.content)) if row else (0, Plan())


def change(session: Session, clock: Clock, *, seen: int, plan: Plan, changed_by: str) -> int:
    """Make this the plan from now on, unless somebody changed the version that was `seen`."""
    version, before = current(session)
    if plan == before:
        return version  # sent twice, or nothing changed
    if version != seen:
        raise PlanChanged
    content = msgspec.json.encode(check(plan)).decode()
    try:
        _decoded(content)
    except msgspec.ValidationError as problem:
        raise BadInput(field="plan", problem=str(problem)) from problem
    following = next_value(session, PLAN_COUNTER)
    session.add(
        RepairPlan(
            version=following, content=content, changed_by=changed_by, changed_at=clock.now()
        )
    )
    session.flush()
    return following


@lru_cache(maxsize=8)
def _decoded(content: str) -> Plan:
    return msgspec.json.decode(content, type=Plan)
