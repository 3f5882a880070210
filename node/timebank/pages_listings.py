"""Offers and needs as pages: what neighbours list, mine, what fits it and why; training."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError, NotFound, WrongState
from node.kernel.ids import new_id
from node.residents import service as residents
from node.residents.model import Resident
from node.residents.rules import Scope
from node.timebank import listings, matching, rules, service, training
from node.timebank.api_listings import TRAINING_ROLES
from node.timebank.matching import Part
from node.timebank.model import Listing
from node.timebank.pages_exchange import planned, reader_of
from node.timebank.rules import Kind, Training
from node.timebank.words import (
    day_names,
    kind_names,
    masked,
    match_words,
    part_names,
    services,
)
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.paging import Cursor
from node.web.session import AnyRequest, house, require, require_subject

ROWS = 20  # listings on one page


@get("/timebank/listings")
async def show_listings(
    request: AnyRequest,
    kind: FromQuery[Kind | None] = None,
    after: FromQuery[Cursor | None] = None,
) -> Response[str]:
    """What neighbours offer and need, and what I do."""
    who, node = require(request), house(request)
    reader = reader_of(who)
    with node.database.read() as session:
        found = listings.listings(session, node.clock, kind=kind, limit=ROWS, after=after)
        mine = (
            listings.listings(
                session, node.clock, resident_id=reader, limit=rules.LISTINGS_MAX
            ).rows
            if reader
            else ()
        )
        others = [_shown(session, row) for row in found.rows if row.resident_id != reader]
    return page(
        request,
        "timebank/listings.html",
        mine=[_words(row) for row in mine],
        others=others,
        kind=kind,
        following=found.next,
        kind_names=kind_names(),
        is_mine=reader is not None,
        service_names={code: name for code, name, _standard in services()},
    )


@get("/timebank/listings/new")
async def show_new(request: AnyRequest) -> Response[str]:
    """The form: offer or need, what, when."""
    asked = dict(request.query_params)
    return _form(request, Form.of({"minutes": "60", "kind": Kind.NEED.value} | asked))


@post("/timebank/listings/new")
async def open_listing(request: AnyRequest) -> Response[Any]:
    """Open an offer or a need."""
    who, resident_id = require_subject(request, Scope.TIMEBANK)
    node, form = house(request), await Form.read(request)
    kind = Kind(form.choice("kind", list(Kind)))
    code = form.choice("service", rules.SERVICES)
    minutes = form.integer("minutes", least=1, most=rules.EXCHANGE_MINUTES_MAX)
    note = form.text("note", least=0, most=rules.NOTE_LENGTH_MAX)
    days = [day for day in range(matching.WEEKDAYS) if f"day-{day}" in form.values]
    parts = [part for part in Part if f"part-{part.value}" in form.values]
    if not (days and parts):
        form.errors["times"] = _("choose at least one day and one part of the day")
    if form.errors:
        return _form(request, form, status=422)
    try:
        await node.database.run(
            lambda session: listings.open_listing(
                session,
                node.clock,
                listing_id=form.id,
                kind=kind,
                resident_id=resident_id,
                service=code,
                times=matching.times_of(days, parts),
                minutes=minutes,
                note=note,
                recorded_by=who.recorder(resident_id),
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "service")
        return _form(request, form, status=409)
    return Redirect(f"/timebank/listings/{form.id}", status_code=303)


@get("/timebank/listings/{listing_id:uuid}")
async def show_one(request: AnyRequest, listing_id: FromPath[UUID]) -> Response[str]:
    """A listing: mine with what fits it and why; a neighbour's with a form to answer it."""
    return _one(request, listing_id, Form())


@post("/timebank/listings/{listing_id:uuid}/close")
async def close(request: AnyRequest, listing_id: FromPath[UUID]) -> Redirect:
    """Take my listing down."""
    _who, resident_id = require_subject(request, Scope.TIMEBANK)
    node = house(request)

    def command(session: Session) -> None:
        listings.close_listing(session, node.clock, listing_id=listing_id, resident_id=resident_id)

    await node.database.run(command)
    return Redirect("/timebank/listings", status_code=303)


@post("/timebank/listings/{listing_id:uuid}/answer")
async def answer(request: AnyRequest, listing_id: FromPath[UUID]) -> Response[Any]:
    """Ask for what is offered, or offer what is needed; the other says yes or no to it."""
    who, resident_id = require_subject(request, Scope.TIMEBANK)
    node, form = house(request), await Form.read(request)
    minutes = form.integer("minutes", least=1, most=rules.EXCHANGE_MINUTES_MAX)
    planned_at = form.check("planned_at", lambda: planned(form))
    if form.errors:
        return _one(request, listing_id, form, status=422)

    def command(session: Session) -> None:
        row = listings.find(session, listing_id)
        if not listings.is_open(row, node.clock):
            raise WrongState(what="listing", state="taken down", needed="shown")
        is_need = row.kind == Kind.NEED
        service.request(
            session,
            node.clock,
            exchange_id=form.id,
            provider_id=resident_id if is_need else row.resident_id,
            receiver_id=row.resident_id if is_need else resident_id,
            service=row.service,
            minutes=minutes,
            planned_at=planned_at,
            listing_id=listing_id,
            by_provider=is_need,
            recorded_by=who.recorder(resident_id),
        )

    try:
        await node.database.run(command)
    except DomainError as refusal:
        form.refuse(refusal, "minutes")
        return _one(request, listing_id, form, status=409)
    return Redirect(f"/timebank/exchanges/{form.id}", status_code=303)


