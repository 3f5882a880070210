"""The council as JSON: motions, their terms and steps, the tasks that follow.

`POST …/straw` opens a vote that binds nobody while a motion is still being collected; the step to
`assembly` opens the binding one. Ballots, proxies, rolls and archives are in `api_voting.py`.
"""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody
from sqlalchemy.orm import Session

from node.council import (
    api_delegates,
    api_papers,
    api_secret,
    api_voting,
    rules,
    sealing,
    service,
    tasks,
    voting,
)
from node.council import motions as records
from node.council.access import DESK_ROLES, OFFICE_ROLES, proposer
from node.council.api_voting import vote_json
from node.council.electorates import Electorate
from node.council.model import Motion
from node.council.rules import Step
from node.council.tasks import Progress
from node.residents.rules import Role
from node.web import idempotency
from node.web.session import AnyRequest, house, require


class MotionBody(msgspec.Struct):
    title: str
    text: str
    electorate: str = Electorate.RESIDENTS.value
    matter: str | None = None
    is_secret: bool = False
    rule_change: dict[str, Any] | None = None


class TermsBody(msgspec.Struct):
    matter: str
    is_secret: bool = False
    publicity_days: int = rules.PUBLICITY_TIME_MIN.days
    voting_days: int = rules.VOTING_TIME.days


class StepBody(msgspec.Struct):
    to: Step
    note: str = ""


class WorkItemBody(msgspec.Struct):
    title: str
    owner: str
    due_on: date


class TicketBody(msgspec.Struct):
    category: str
    location: str


@get("/api/council/motions")
async def list_motions(request: AnyRequest) -> list[dict[str, Any]]:
    """All motions, newest first."""
    with house(request).database.read() as session:
        return [_brief(motion) for motion in records.motions(session)]


@post("/api/council/motions")
async def propose(request: AnyRequest, data: JSONBody[MotionBody]) -> dict[str, Any]:
    """Move a motion: any resident, or the desk for one (or for a meeting)."""
    who = proposer(request)
    node, motion_id = house(request), idempotency.key(request)
    await node.database.run(
        lambda session: service.propose(
            session,
            node.clock,
            motion_id=motion_id,
            title=data.title,
            text=data.text,
            electorate=data.electorate,
            matter=data.matter,
            is_secret=data.is_secret,
            rule_change=data.rule_change,
            proposed_by=who.subject,
            recorded_by=who.recorder(who.subject),
        )
    )
    return _shown(request, motion_id)


@get("/api/council/motions/{motion_id:uuid}")
async def show(request: AnyRequest, motion_id: FromPath[UUID]) -> dict[str, Any]:
    """One motion: its step, its votes (results once closed), its tasks."""
    return _shown(request, motion_id)


@post("/api/council/motions/{motion_id:uuid}/terms", status_code=200)
async def set_terms(
    request: AnyRequest, motion_id: FromPath[UUID], data: JSONBody[TermsBody]
) -> dict[str, Any]:
    """Say whose decision a motion is, open or secret, and for how long (secretary)."""
    require(request, *OFFICE_ROLES)
    await house(request).database.run(
        lambda session: service.set_terms(
            session,
            motion_id=motion_id,
            matter=data.matter,
            is_secret=data.is_secret,
            publicity_days=data.publicity_days,
            voting_days=data.voting_days,
        )
    )
    return _shown(request, motion_id)


@post("/api/council/motions/{motion_id:uuid}/step", status_code=200)
async def take_step(
    request: AnyRequest, motion_id: FromPath[UUID], data: JSONBody[StepBody]
) -> dict[str, Any]:
    """Bring a motion to its next step (secretary)."""
    who = require(request, *OFFICE_ROLES)
    await sealing.take_step(
        house(request),
        motion_id=motion_id,
        to=data.to,
        note=data.note,
        taken_by=who.hand,
    )
    return _shown(request, motion_id)


@post("/api/council/motions/{motion_id:uuid}/straw")
async def ask(request: AnyRequest, motion_id: FromPath[UUID]) -> dict[str, Any]:
    """Ask a meeting what it thinks (clerk, secretary); binds nobody."""
    require(request, *DESK_ROLES)
    node, vote_id = house(request), idempotency.key(request)
    vote = await node.database.run(
        lambda session: voting.ask(session, node.clock, motion_id=motion_id, vote_id=vote_id)
    )
    return vote_json(vote)


