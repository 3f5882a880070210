"""Calls for delegates: who may stand, who does, who was chosen, and whom they speak for."""

from typing import Any, NamedTuple
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from node.council import calls, delegates, words
from node.council.access import OFFICE_ROLES
from node.council.api_delegates import candidate_of
from node.council.delegates import Coverage
from node.council.rules import TITLE_LENGTH_MAX
from node.kernel.errors import DomainError
from node.residents import service as residents
from node.web.forms import Form
from node.web.layout import page
from node.web.session import AnyRequest, caller, house, require


class GroupShown(NamedTuple):
    """One line of the coverage, in the reader's words."""

    dimension: str
    group: str
    line: Coverage


@get("/council/delegates", include_in_schema=False)
async def show_calls(request: AnyRequest) -> Response[str]:
    """All calls, and for the secretary the form for a new one."""
    return _calls(request, Form(values={"seats": "9", "days": "14"}))


@post("/council/delegates", include_in_schema=False)
async def open_call(request: AnyRequest) -> Response[Any]:
    """Call for delegates."""
    require(request, *OFFICE_ROLES)
    node, form = house(request), await Form.read(request)
    title = form.text("title", most=TITLE_LENGTH_MAX)
    seats = form.integer("seats", least=delegates.SEATS_MIN, most=delegates.SEATS_MAX)
    days = form.integer("days", least=calls.CALL_DAYS_MIN, most=calls.CALL_DAYS_MAX)
    if form.errors:
        return _calls(request, form, status=422)
    await node.database.run(
        lambda session: calls.open_call(
            session, node.clock, call_id=form.id, title=title, seats=seats, days=days
        )
    )
    return Redirect(f"/council/delegates/{form.id}", status_code=303)


@get("/council/delegates/{call_id:uuid}", include_in_schema=False)
async def show_call(request: AnyRequest, call_id: FromPath[UUID]) -> Response[str]:
    """One call: stand, see who speaks for whom, check the draw."""
    return _call(request, call_id, Form())


@post("/council/delegates/{call_id:uuid}/stand", include_in_schema=False)
async def stand(request: AnyRequest, call_id: FromPath[UUID]) -> Response[Any]:
    """Stand as a delegate, or change what one does."""
    resident_id, node = candidate_of(require(request)), house(request)
    form = await Form.read(request)
    occupation = form.choice("occupation", delegates.OCCUPATIONS)
    return await _change(
        request,
        call_id,
        form,
        lambda session: calls.stand(
            session,
            node.clock,
            call_id=call_id,
            resident_id=resident_id,
            occupation=occupation,
        ),
    )


@post("/council/delegates/{call_id:uuid}/withdraw", include_in_schema=False)
async def withdraw(request: AnyRequest, call_id: FromPath[UUID]) -> Response[Any]:
    """Not stand after all."""
    resident_id, node = candidate_of(require(request)), house(request)
    return await _change(
        request,
        call_id,
        Form(),
        lambda session: calls.withdraw(
            session, node.clock, call_id=call_id, resident_id=resident_id
        ),
    )


@post("/council/delegates/{call_id:uuid}/draw", include_in_schema=False)
async def draw(request: AnyRequest, call_id: FromPath[UUID]) -> Response[Any]:
    """Give out the seats."""
    require(request, *OFFICE_ROLES)
    node = house(request)
    return await _change(
        request,
        call_id,
        Form(),
        lambda session: calls.draw(session, node.clock, call_id=call_id),
    )


async def _change(request: AnyRequest, call_id: UUID, form: Form, command: Any) -> Response[Any]:
    if not form.errors:
        try:
            await house(request).database.run(command)
        except DomainError as refusal:
            form.refuse(refusal, "occupation")
    if form.errors:
        return _call(request, call_id, form, status=409)
    return Redirect(f"/council/delegates/{call_id}", status_code=303)


def _calls(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    who = caller(request)
    with house(request).database.read() as session:
        return page(
            request,
            "council/calls.html",
            status=status,
            form=form,
            calls=calls.all_calls(session),
            may_open=who.has(*OFFICE_ROLES),
        )


def _call(request: AnyRequest, call_id: UUID, form: Form, *, status: int = 200) -> Response[str]:
    who, node = caller(request), house(request)
    with node.database.read() as session:
        call = calls.find(session, call_id)
        standing = calls.candidates(session, call_id)
        mine = next((one for one in standing if one.resident_id == who.subject), None)
        chosen = sorted(
            (one for one in standing if one.place is not None), key=lambda one: one.place or 0
        )
        names = words.dimension_names()
        groups = [
            GroupShown(names[one.dimension], words.group_name(one.dimension, one.group), one)
            for one in calls.coverage(session, node.clock, call_id)
        ]
        is_open = node.clock.now() < call.ends_at
        if mine is not None:
            form.values.setdefault("occupation", mine.occupation)
        return page(
            request,
            "council/call.html",
            status=status,
            form=form,
            call=call,
            standing=len(standing),
            mine=mine,
            chosen=[residents.resident(session, one.resident_id).name for one in chosen]
            if who.is_known
            else [],
            groups=groups,
            uncovered=[one for one in groups if call.drawn_at and not one.line.is_covered],
            occupations=list(words.occupation_names().items()),
            is_open=is_open,
            may_stand=is_open and who.subject is not None,
            may_draw=who.has(*OFFICE_ROLES) and not is_open and call.drawn_at is None,
        )


routes = [show_calls, open_call, show_call, stand, withdraw, draw]
