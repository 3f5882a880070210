"""My data: what is stored and why, what I agreed to, take it along, put it right, be forgotten."""

import asyncio
import json
from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.residents import privacy, rules, service
from node.residents.pages_proxies import self_or_desk
from node.residents.rules import Purpose
from node.residents.words import purpose_names
from node.web.forms import Form
from node.web.layout import page
from node.web.session import (
    ACTING_COOKIE,
    SIGN_IN_COOKIE,
    AnyRequest,
    cookie,
    house,
    sign_in,
)


@get("/privacy")
async def show_privacy(request: AnyRequest) -> Response[str]:
    """The notice in plain words, my consents, and the doors to export and erasure."""
    return _show(request, Form())


@post("/privacy/consent")
async def consent(request: AnyRequest) -> Response[Any]:
    """Agree to something, or take it back."""
    who, resident_id = self_or_desk(request)
    node, form = house(request), await Form.read(request)
    purpose = Purpose(form.choice("purpose", list(Purpose)))
    is_given = form.choice("answer", ("yes", "no")) == "yes"
    recorded_by = who.hand
    assert recorded_by is not None, "who is known came by one of the two"
    if form.errors:
        return _show(request, form, status=422)

    def command(session: Session) -> None:
        if is_given:
            privacy.give_consent(
                session,
                node.clock,
                consent_id=form.id,
                resident_id=resident_id,
                purpose=purpose,
                recorded_by=recorded_by,
            )
        else:
            privacy.withdraw_consent(session, node.clock, resident_id=resident_id, purpose=purpose)

    await node.database.run(command)
    return Redirect("/privacy", status_code=303)


@get("/privacy/export")
async def export(request: AnyRequest) -> Response[bytes]:
    """All that is stored about me, as a JSON file."""
    _who, resident_id = self_or_desk(request)
    node = house(request)

    def collect() -> bytes:
        with node.database.read() as session:
            found = privacy.export(session, node.clock, resident_id=resident_id)
        return json.dumps(found, ensure_ascii=False, indent=1).encode()

    content = await asyncio.to_thread(collect)
    headers = {"Content-Disposition": 'attachment; filename="linli-my-data.json"'}
    return Response(content, media_type="application/json", headers=headers)


@post("/privacy/correct")
async def correct(request: AnyRequest) -> Response[Any]:
    """Put right what is mine to say: phone number and year of birth. The PIN is asked for."""
    who, node, form = self_or_desk(request)[0], house(request), await Form.read(request)
    resident_id, phone = who.resident_id, form.text("phone")
    year = form.values.get("birth_year", "").strip()
    born = form.integer("birth_year", least=rules.BIRTH_YEAR_MIN, most=9999) if year else None
    form.check("phone", lambda: rules.clean_phone(phone) if phone else None)
    assert resident_id is not None, "a cookie is always a resident's"
    await _check_pin(request, form)

    def command(session: Session) -> None:
        me = service.resident(session, resident_id)
        said = service.particulars(me)._replace(phone=phone, birth_year=born)
        service.correct(session, me, said.checked(this_year=node.clock.now().year))

    if not form.errors:
        try:
            await node.database.run(command)
        except DomainError as refusal:
            form.refuse(refusal, "phone")
    if form.errors:
        return _show(request, form, status=422)
    return Redirect("/privacy?done=corrected", status_code=303)


@post("/privacy/erase")
async def erase(request: AnyRequest) -> Response[Any]:
    """Forget who I am. The PIN is asked for; nothing brings the name back."""
    who, node, form = self_or_desk(request)[0], house(request), await Form.read(request)
    resident_id = who.resident_id
    assert resident_id is not None, "a cookie is always a resident's"
    await _check_pin(request, form)
    if not form.errors:
        try:
            await node.database.run(
                lambda session: privacy.erase(session, node.clock, resident_id=resident_id)
            )
        except DomainError as refusal:
            form.refuse(refusal, "pin")
    if form.errors:
        return _show(request, form, status=422)
    answer = Redirect("/", status_code=303)
    for name in (SIGN_IN_COOKIE, ACTING_COOKIE):
        answer.cookies.append(cookie(request, name, "", max_age=0))
    return answer


async def _check_pin(request: AnyRequest, form: Form) -> None:
    """Whoever found the telephone lying around cannot change whose it is."""
    pin, who = form.text("pin"), self_or_desk(request)[0]
    form.values.pop("pin", None)
    if form.errors or who.resident_id is None:
        return
    with house(request).database.read() as session:
        phone = service.resident(session, who.resident_id).phone
    assert phone is not None, "who is signed in was not erased"
    try:
        await sign_in(request, phone=phone, pin=pin)  # counts wrong tries like any sign-in
    except DomainError as refusal:
        form.refuse(refusal, "pin")


def _show(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    who, resident_id = self_or_desk(request)
    with house(request).database.read() as session:
        resident = service.resident(session, resident_id)
        given = privacy.consents(session, resident_id=resident_id)
    form.values.setdefault("phone", resident.phone or "")
    form.values.setdefault("birth_year", str(resident.birth_year or ""))
    shown: dict[str, Any] = {
        "me": resident,
        "given": given,
        "purposes": purpose_names(),
        "is_self": who.resident_id == resident_id,
        "done": request.query_params.get("done", ""),
        "form": form,
    }
    return page(request, "residents/privacy.html", status=status, **shown)


routes = [show_privacy, consent, export, correct, erase]
