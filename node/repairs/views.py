"""Requests as pages show them: names in the reader's language, rows, and photos from a form."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from litestar.datastructures import UploadFile
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.kernel.ids import derived_id
from node.repairs import photos, plan, rules
from node.repairs.model import ServiceRequest
from node.repairs.rules import STEPS, Level, Status
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.language import language
from node.web.session import AnyRequest, house

FORM_BYTES_MAX = photos.PHOTOS_AT_ONCE_MAX * photos.SENT_BYTES_MAX + 100_000


class Row(NamedTuple):
    """A request as pages show it."""

    request: ServiceRequest
    status: str
    category: str
    is_late: bool
    level: str  # who answers for it, once it was handed up
    next_steps: list[tuple[Status, str]]


def row(request: AnyRequest, one: ServiceRequest) -> Row:
    """A request with its words in the reader's language."""
    status, names = Status(one.status), step_names()
    late = status != Status.COMPLETED and house(request).clock.now() > one.due_at
    steps = [(to, names[to]) for to in Status if to in STEPS[status]]
    level = level_names().get(Level(one.level), "")
    name = status_name(status, is_merged=one.merged_into is not None)
    return Row(one, name, category_name(one.category), late, level, steps)


def status_name(status: Status, *, is_merged: bool) -> str:
    """Where a request stands, in the reader's language."""
    return _("merged with another") if is_merged else status_names()[status]


def status_names() -> dict[Status, str]:
    """Each status in the reader's language."""
    return {
        Status.PENDING: _("reported"),
        Status.DISPATCHED: _("dispatched"),
        Status.PROCESSING: _("being worked on"),
        Status.COMPLETED: _("completed"),
    }


def step_names() -> dict[Status, str]:
    """What moving a request to a status is called on its button."""
    return {
        Status.PENDING: _("Send back"),
        Status.DISPATCHED: _("Dispatch"),
        Status.PROCESSING: _("Start the work"),
        Status.COMPLETED: _("Work is done"),
    }


def level_names() -> dict[Level, str]:
    """Who answers for an overdue request."""
    return {
        Level.BUILDING: _("the building's steward"),
        Level.PROPERTY: _("the property company"),
        Level.COMMUNITY: _("the community office"),
    }


def category_names() -> list[tuple[str, str]]:
    """Each category's code and its name in the reader's language."""
    return [(code, _(category.name)) for code, category in rules.CATEGORIES.items()]


def category_name(code: str) -> str:
    """A category in the reader's language; its code where a community brought its own."""
    known = rules.CATEGORIES.get(code)
    return _(known.name) if known else code


def replies_for(current: plan.Plan, status: Status) -> list[tuple[str, str]]:
    """What is often said at a status: code and words in the reader's language."""
    spoken = language.get()
    return [
        (one.code, one.zh if spoken == "zh" else one.en)
        for one in current.replies
        if one.status == status
    ]


async def read_photos(request: AnyRequest, form: Form, *, name: str = "photo") -> list[photos.Made]:
    """The pictures that came with a form, made anew; what is wrong with them goes to the field."""
    sent = (await request.form()).getall(name, [])
    files = [one for one in sent if isinstance(one, UploadFile) and one.filename]
    if len(files) > photos.PHOTOS_AT_ONCE_MAX:
        most = {"most": photos.PHOTOS_AT_ONCE_MAX}
        form.errors[name] = _("At most %(most)s photos at once, please.") % most
        return []
    made = []
    for file in files:
        content = await file.read(photos.SENT_BYTES_MAX + 1)
        try:
            made.append(await asyncio.to_thread(photos.make, content))
        except DomainError as refusal:
            form.refuse(refusal, name)
    return made


def keep_photos(
    session: Session,
    request: AnyRequest,
    made: Sequence[photos.Made],
    *,
    request_id: int,
    key: UUID,
    added_by: str,
) -> None:
    """Keep them with the request; a form that is sent twice keeps them once."""
    for one in made:
        photos.add(
            session,
            house(request).clock,
            photo_id=derived_id("repair photo", key, one.sent_sha256),
            request_id=request_id,
            made=one,
            added_by=added_by,
        )
