"""Vote one screen at a time, give a written proxy, read the roll, take the archive along."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.council import archive, motions, proxies, roll, rules, sealing, voting, words
from node.council.access import DESK_ROLES, casting
from node.council.api_voting import grantor
from node.council.electorates import Choice
from node.council.model import Vote, VotingProxy
from node.council.refusals import HolderUnknown
from node.council.rules import Channel
from node.kernel.errors import DomainError, NotAllowed
from node.residents import service as residents
from node.residents.model import Resident
from node.residents.refusals import NotSignedIn
from node.residents.rules import clean_phone
from node.web import qr
from node.web.forms import Form
from node.web.layout import page
from node.web.session import AnyRequest, Caller, caller, house, require

NAME_LENGTH_MAX, PHONE_LENGTH_MAX = 60, 20


@get("/council/motions/{motion_id:uuid}/ballot", include_in_schema=False)
async def show_ballot(
    request: AnyRequest, motion_id: FromPath[UUID], voter: FromQuery[UUID | None] = None
) -> Response[Any]:
    """The ballot paper: one question, three answers."""
    require(request)
    return _ballot_page(request, motion_id, Form(values={"voter": str(voter or "")}))


@post("/council/motions/{motion_id:uuid}/ballot", include_in_schema=False)
async def cast(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """First shows the choice once more, because a ballot cannot be changed; then puts it in."""
    who, form = require(request), await Form.read(request)
    choice = Choice(form.choice("choice", list(Choice)))
    named = _as_voter(form)
    if form.errors:
        return _ballot_page(request, motion_id, form, status=422)
    if form.values.get("sure") != "yes":
        return _ballot_page(request, motion_id, form, chosen=choice)
    try:
        put = casting(who, named=named, holder_id=None)
        receipt = await sealing.vote(
            house(request),
            ballot_id=form.id,
            motion_id=motion_id,
            choice=choice,
            **put._asdict(),
        )
    except NotAllowed:
        raise
    except DomainError as refusal:
        form.refuse(refusal, "choice")
        return _ballot_page(request, motion_id, form, status=409)
    with house(request).database.read() as session:
        is_secret = motions.find(session, motion_id).is_secret
    return page(
        request,
        "council/receipt.html",
        motion_id=motion_id,
        receipt=receipt,
        is_secret=is_secret,
        picture=qr.data_uri(receipt),
        choice_name=words.choice_names()[choice],
        is_desk=put.channel is not Channel.WEB,
    )


@get("/council/motions/{motion_id:uuid}/proxy", include_in_schema=False)
async def show_proxy(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[str]:
    """My written proxy: give one, print it, take it back."""
    return _proxy_page(request, motion_id, Form())


@post("/council/motions/{motion_id:uuid}/proxy", include_in_schema=False)
async def give_proxy(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """Let another vote for me; the desk enters the signed paper of whom it acts for."""
    who, node, form = require(request), house(request), await Form.read(request)
    grantor_id = grantor(who, None)
    name = form.text("holder_name", most=NAME_LENGTH_MAX)
    phone = form.text("holder_phone", most=PHONE_LENGTH_MAX)
    if form.errors:
        return _proxy_page(request, motion_id, form, status=422)
    try:
        holder_id = _resident_called(request, name=name, phone=phone)
        await node.database.run(
            lambda session: proxies.give(
                session,
                node.clock,
                proxy_id=form.id,
                motion_id=motion_id,
                grantor_id=grantor_id,
                holder_id=holder_id,
                is_paper=who.resident_id != grantor_id,
                recorded_by=who.recorder(grantor_id),
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "holder_name")
        return _proxy_page(request, motion_id, form, status=409)
    return Redirect(f"/council/motions/{motion_id}/proxy", status_code=303)


@post("/council/proxies/{proxy_id:uuid}/revoke", include_in_schema=False)
async def revoke_proxy(request: AnyRequest, proxy_id: FromPath[UUID]) -> Response[Any]:
    """Take a proxy back while it is unused."""
    who, node = require(request), house(request)
    with node.database.read() as session:
        proxy = proxies.find(session, proxy_id)
        grantor(who, proxy.grantor_id)
        back = f"/council/motions/{proxy.motion_id}/proxy"
    await node.database.run(lambda session: proxies.revoke(session, node.clock, proxy_id=proxy_id))
    return Redirect(back, status_code=303)


@get("/council/motions/{motion_id:uuid}/desk", include_in_schema=False)
async def show_desk(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[str]:
    """For the clerk: has this resident voted, may they, and the list of written proxies."""
    who = require(request, *DESK_ROLES)
    with house(request).database.read() as session:
        motion = motions.find(session, motion_id)
        running = voting.open_vote(session, motion_id)
        listed = [
            (one, _name(session, one.grantor_id), _name(session, one.holder_id))
            for one in proxies.listed(session, motion_id)
        ]
        return page(
            request,
            "council/desk.html",
            motion=motion,
            running=running,
            cast_count=voting.cast_count(session, running) if running else 0,
            served=_served(session, who, running),
            proxies=listed,
        )


@get("/council/votes/{vote_id:uuid}/roll", include_in_schema=False)
async def show_roll(request: AnyRequest, vote_id: FromPath[UUID]) -> Response[str]:
    """The frozen roll: how many, its fingerprint, which line is mine, and how to check it."""
    who = caller(request)
    with house(request).database.read() as session:
        vote = archive.find_vote(session, vote_id)
        return page(
            request,
            "council/roll.html",
            vote=vote,
            motion=motions.find(session, vote.motion_id),
            roll_area=words.square_metres(vote.roll_area_dm2),
            is_by_area=voting.rule_of(vote).is_by_area,
            mark=roll.mark_of(session, vote, who.resident_id) if who.resident_id else None,
            key=archive.public_key(house(request).settings.directory),
        )


@get("/council/votes/{vote_id:uuid}/roll.txt", include_in_schema=False)
async def download_roll(request: AnyRequest, vote_id: FromPath[UUID]) -> Response[str]:
    """The roll as it was hashed."""
    require(request)
    with house(request).database.read() as session:
        text = roll.published(session, archive.find_vote(session, vote_id))
    headers = {"Content-Disposition": f'attachment; filename="roll-{vote_id}.txt"'}
    return Response(text, media_type="text/plain; charset=utf-8", headers=headers)


@get("/council/votes/{vote_id:uuid}/archive.json", include_in_schema=False)
async def download_archive(request: AnyRequest, vote_id: FromPath[UUID]) -> Response[bytes]:
    """The closed vote as one signed file, for `linli-node recount`."""
    require(request)
    node = house(request)
    with node.database.read() as session:
        body = archive.export(
            session, vote_id=vote_id, community=node.name, directory=node.settings.directory
        )
    headers = {"Content-Disposition": f'attachment; filename="vote-{vote_id}.json"'}
    return Response(body, media_type="application/json", headers=headers)


def _ballot_page(
    request: AnyRequest,
    motion_id: UUID,
    form: Form,
    *,
    chosen: Choice | None = None,
    status: int = 200,
) -> Response[str]:
    who = require(request)
    with house(request).database.read() as session:
        motion = motions.find(session, motion_id)
        running = voting.open_vote(session, motion_id)
        voter_id = casting(who, named=_as_voter(form), holder_id=None).voter_id
        is_own = voter_id == who.resident_id
        if not (is_own or who.has(*DESK_ROLES)):
            _check_holder(session, motion_id, who, voter_id)
        return page(
            request,
            "council/ballot.html",
            status=status,
            form=form,
            motion=motion,
            running=running,
            state=_state(session, running, voter_id),
            for_name="" if is_own else residents.resident(session, voter_id).name,
            choices=list(words.choice_names().items()),
            chosen=chosen,
            chosen_name=words.choice_names()[chosen] if chosen else "",
        )


def _state(session: Session, running: Vote | None, voter_id: UUID) -> str:
    """What the ballot page says: the paper, or in one sentence why there is none."""
    if running is None:
        return "no_vote"
    if running.counting_since is not None:
        return "counting"
    line = roll.entry(session, vote_id=running.id, voter_id=voter_id)
    if line is None:
        return "not_on_roll"
    voted = voting.voter_of_unit(session, vote_id=running.id, unit=line.unit)
    return "open" if voted is None else "voted"


def _check_holder(session: Session, motion_id: UUID, who: Caller, voter_id: UUID) -> None:
    """Only a holder may see that they vote for this person: a name is shown to nobody else."""
    held = proxies.carried_by(session, motion_id, who.resident_id) if who.resident_id else []
    used = proxies.given_by(session, motion_id, voter_id)
    is_used_by_me = used is not None and used.holder_id == who.resident_id
    if voter_id not in [one.grantor_id for one in held] and not is_used_by_me:
        raise NotAllowed(what="ballot")


def _proxy_page(
    request: AnyRequest, motion_id: UUID, form: Form, *, status: int = 200
) -> Response[str]:
    who = require(request)
    if who.subject is None:
        raise NotSignedIn
    with house(request).database.read() as session:
        motion = motions.find(session, motion_id)
        given = proxies.given_by(session, motion_id, grantor(who, None))
        return page(
            request,
            "council/proxy.html",
            status=status,
            form=form,
            motion=motion,
            given=given,
            is_open=motion.step in proxies.OPEN_STEPS,
            grantor_name=_name(session, grantor(who, None)),
            holder_name=_name(session, given.holder_id) if given else "",
            limit=rules.PROXIES_PER_HOLDER_MAX,
            number=_number(given) if given else "",
        )


def _served(session: Session, who: Caller, running: Vote | None) -> dict[str, str] | None:
    """How it stands with the resident at the desk, if the clerk acts for one."""
    if who.acting_for is None:
        return None
    state = _state(session, running, who.acting_for)
    return {"name": who.acting_name, "state": state}


def _resident_called(request: AnyRequest, *, name: str, phone: str) -> UUID:
    """Whom the grantor means. Name and number must both fit, so that nobody fishes for names."""
    with house(request).database.read() as session:
        found = residents.search(session, clean_phone(phone), limit=2)
        fitting: list[Resident] = [one for one in found if one.name == name]
        if len(fitting) != 1 or fitting[0].phone != clean_phone(phone):
            raise HolderUnknown
        return fitting[0].id


def _as_voter(form: Form) -> UUID | None:
    text = form.values.get("voter", "")
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _name(session: Session, resident_id: UUID) -> str:
    return residents.resident(session, resident_id).name


def _number(proxy: VotingProxy) -> str:
    """The number on the form: of the motion, and of the proxy within it."""
    return f"{str(proxy.motion_id)[-6:].upper()}-{proxy.number:03}"


routes = [
    show_ballot,
    cast,
    show_proxy,
    give_proxy,
    revoke_proxy,
    show_desk,
    show_roll,
    download_roll,
    download_archive,
]