@post("/api/council/motions/{motion_id:uuid}/work-items")
async def add_work_item(
    request: AnyRequest, motion_id: FromPath[UUID], data: JSONBody[WorkItemBody]
) -> dict[str, Any]:
    """Write down what a carried motion asks of whom until when (secretary)."""
    require(request, *OFFICE_ROLES)
    node, item_id = house(request), idempotency.key(request)
    item = await node.database.run(
        lambda session: tasks.add_work_item(
            session,
            node.clock,
            item_id=item_id,
            motion_id=motion_id,
            title=data.title,
            owner=data.owner,
            due_on=data.due_on,
        )
    )
    return item_json(Progress(item, ()))


@post("/api/council/work-items/{item_id:uuid}/tickets")
async def open_ticket(
    request: AnyRequest, item_id: FromPath[UUID], data: JSONBody[TicketBody]
) -> dict[str, Any]:
    """Have a task carried out as a repair ticket (secretary, signed in as a resident)."""
    who, node = require(request, *OFFICE_ROLES), house(request)
    opener = tasks.opener(who.subject)
    ticket_id = idempotency.key(request)
    ticket = await node.database.run(
        lambda session: tasks.open_ticket(
            session,
            node.clock,
            ticket_id=ticket_id,
            item_id=item_id,
            category=data.category,
            location=data.location,
            opened_by=opener,
        )
    )
    return {"id": str(ticket.id), "number": ticket.number, "is_closed": ticket.is_closed}


@post("/api/council/work-items/{item_id:uuid}/done", status_code=200)
async def finish_work_item(request: AnyRequest, item_id: FromPath[UUID]) -> dict[str, Any]:
    """Tick a task off (secretary, property)."""
    who, node = require(request, *OFFICE_ROLES, Role.PROPERTY), house(request)
    item = await node.database.run(
        lambda session: tasks.finish_work_item(
            session, node.clock, item_id=item_id, done_by=who.hand
        )
    )
    return item_json(Progress(item, ()))


def item_json(shown: Progress) -> dict[str, Any]:
    """A task as the API shows it."""
    item = shown.item
    return {
        "id": str(item.id),
        "title": item.title,
        "owner": item.owner,
        "due_on": item.due_on.isoformat(),
        "is_done": item.done_at is not None,
        "percent": shown.percent,
        "tickets": [{"number": one.number, "is_closed": one.is_closed} for one in shown.tickets],
    }


def _shown(request: AnyRequest, motion_id: UUID) -> dict[str, Any]:
    with house(request).database.read() as session:
        return _full(session, records.find(session, motion_id))


def _brief(motion: Motion) -> dict[str, Any]:
    return {
        "id": str(motion.id),
        "title": motion.title,
        "step": motion.step,
        "electorate": records.electorate_of(motion).value,
        "matter": motion.matter,
        "is_secret": motion.is_secret,
        "is_carried": motion.is_carried,
        "proposed_at": motion.proposed_at.isoformat(),
    }


def _full(session: Session, motion: Motion) -> dict[str, Any]:
    possible = rules.next_steps(Step(motion.step), is_carried=motion.is_carried)
    ballots = {}
    votes = voting.votes(session, motion.id)
    for vote in votes:
        listed = voting.published_ballots(session, vote)
        ballots[vote.id] = [{"receipt": line.receipt, "choice": line.choice} for line in listed]
    is_public = motion.publicity_started_at is not None
    return _brief(motion) | {
        "text": motion.text,
        "rule_change": motion.rule_change,
        "note": motion.note,
        "publicity_days": motion.publicity_days,
        "voting_days": motion.voting_days,
        "publicity_ends_at": service.publicity_ends(motion).isoformat() if is_public else None,
        "next_steps": sorted(possible),
        "steps": [
            {"step": one.step, "reached_at": one.changed_at.isoformat()}
            for one in records.steps_taken(session, motion.id)
        ],
        "votes": [vote_json(vote) | {"ballots": ballots[vote.id]} for vote in votes],
        "work_items": [item_json(shown) for shown in tasks.progress(session, motion.id)],
    }


routes = [
    list_motions,
    propose,
    show,
    set_terms,
    take_step,
    ask,
    add_work_item,
    open_ticket,
    finish_work_item,
    *api_voting.routes,
    *api_secret.routes,
    *api_papers.routes,
    *api_delegates.routes,
]
