"""All motions, one motion with its seven steps, the ballot paper, the result, the tasks."""

from datetime import date, datetime, time
from typing import Any, NamedTuple
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.council import rules, service, tasks
from node.council.api import DESK_ROLES, OFFICE_ROLES, proposer, recorder, voter_of
from node.council.model import Ballot, Motion, Vote
from node.council.rules import Choice, Step, VoteKind
from node.council.service import Published
from node.kernel.errors import BadInput, DomainError
from node.residents import service as residents
from node.residents.rules import Role
from node.web.forms import Form
from node.web.language import LOCAL_TIME
from node.web.language import gettext as _
from node.web.layout import Card, Link, page
from node.web.session import AnyRequest, Caller, caller, house, require


class StepShown(NamedTuple):
    """One of the seven, as the page draws it."""

    step: Step
    name: str
    reached_at: datetime | None
    is_now: bool


class VoteShown(NamedTuple):
    """One vote, with the published ballots once it is closed."""

    vote: Vote
    is_binding: bool
    rule_name: str
    ballots: list[Published]


@get("/council")
async def show(request: AnyRequest) -> Response[str]:
    """All motions and where each stands; how a wish becomes a promise."""
    with house(request).database.read() as session:
        found = service.motions(session)
        running = service.open_votes(session)
    return page(
        request,
        "council/list.html",
        motions=found,
        running=running,
        step_names=step_names(),
        way=[step_names()[step] for step in SEVEN_STEPS],
    )


@get("/council/new")
async def show_propose(request: AnyRequest) -> Response[str]:
    """The form for a motion."""
    require(request)
    return page(request, "council/propose.html", form=Form())


@post("/council/new")
async def propose(request: AnyRequest) -> Response[Any]:
    """Move a motion."""
    who = proposer(request)
    node, form = house(request), await Form.read(request)
    title = form.text("title", most=rules.TITLE_LENGTH_MAX)
    text = form.text("text", most=rules.TEXT_LENGTH_MAX)
    if form.errors:
        return page(request, "council/propose.html", form=form, status=422)
    await node.database.run(
        lambda session: service.propose(
            session,
            node.clock,
            motion_id=form.id,
            title=title,
            text=text,
            proposed_by=who.subject,
            recorded_by=recorder(who, who.subject),
        )
    )
    return Redirect(f"/council/motions/{form.id}", status_code=303)


