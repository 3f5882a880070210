"""The desk: find a resident, register one, put things right, give a new PIN."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError, NotAllowed
from node.residents import privacy, proxies, rules, service
from node.residents.refusals import NoSuchPerson
from node.residents.rules import ACTING_ROLES, Particulars, Role
from node.residents.words import role_names
from node.web.forms import Form
from node.web.layout import page
from node.web.session import AnyRequest, house, require

DESK = (Role.CLERK, Role.SOCIAL_WORKER, Role.OPERATOR)
REGISTRARS = (Role.CLERK, Role.OPERATOR)


@get("/residents")
async def list_residents(request: AnyRequest) -> Response[str]:
    """The desk's search: name, phone or flat."""
    who, text = require(request, *DESK), request.query_params.get("q", "")
    with house(request).database.read() as session:
        found = [(one, service.roles_of(session, one.id)) for one in service.search(session, text)]
    shown: dict[str, Any] = {"found": found, "text": text, "may_act": who.has(*ACTING_ROLES)}
    return page(request, "residents/list.html", role_names=role_names(), **shown)


@get("/residents/new")
async def show_join(request: AnyRequest) -> Response[str]:
    """The desk's form for a new resident."""
    require(request, *REGISTRARS)
    return page(request, "residents/join.html", form=Form())


@post("/residents/new")
async def do_join(request: AnyRequest) -> Response[Any]:
    """Welcome a new resident at the desk."""
    require(request, *REGISTRARS)
    node, form = house(request), await Form.read(request)
    said, pin = _particulars(request, form), form.text("pin", least=0)
    if pin:
        form.check("pin", lambda: rules.check_pin(pin))
    if not form.errors:
        pin_hash = await asyncio.to_thread(service.hash_pin, pin) if pin else None
        try:
            await node.database.run(
                lambda session: service.join(
                    session,
                    node.clock,
                    resident_id=form.id,
                    pin_hash=pin_hash,
                    credit_limit_minutes=node.settings.credit_limit_minutes,
                    **said._asdict(),
                )
            )
        except DomainError as refusal:
            form.refuse(refusal, "phone")
    if form.errors:
        return page(request, "residents/join.html", form=form, status=422)
    return Redirect(f"/residents/{form.id}?done=joined", status_code=303)


@get("/residents/{resident_id:uuid}")
async def show(request: AnyRequest, resident_id: FromPath[UUID]) -> Response[str]:
    """One resident, as the desk may see and serve them."""
    return _show(request, resident_id, Form())


@post("/residents/{resident_id:uuid}/pin")
async def new_pin(request: AnyRequest, resident_id: FromPath[UUID]) -> Response[Any]:
    """A new PIN, typed by the resident at the desk; opens a locked number, ends old sign-ins."""
    require(request, *DESK)
    node, form = house(request), await Form.read(request)
    pin = form.text("pin")
    if not form.errors:
        form.check("pin", lambda: rules.check_pin(pin))
    if form.errors:
        return _show(request, resident_id, form, status=422)
    pin_hash = await asyncio.to_thread(service.hash_pin, pin)

    def command(session: Session) -> None:
        _must_be_ordinary(request, session, resident_id)
        service.set_pin(session, node.clock, resident_id=resident_id, pin_hash=pin_hash)
        service.unlock(session, resident_id=resident_id)
        service.sign_out_elsewhere(session, node.clock, resident_id=resident_id, keep=None)

    await node.database.run(command)
    return _back(resident_id, "pin")


@post("/residents/{resident_id:uuid}/unlock")
async def unlock(request: AnyRequest, resident_id: FromPath[UUID]) -> Response[Any]:
    """Let somebody try again who mistyped too often; their PIN stays as it is."""
    require(request, *DESK)
    await house(request).database.run(
        lambda session: service.unlock(session, resident_id=resident_id)
    )
    return _back(resident_id, "unlocked")


@post("/residents/{resident_id:uuid}/correct")
async def correct(request: AnyRequest, resident_id: FromPath[UUID]) -> Response[Any]:
    """Put right what the house knows about somebody."""
    require(request, *REGISTRARS)
    node, form = house(request), await Form.read(request)
    said = _particulars(request, form)

    def command(session: Session) -> None:
        resident = service.resident(session, resident_id)
        _must_be_ordinary(request, session, resident_id)
        checked = said.checked(this_year=node.clock.now().year)
        service.correct(session, resident, checked)

    if not form.errors:
        await _try(request, form, "phone", command)
    if form.errors:
        return _show(request, resident_id, form, status=422)
    return _back(resident_id, "corrected")