@get("/timebank/training")
async def show_training(request: AnyRequest) -> Response[str]:
    """For the desk: what the resident one acts for has been trained for."""
    return _training(request, Form())


@post("/timebank/training")
async def note_training(request: AnyRequest) -> Response[Any]:
    """Write down that the resident one acts for was shown how, or has the certificate."""
    who, node = require(request, *TRAINING_ROLES), house(request)
    form = await Form.read(request)
    code = form.choice("service", [one for one, _name in _trained_services()])
    resident_id = who.acting_for
    if resident_id is None or form.errors:
        return _training(request, form, status=422)
    try:
        await node.database.run(
            lambda session: training.note(
                session,
                node.clock,
                resident_id=resident_id,
                service=code,
                seen_by=who.hand,
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "service")
        return _training(request, form, status=409)
    return Redirect("/timebank/training", status_code=303)


def times_words(bits: int) -> str:
    """The times of a listing, a day at a time: Mon morning, evening · Tue morning."""
    days, parts = day_names(), part_names()
    by_day: dict[int, list[str]] = {}
    for day, part in matching.times_in(bits):
        by_day.setdefault(day, []).append(parts[part])
    if bits == matching.ALL_TIMES:
        return _("at any time")
    return " · ".join(f"{days[day]} {_(', ').join(said)}" for day, said in by_day.items())


def _words(row: Listing) -> tuple[Listing, str]:
    return row, times_words(row.times)


def _shown(session: Session, row: Listing) -> tuple[Listing, str, str, str]:
    """A neighbour's listing: the times, the name's first sign, and the building."""
    owner = session.get(Resident, row.resident_id)
    name = masked(owner.name) if owner else ""
    return row, times_words(row.times), name, (owner.building or "") if owner else ""


def _form(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    require_subject(request, Scope.TIMEBANK)
    return page(
        request,
        "timebank/listing_form.html",
        status=status,
        form=form,
        kinds=[(Kind.NEED.value, _("I need help")), (Kind.OFFER.value, _("I can help"))],
        options=[(code, name) for code, name, _standard in services()],
        days=list(enumerate(day_names())),
        parts=[(part.value, name) for part, name in part_names().items()],
        step=rules.STEP_MINUTES,
    )


def _one(request: AnyRequest, listing_id: UUID, form: Form, *, status: int = 200) -> Response[str]:
    _who, resident_id = require_subject(request, Scope.TIMEBANK)
    node = house(request)
    with node.database.read() as session:
        row = listings.find(session, listing_id)
        is_mine = row.resident_id == resident_id
        if not is_mine and not listings.is_open(row, node.clock):
            raise NotFound(what="listing", id=str(listing_id))
        form.values.setdefault("minutes", str(row.minutes))
        found = listings.matches(session, node.clock, row) if is_mine else []
        fitting = [
            (one, _shown(session, listings.find(session, one.other.id)), one.reasons)
            for one in found
        ]
        return page(
            request,
            "timebank/listing.html",
            status=status,
            form=form,
            row=row,
            times=times_words(row.times),
            is_mine=is_mine,
            is_open=listings.is_open(row, node.clock),
            shown=_shown(session, row),
            matches=fitting,
            match_words=match_words,
            kind_names=kind_names(),
            form_ids={one.other.id: new_id() for one in found},
            service_names={code: name for code, name, _standard in services()},
        )


def _trained_services() -> list[tuple[str, str]]:
    return [
        (kind.code, _(kind.title))
        for kind in rules.SERVICES.values()
        if kind.training is not Training.NONE
    ]


def _training(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    who, node = require(request, *TRAINING_ROLES), house(request)
    with node.database.read() as session:
        name = residents.resident(session, who.acting_for).name if who.acting_for else ""
        rows = training.of(session, node.clock, who.acting_for) if who.acting_for else ()
    return page(
        request,
        "timebank/training.html",
        status=status,
        form=form,
        acting_name=name,
        options=_trained_services(),
        rows=rows,
        service_names=dict(_trained_services()),
    )


routes = [
    show_listings,
    show_new,
    open_listing,
    show_one,
    close,
    answer,
    show_training,
    note_training,
]
