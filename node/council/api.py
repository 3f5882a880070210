"""The council as JSON: motions and their steps, straw and binding votes, tasks.

`POST …/straw` opens a vote that binds nobody while a motion is still being collected; the step to
`assembly` opens the binding one. `…/ballots` and `…/close` speak to whichever vote is open.
"""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody
from sqlalchemy.orm import Session

from node.council import rules, service, tasks
from node.council.model import Ballot, Motion, Vote, WorkItem
from node.council.rules import Channel, Choice, Step
from node.kernel.errors import BadInput, NotAllowed
from node.residents.rules import Role, Scope
from node.web import idempotency
from node.web.session import AnyRequest, Caller, house, require

DESK_ROLES = (Role.CLERK, Role.SECRETARY)  # who may put in a ballot for somebody, or run a meeting
OFFICE_ROLES = (Role.SECRETARY,)  # who takes a motion through its steps


class MotionBody(msgspec.Struct):
    title: str
    text: str
    electorate: str = "residents"
    rule_change: dict[str, Any] | None = None


class StepBody(msgspec.Struct):
    to: Step
    note: str = ""


class BallotBody(msgspec.Struct):
    choice: Choice
    voter_id: UUID | None = None
    holder_id: UUID | None = None


class WorkItemBody(msgspec.Struct):
    title: str
    owner: str
    due_on: date


def recorder(who: Caller, resident_id: UUID | None) -> UUID | None:
    """Who wrote it down, when that was not the resident: the other of the two ids on a record."""
    return None if who.resident_id == resident_id else who.resident_id or who.via


def proposer(request: AnyRequest) -> Caller:
    """Who moves a motion: a resident, somebody who may do everything for one, or the desk."""
    who = require(request)
    if who.subject is None:
        return require(request, *DESK_ROLES)
    if not who.may_act_for(who.subject, Scope.EVERYTHING):
        raise NotAllowed(what="motion")
    return who


def voter_of(who: Caller, named: UUID | None, holder_id: UUID | None) -> tuple[UUID, Channel]:
    """Whose ballot this is and how it came; a relative who acts for an elder may not vote so."""
    voter_id = named or (who.subject if who.has(*DESK_ROLES) else who.resident_id)
    if voter_id is None:
        raise BadInput(field="voter_id", problem="name the voter")
    if holder_id is None and who.resident_id == voter_id:
        return voter_id, Channel.WEB
    if not who.has(*DESK_ROLES):
        raise NotAllowed(what="ballot")
    return voter_id, Channel.DESK if holder_id is None else Channel.PROXY


@get("/api/council/motions")
async def list_motions(request: AnyRequest) -> list[dict[str, Any]]:
    """All motions, newest first."""
    with house(request).database.read() as session:
        return [_brief(motion) for motion in service.motions(session)]


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
            rule_change=data.rule_change,
            proposed_by=who.subject,
            recorded_by=recorder(who, who.subject),
        )
    )
    return _shown(request, motion_id)


@get("/api/council/motions/{motion_id:uuid}")
async def show(request: AnyRequest, motion_id: FromPath[UUID]) -> dict[str, Any]:
    """One motion: its step, its votes (results once closed), its tasks."""
    return _shown(request, motion_id)


@post("/api/council/motions/{motion_id:uuid}/step", status_code=200)
async def take_step(
    request: AnyRequest, motion_id: FromPath[UUID], data: JSONBody[StepBody]
) -> dict[str, Any]:
    """Bring a motion to its next step (secretary)."""
    who, node = require(request, *OFFICE_ROLES), house(request)
    await node.database.run(
        lambda session: service.take_step(
            session,
            node.clock,
            motion_id=motion_id,
            to=data.to,
            note=data.note,
            taken_by=who.resident_id or who.via,
        )
    )
    return _shown(request, motion_id)


@post("/api/council/motions/{motion_id:uuid}/straw")
async def ask(request: AnyRequest, motion_id: FromPath[UUID]) -> dict[str, Any]:
    """Ask a meeting what it thinks (clerk, secretary); binds nobody."""
    require(request, *DESK_ROLES)
    node, vote_id = house(request), idempotency.key(request)
    vote = await node.database.run(
        lambda session: service.ask(session, node.clock, motion_id=motion_id, vote_id=vote_id)
    )
    return vote_json(vote)