@post("/residents/{resident_id:uuid}/roles")
async def set_roles(request: AnyRequest, resident_id: FromPath[UUID]) -> Response[Any]:
    """The operator says which roles somebody holds from now on."""
    require(request, Role.OPERATOR)
    node, form = house(request), await Form.read(request)
    wanted = {role for role in Role if form.values.get(f"role-{role}") == "1"} - {Role.RESIDENT}

    def command(session: Session) -> None:
        held = service.roles_of(session, resident_id) - {Role.RESIDENT}
        for role in wanted - held:
            service.grant(session, node.clock, resident_id=resident_id, role=role)
        for role in held - wanted:
            service.revoke_role(session, resident_id=resident_id, role=role)

    await _try(request, form, "roles", command)
    if form.errors:
        return _show(request, resident_id, form, status=422)
    return _back(resident_id, "roles")


@post("/residents/{resident_id:uuid}/erase")
async def erase(request: AnyRequest, resident_id: FromPath[UUID]) -> Response[Any]:
    """Erase somebody who asked for it in writing (operator); their name is typed to be sure."""
    require(request, Role.OPERATOR)
    node, form = house(request), await Form.read(request)
    typed = form.text("erase_name")

    def command(session: Session) -> None:
        if service.resident(session, resident_id).name != typed:
            raise NoSuchPerson
        privacy.erase(session, node.clock, resident_id=resident_id)

    if not form.errors:
        await _try(request, form, "erase_name", command)
    if form.errors:
        return _show(request, resident_id, form, status=422)
    return Redirect("/residents", status_code=303)


async def _try(
    request: AnyRequest, form: Form, name: str, command: Callable[[Session], None]
) -> None:
    try:
        await house(request).database.run(command)
    except NotAllowed:
        raise
    except DomainError as refusal:
        form.refuse(refusal, name)


def _must_be_ordinary(request: AnyRequest, session: Session, resident_id: UUID) -> None:
    """Staff is put right by the operator alone: a clerk must not sign in as the operator."""
    if service.roles_of(session, resident_id) != {Role.RESIDENT}:
        require(request, Role.OPERATOR)


def _particulars(request: AnyRequest, form: Form) -> Particulars:
    this_year, year = house(request).clock.now().year, form.values.get("birth_year", "").strip()
    typed_area = form.values.get("floor_area", "")
    born = form.integer("birth_year", least=rules.BIRTH_YEAR_MIN, most=this_year) if year else None
    said = Particulars(
        name=form.text("name", most=rules.NAME_LENGTH_MAX),
        phone=form.text("phone"),
        building=form.text("building", least=0, most=rules.BUILDING_LENGTH_MAX) or None,
        household=form.text("household", least=0, most=rules.HOUSEHOLD_LENGTH_MAX) or None,
        is_owner=form.values.get("is_owner") == "1",
        floor_area_dm2=form.check("floor_area", lambda: rules.read_floor_area(typed_area)),
        birth_year=born,
    )
    if not form.errors:
        form.check("phone", lambda: said.checked(this_year=this_year))
    return said


def _show(
    request: AnyRequest, resident_id: UUID, form: Form, *, status: int = 200
) -> Response[str]:
    who, node = require(request, *DESK), house(request)
    with node.database.read() as session:
        resident = service.resident(session, resident_id)
        roles = service.roles_of(session, resident_id)
        locked_until = service.locked_until(session, node.clock, resident_id=resident_id)
        agreed = proxies.agreements(session, node.clock, resident_id=resident_id)
        given = privacy.consents(session, resident_id=resident_id)
    if not form.values:
        form.values = _typed(service.particulars(resident))
    shown: dict[str, Any] = {
        "one": resident,
        "roles": roles,
        "role_names": role_names(),
        "locked_until": locked_until,
        "agreements": agreed,
        "has_consented": rules.Purpose.PRIVACY_NOTICE in given,
        "may_act": who.has(*ACTING_ROLES),
        "may_correct": who.has(*REGISTRARS),
        "is_operator": who.has(Role.OPERATOR),
        "done": request.query_params.get("done", ""),
        "form": form,
    }
    return page(request, "residents/one.html", status=status, **shown)


def _typed(said: Particulars) -> dict[str, str]:
    area = said.floor_area_dm2
    return {
        "name": said.name,
        "phone": said.phone,
        "building": said.building or "",
        "household": said.household or "",
        "is_owner": "1" if said.is_owner else "",
        "floor_area": f"{area // 100}.{area % 100:02}" if area else "",
        "birth_year": str(said.birth_year or ""),
    }


def _back(resident_id: UUID, done: str) -> Redirect:
    return Redirect(f"/residents/{resident_id}?done={done}", status_code=303)


routes = [
    list_residents,
    show_join,
    do_join,
    show,
    new_pin,
    unlock,
    correct,
    set_roles,
    erase,
]