@get("/council/motions/{motion_id:uuid}")
async def show_motion(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[str]:
    """One motion: its way, its votes, its tasks, and what its reader can do."""
    return _motion(request, motion_id, Form())


@post("/council/motions/{motion_id:uuid}/ballot")
async def cast(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """Put in my ballot, or at the desk that of the resident one acts for; shows the receipt."""
    who, node = require(request), house(request)
    form = await Form.read(request)
    choice = Choice(form.choice("choice", list(Choice)))
    if form.errors:
        return _motion(request, motion_id, form, status=422)
    voter_id, channel = voter_of(who, None, None)
    try:
        ballot: Ballot = await node.database.run(
            lambda session: service.cast(
                session,
                node.clock,
                ballot_id=form.id,
                motion_id=motion_id,
                voter_id=voter_id,
                choice=choice,
                channel=channel,
                recorded_by=recorder(who, voter_id),
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "choice")
        return _motion(request, motion_id, form, status=409)
    return page(
        request,
        "council/receipt.html",
        motion_id=motion_id,
        receipt=ballot.receipt,
        choice_name=choice_names()[choice],
    )


@post("/council/motions/{motion_id:uuid}/straw")
async def ask(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """Ask the meeting what it thinks."""
    require(request, *DESK_ROLES)
    node, form = house(request), await Form.read(request)
    return await _change(
        request,
        motion_id,
        form,
        lambda session: service.ask(session, node.clock, motion_id=motion_id, vote_id=form.id),
    )


@post("/council/motions/{motion_id:uuid}/close")
async def close(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """Count the open vote."""
    who, node = require(request, *DESK_ROLES), house(request)
    by = who.resident_id or who.via
    return await _change(
        request,
        motion_id,
        Form(),
        lambda session: service.close_vote(session, node.clock, motion_id=motion_id, closed_by=by),
    )


@post("/council/motions/{motion_id:uuid}/step")
async def take_step(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """Bring the motion to its next step."""
    who, node = require(request, *OFFICE_ROLES), house(request)
    form = await Form.read(request)
    to = Step(form.choice("to", list(Step)))
    needs_note = to in (Step.DECLINED, Step.FEEDBACK)
    note = form.text("note", least=int(needs_note), most=rules.TEXT_LENGTH_MAX)
    by = who.resident_id or who.via
    return await _change(
        request,
        motion_id,
        form,
        lambda session: service.take_step(
            session, node.clock, motion_id=motion_id, to=to, note=note, taken_by=by
        ),
    )


@post("/council/motions/{motion_id:uuid}/tasks")
async def add_task(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """Write down a task of the resolution."""
    require(request, *OFFICE_ROLES)
    node, form = house(request), await Form.read(request)
    title = form.text("title", most=rules.TITLE_LENGTH_MAX)
    owner = form.text("owner", most=rules.OWNER_LENGTH_MAX)
    due_on = form.check("due_on", lambda: _as_day(form.text("due_on")))
    return await _change(
        request,
        motion_id,
        form,
        lambda session: tasks.add_work_item(
            session,
            node.clock,
            item_id=form.id,
            motion_id=motion_id,
            title=title,
            owner=owner,
            due_on=due_on or date.min,
        ),
    )


@post("/council/motions/{motion_id:uuid}/tasks/{item_id:uuid}/done")
async def finish_task(
    request: AnyRequest, motion_id: FromPath[UUID], item_id: FromPath[UUID]
) -> Response[Any]:
    """Tick a task off."""
    who, node = require(request, *OFFICE_ROLES, Role.PROPERTY), house(request)
    by = who.resident_id or who.via
    return await _change(
        request,
        motion_id,
        Form(),
        lambda session: tasks.finish_work_item(session, node.clock, item_id=item_id, done_by=by),
    )


def card(request: AnyRequest, session: Session, who: Caller) -> Card | None:
    """What is put to the vote now, on the home page."""
    found, running = service.motions(session), service.open_votes(session)
    links = [Link("/council", _("See what is discussed"))]
    lines = [motion.title for motion in found if motion.id in running]
    if lines:
        return Card(_("You can vote now"), lines[:3], links)
    public = [motion.title for motion in found if motion.step == Step.PUBLICITY]
    if public:
        return Card(_("Made public before the vote"), public[:3], links)
    return Card(_("Council"), [_("What shall be better here? Move it.")], links)


SEVEN_STEPS = tuple(step for step in Step if step is not Step.DECLINED)


def step_names() -> dict[Step, str]:
    """Each step in the reader's language."""
    return {
        Step.COLLECTING: _("Collecting"),
        Step.SCREENING: _("Screening"),
        Step.PUBLICITY: _("Made public (7 days)"),
        Step.ASSEMBLY: _("Council and vote"),
        Step.RESOLVED: _("Resolution"),
        Step.EXECUTING: _("Carried out and watched"),
        Step.FEEDBACK: _("What came of it"),
        Step.DECLINED: _("Not taken up"),
    }


def choice_names() -> dict[Choice, str]:
    """Each choice in the reader's language."""
    return {Choice.YES: _("Yes"), Choice.NO: _("No"), Choice.ABSTAIN: _("I abstain")}


def _rule_names() -> dict[str, str]:
    return {
        rules.RESIDENTS_RULE.code: _(
            "Counts when more than half of the roll vote, and carries when more than half of those "
            "say yes."
        ),
        rules.STRAW_RULE.code: _("A straw vote: it shows what people think and binds nobody."),
    }


async def _change(request: AnyRequest, motion_id: UUID, form: Form, command: Any) -> Response[Any]:
    """Do it and show the motion again, or show what is in the way."""
    if not form.errors:
        try:
            await house(request).database.run(command)
        except DomainError as refusal:
            form.refuse(refusal, "to")
    if form.errors:
        return _motion(request, motion_id, form, status=409)
    return Redirect(f"/council/motions/{motion_id}", status_code=303)


def _motion(
    request: AnyRequest, motion_id: UUID, form: Form, *, status: int = 200
) -> Response[str]:
    who = caller(request)
    with house(request).database.read() as session:
        motion = service.find(session, motion_id)
        running = service.open_vote(session, motion_id)
        possible = rules.next_steps(Step(motion.step), is_carried=motion.is_carried)
        started = motion.publicity_started_at
        return page(
            request,
            "council/motion.html",
            status=status,
            form=form,
            motion=motion,
            steps=_steps(session, motion),
            votes=_votes(session, motion_id),
            running=running,
            ballot=_ballot_paper(session, who, running),
            choices=list(choice_names().items()),
            choice_names=choice_names(),
            tasks=[
                (item, datetime.combine(item.due_on, time(12), LOCAL_TIME))
                for item in tasks.work_items(session, motion_id)
            ],
            public_until=rules.publicity_ends(started) if started else None,
            next_steps=[(step, step_names()[step]) for step in Step if step in possible],
            may_step=who.has(*OFFICE_ROLES),
            may_ask=who.has(*DESK_ROLES) and motion.step == Step.COLLECTING and not running,
            may_close=who.has(*DESK_ROLES) and running is not None,
            may_add=who.has(*OFFICE_ROLES)
            and bool(motion.is_carried)
            and motion.step in (Step.RESOLVED, Step.EXECUTING),
            may_finish=who.has(*OFFICE_ROLES, Role.PROPERTY),
        )


def _steps(session: Session, motion: Motion) -> list[StepShown]:
    reached = {change.step: change.changed_at for change in service.steps_taken(session, motion.id)}
    names = step_names()
    shown = [step for step in Step if step in SEVEN_STEPS or step in reached]
    return [StepShown(step, names[step], reached.get(step), motion.step == step) for step in shown]


def _votes(session: Session, motion_id: UUID) -> list[VoteShown]:
    names = _rule_names()
    return [
        VoteShown(
            vote,
            vote.kind == VoteKind.BINDING,
            names[vote.decision_rule],
            service.published_ballots(session, vote),
        )
        for vote in service.votes(session, motion_id)
    ]


def _ballot_paper(session: Session, who: Caller, running: Vote | None) -> dict[str, str] | None:
    """What to say to this reader about the open vote: the paper, or why there is none."""
    if running is None or not who.is_known:
        return None
    try:
        voter_id, _channel = voter_of(who, None, None)
    except BadInput:
        return None
    if not service.is_on_roll(session, vote_id=running.id, voter_id=voter_id):
        return {"state": "not_on_roll"}
    if service.has_voted(session, vote_id=running.id, voter_id=voter_id):
        return {"state": "voted"}
    is_own = voter_id == who.resident_id and who.acting_for is None
    name = "" if is_own else residents.resident(session, voter_id).name
    return {"state": "open", "name": name}


def _as_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(field="due_on", problem="give a day, such as 2026-12-31") from None


routes = [
    show,
    show_propose,
    propose,
    show_motion,
    cast,
    ask,
    close,
    take_step,
    add_task,
    finish_task,
]