@post("/api/council/motions/{motion_id:uuid}/ballots")
async def cast(
    request: AnyRequest, motion_id: FromPath[UUID], data: JSONBody[BallotBody]
) -> dict[str, Any]:
    """Put in one ballot: the voter's own, or at the desk (with `holder_id`: a written proxy)."""
    who = require(request)
    voter_id, channel = voter_of(who, data.voter_id, data.holder_id)
    node, ballot_id = house(request), idempotency.key(request)
    ballot: Ballot = await node.database.run(
        lambda session: service.cast(
            session,
            node.clock,
            ballot_id=ballot_id,
            motion_id=motion_id,
            voter_id=voter_id,
            choice=data.choice,
            channel=channel,
            holder_id=data.holder_id,
            recorded_by=recorder(who, voter_id),
        )
    )
    return {"id": str(ballot.id), "receipt": ballot.receipt, "channel": ballot.channel}


@post("/api/council/motions/{motion_id:uuid}/close", status_code=200)
async def close(request: AnyRequest, motion_id: FromPath[UUID]) -> dict[str, Any]:
    """Count the open vote and publish the result."""
    who, node = require(request, *DESK_ROLES), house(request)
    vote = await node.database.run(
        lambda session: service.close_vote(
            session, node.clock, motion_id=motion_id, closed_by=who.resident_id or who.via
        )
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
    return item_json(item)


@post("/api/council/work-items/{item_id:uuid}/done", status_code=200)
async def finish_work_item(request: AnyRequest, item_id: FromPath[UUID]) -> dict[str, Any]:
    """Tick a task off (secretary, property)."""
    who, node = require(request, *OFFICE_ROLES, Role.PROPERTY), house(request)
    item = await node.database.run(
        lambda session: tasks.finish_work_item(
            session, node.clock, item_id=item_id, done_by=who.resident_id or who.via
        )
    )
    return item_json(item)


def vote_json(vote: Vote) -> dict[str, Any]:
    """A vote as the API shows it: no figure of it before its close."""
    rule = rules.DECISION_RULES[vote.decision_rule]
    shown = {
        "id": str(vote.id),
        "kind": vote.kind,
        "is_binding": vote.kind == rules.VoteKind.BINDING,
        "rule": {"code": rule.code, "source": rule.source},
        "opened_at": vote.opened_at.isoformat(),
        "ends_at": vote.ends_at.isoformat() if vote.ends_at else None,
        "is_open": vote.closed_at is None,
        "on_roll": vote.on_roll,
        "roll_sha256": vote.roll_sha256,
    }
    if vote.closed_at is not None:
        counts = {"yes": vote.yes, "no": vote.no, "abstain": vote.abstain}
        shown["tally"] = counts | {"quorum": vote.has_quorum, "carried": vote.is_carried}
    return shown


def item_json(item: WorkItem) -> dict[str, Any]:
    """A task as the API shows it."""
    return {
        "id": str(item.id),
        "title": item.title,
        "owner": item.owner,
        "due_on": item.due_on.isoformat(),
        "is_done": item.done_at is not None,
    }


def _shown(request: AnyRequest, motion_id: UUID) -> dict[str, Any]:
    with house(request).database.read() as session:
        return _full(session, service.find(session, motion_id))


def _brief(motion: Motion) -> dict[str, Any]:
    return {
        "id": str(motion.id),
        "title": motion.title,
        "step": motion.step,
        "electorate": motion.electorate,
        "is_carried": motion.is_carried,
        "proposed_at": motion.proposed_at.isoformat(),
    }


def _full(session: Session, motion: Motion) -> dict[str, Any]:
    started = motion.publicity_started_at
    possible = rules.next_steps(Step(motion.step), is_carried=motion.is_carried)
    ballots = {}
    votes = service.votes(session, motion.id)
    for vote in votes:
        listed = service.published_ballots(session, vote)
        ballots[vote.id] = [{"receipt": line.receipt, "choice": line.choice} for line in listed]
    return _brief(motion) | {
        "text": motion.text,
        "rule_change": motion.rule_change,
        "note": motion.note,
        "publicity_ends_at": rules.publicity_ends(started).isoformat() if started else None,
        "next_steps": sorted(possible),
        "votes": [vote_json(vote) | {"ballots": ballots[vote.id]} for vote in votes],
        "work_items": [item_json(item) for item in tasks.work_items(session, motion.id)],
    }


routes = [
    list_motions,
    propose,
    show,
    take_step,
    ask,
    cast,
    close,
    add_work_item,
    finish_work_item,
]
