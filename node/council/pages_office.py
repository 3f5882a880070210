"""For the secretary: the terms of a vote, its steps, the tasks of a resolution, its papers."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from litestar.response import Redirect

from node.council import motions, papers, rules, sealing, service, tasks, voting, words
from node.council.access import DESK_ROLES, OFFICE_ROLES
from node.council.api_papers import UPLOAD_BYTES_MAX
from node.council.electorates import MATTERS
from node.council.papers import PaperKind
from node.council.rules import Step
from node.kernel.errors import BadInput, DomainError
from node.residents.rules import Role
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest, house, require

Act = Callable[[], Awaitable[Any]]


@get("/council/motions/{motion_id:uuid}/office", include_in_schema=False)
async def show_office(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[str]:
    """Everything that the office does with one motion, the next thing first."""
    return _office(request, motion_id, Form())


@post("/council/motions/{motion_id:uuid}/terms", include_in_schema=False)
async def set_terms(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """Say whose decision it is, open or secret, and how long it is public and voted on."""
    require(request, *OFFICE_ROLES)
    form = await Form.read(request)
    matter = form.choice("matter", list(MATTERS))
    is_secret = form.choice("secrecy", ("open", "secret")) == "secret"
    publicity_days = form.integer(
        "publicity_days", least=rules.PUBLICITY_TIME_MIN.days, most=rules.PUBLICITY_DAYS_MAX
    )
    voting_days = form.integer("voting_days", least=1, most=rules.VOTING_DAYS_MAX)
    return await _change(
        request,
        motion_id,
        form,
        "secrecy",
        lambda: house(request).database.run(
            lambda session: service.set_terms(
                session,
                motion_id=motion_id,
                matter=matter,
                is_secret=is_secret,
                publicity_days=publicity_days,
                voting_days=voting_days,
            )
        ),
    )


@post("/council/motions/{motion_id:uuid}/straw", include_in_schema=False)
async def ask(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """Ask the meeting what it thinks."""
    require(request, *DESK_ROLES)
    node, form = house(request), await Form.read(request)
    return await _change(
        request,
        motion_id,
        form,
        "to",
        lambda: node.database.run(
            lambda session: voting.ask(session, node.clock, motion_id=motion_id, vote_id=form.id)
        ),
    )


@post("/council/motions/{motion_id:uuid}/close", include_in_schema=False)
async def close(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """Count the open vote."""
    who = require(request, *DESK_ROLES)
    by = who.hand
    return await _change(
        request,
        motion_id,
        Form(),
        "to",
        lambda: sealing.close(house(request), motion_id=motion_id, closed_by=by),
    )


@post("/council/motions/{motion_id:uuid}/step", include_in_schema=False)
async def take_step(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """Bring the motion to its next step."""
    who = require(request, *OFFICE_ROLES)
    form = await Form.read(request)
    to = Step(form.choice("to", list(Step)))
    needs_note = to in (Step.DECLINED, Step.FEEDBACK)
    note = form.text("note", least=int(needs_note), most=rules.TEXT_LENGTH_MAX)
    by = who.hand
    return await _change(
        request,
        motion_id,
        form,
        "to",
        lambda: sealing.take_step(
            house(request), motion_id=motion_id, to=to, note=note, taken_by=by
        ),
    )


@post("/council/motions/{motion_id:uuid}/tasks", include_in_schema=False)
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
        "title",
        lambda: node.database.run(
            lambda session: tasks.add_work_item(
                session,
                node.clock,
                item_id=form.id,
                motion_id=motion_id,
                title=title,
                owner=owner,
                due_on=due_on or date.min,
            )
        ),
    )


@post("/council/motions/{motion_id:uuid}/tasks/{item_id:uuid}/ticket", include_in_schema=False)
async def open_ticket(
    request: AnyRequest, motion_id: FromPath[UUID], item_id: FromPath[UUID]
) -> Response[Any]:
    """Have a task carried out as a repair ticket."""
    who, node = require(request, *OFFICE_ROLES), house(request)
    form = await Form.read(request)
    location = form.text("location", most=rules.OWNER_LENGTH_MAX)
    return await _change(
        request,
        motion_id,
        form,
        "location",
        lambda: node.database.run(
            lambda session: tasks.open_ticket(
                session,
                node.clock,
                ticket_id=form.id,
                item_id=item_id,
                category=tasks.CATEGORY,
                location=location,
                opened_by=tasks.opener(who.resident_id),
            )
        ),
    )


@post("/council/motions/{motion_id:uuid}/tasks/{item_id:uuid}/done", include_in_schema=False)
async def finish_task(
    request: AnyRequest, motion_id: FromPath[UUID], item_id: FromPath[UUID]
) -> Response[Any]:
    """Tick a task off."""
    who, node = require(request, *OFFICE_ROLES, Role.PROPERTY), house(request)
    by = who.hand
    await node.database.run(
        lambda session: tasks.finish_work_item(session, node.clock, item_id=item_id, done_by=by)
    )
    return Redirect(f"/council/motions/{motion_id}", status_code=303)


@post(
    "/council/motions/{motion_id:uuid}/papers",
    include_in_schema=False,
    request_max_body_size=UPLOAD_BYTES_MAX,
)
async def add_paper(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """Lay an opinion, minutes or a recording beside the motion."""
    who, node = require(request, *DESK_ROLES), house(request)
    form = await Form.read(request)
    kind = PaperKind(form.choice("kind", list(PaperKind)))
    title = form.text("paper_title", most=rules.TITLE_LENGTH_MAX)
    file = (await request.form()).get("file")
    content = await file.read() if isinstance(file, UploadFile) else b""
    if not content:
        form.errors["file"] = _("Please choose a file.")
    by = who.hand
    return await _change(
        request,
        motion_id,
        form,
        "file",
        lambda: node.database.run(
            lambda session: papers.add(
                session,
                node.clock,
                paper_id=form.id,
                motion_id=motion_id,
                kind=kind,
                title=title,
                content=content,
                added_by=by,
            )
        ),
    )


async def _change(
    request: AnyRequest, motion_id: UUID, form: Form, field: str, act: Act
) -> Response[Any]:
    """Do it and show the office again, or show beside its field what is in the way."""
    if not form.errors:
        try:
            await act()
        except DomainError as refusal:
            form.refuse(refusal, field)
    if form.errors:
        return _office(request, motion_id, form, status=409)
    return Redirect(f"/council/motions/{motion_id}/office", status_code=303)


def _office(
    request: AnyRequest, motion_id: UUID, form: Form, *, status: int = 200
) -> Response[str]:
    who = require(request, *DESK_ROLES)
    with house(request).database.read() as session:
        motion = motions.find(session, motion_id)
        running = voting.open_vote(session, motion_id)
        step = Step(motion.step)
        possible = rules.next_steps(step, is_carried=motion.is_carried)
        names = words.step_names()
        kept = {
            "matter": motion.matter,
            "secrecy": "secret" if motion.is_secret else "open",
            "publicity_days": str(motion.publicity_days),
            "voting_days": str(motion.voting_days),
        }
        form.values = kept | form.values
        is_office = who.has(*OFFICE_ROLES)
        return page(
            request,
            "council/office.html",
            status=status,
            form=form,
            motion=motion,
            running=running,
            step_name=names[step],
            next_steps=[(one, names[one]) for one in Step if one in possible],
            matters=list(words.matter_names().items()),
            secrecies=[("open", _("Open ballot")), ("secret", _("Secret ballot"))],
            kinds=list(words.paper_names().items()),
            tasks=tasks.progress(session, motion_id),
            is_office=is_office,
            may_set=is_office and step in (Step.COLLECTING, Step.SCREENING) and not running,
            may_ask=step is Step.COLLECTING and not running,
            may_add=is_office
            and bool(motion.is_carried)
            and step in (Step.RESOLVED, Step.EXECUTING),
        )


def _as_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(field="due_on", problem="give a day, such as 2026-12-31") from None


routes = [
    show_office,
    set_terms,
    ask,
    close,
    take_step,
    add_task,
    open_ticket,
    finish_task,
    add_paper,
]
