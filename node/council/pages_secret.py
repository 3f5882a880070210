"""Pages of a secret vote: its trustees and their keys, the count, and one's own encryption."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from node.council import archive, belenios, motions, sealing, secret, service, voting
from node.council.access import OFFICE_ROLES
from node.council.belenios import BALLOT_BYTES_MAX, KEY_BYTES_MAX
from node.council.rules import OWNER_LENGTH_MAX, Step
from node.kernel.errors import DomainError, NotAllowed
from node.web.forms import Form
from node.web.layout import page
from node.web.session import AnyRequest, caller, house, require


@get("/council/motions/{motion_id:uuid}/secret", include_in_schema=False)
async def show_secret(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[str]:
    """How this secret vote is guarded, what each may do, and how far the count is."""
    return _secret(request, motion_id, Form())


@post("/council/motions/{motion_id:uuid}/trustees", include_in_schema=False)
async def add_trustee(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """Take up a trustee with their public key."""
    require(request, *OFFICE_ROLES)
    node, form = house(request), await Form.read(request)
    name = form.text("name", most=OWNER_LENGTH_MAX)
    public_key = form.text("public_key", most=KEY_BYTES_MAX)
    if form.errors:
        return _secret(request, motion_id, form, status=422)
    try:
        await node.database.run(
            lambda session: secret.add_trustee(
                session,
                node.clock,
                trustee_id=form.id,
                motion_id=motion_id,
                name=name,
                public_key=public_key,
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "public_key")
        return _secret(request, motion_id, form, status=409)
    return Redirect(f"/council/motions/{motion_id}/secret", status_code=303)


@post("/council/motions/{motion_id:uuid}/trustee-key", include_in_schema=False)
async def make_key(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[str]:
    """A key pair on one page, to print and to copy; the private half is kept nowhere here."""
    require(request)
    made = await sealing.make_key()
    return page(request, "council/key.html", motion_id=motion_id, made=made)


@post("/council/trustees/{trustee_id:uuid}/share", include_in_schema=False)
async def give_share(request: AnyRequest, trustee_id: FromPath[UUID]) -> Response[Any]:
    """Do a trustee's part of the count; their key is used once and not kept."""
    require(request)
    node, form = house(request), await Form.read(request)
    with node.database.read() as session:
        motion_id = secret.find_trustee(session, trustee_id).motion_id
    private_key = form.text("private_key", most=KEY_BYTES_MAX)
    if form.errors:
        return _secret(request, motion_id, form, status=422)
    try:
        await sealing.give_share(node, trustee_id=trustee_id, private_key=private_key)
    except DomainError as refusal:
        form.refuse(refusal, "private_key")
        form.values.clear()
        return _secret(request, motion_id, form, status=409)
    return Redirect(f"/council/motions/{motion_id}/secret", status_code=303)


@post("/council/motions/{motion_id:uuid}/code", include_in_schema=False)
async def take_code(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """My code, for a ballot that my own machine encrypts."""
    who, form = require(request), await Form.read(request)
    if who.resident_id is None or who.acting_for is not None:
        raise NotAllowed(what="code")
    try:
        taken = await sealing.take_code(
            house(request), ballot_id=form.id, motion_id=motion_id, voter_id=who.resident_id
        )
    except DomainError as refusal:
        form.refuse(refusal, "code")
        return _secret(request, motion_id, form, status=409)
    return page(
        request,
        "council/code.html",
        motion_id=motion_id,
        vote_id=service.binding_vote_id(motion_id),
        code=taken.code,
    )


@post("/council/motions/{motion_id:uuid}/sealed", include_in_schema=False)
async def put_in(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[Any]:
    """A ballot that was encrypted elsewhere; nobody has to sign in for it."""
    form = await Form.read(request)
    sealed = form.text("ballot", most=BALLOT_BYTES_MAX)
    if form.errors:
        return _secret(request, motion_id, form, status=422)
    try:
        ballot = await sealing.put_in(
            house(request), ballot_id=form.id, motion_id=motion_id, sealed=sealed
        )
    except DomainError as refusal:
        form.refuse(refusal, "ballot")
        return _secret(request, motion_id, form, status=409)
    return page(request, "council/tracker.html", motion_id=motion_id, tracker=ballot.tracker)


@get("/council/votes/{vote_id:uuid}/election.bel", include_in_schema=False)
async def download_election(request: AnyRequest, vote_id: FromPath[UUID]) -> Response[bytes]:
    """The public side of the election, for belenios-tool."""
    with house(request).database.read() as session:
        archive.find_vote(session, vote_id)
        found = secret.election(session, vote_id)
        body, name = found.archive or found.base, f"{found.uuid}.bel"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type="application/x-tar", headers=headers)


def _secret(
    request: AnyRequest, motion_id: UUID, form: Form, *, status: int = 200
) -> Response[str]:
    who = caller(request)
    with house(request).database.read() as session:
        motion = motions.find(session, motion_id)
        vote = next((one for one in voting.votes(session, motion_id) if one.is_secret), None)
        is_before = motion.step in (Step.COLLECTING, Step.SCREENING, Step.PUBLICITY)
        return page(
            request,
            "council/secret.html",
            status=status,
            form=form,
            motion=motion,
            vote=vote,
            trustees=secret.trustees(session, motion_id),
            node_number=secret.NODE_NUMBER,
            fingerprint=secret.fingerprint(session, vote.id) if vote else "",
            trackers=secret.trackers(session, vote.id) if vote and vote.counting_since else [],
            is_installed=belenios.is_installed(),
            may_add=who.has(*OFFICE_ROLES) and motion.is_secret and is_before,
            is_running=vote is not None and vote.closed_at is None and not vote.counting_since,
            is_counting=vote is not None and vote.closed_at is None and bool(vote.counting_since),
        )


routes = [
    show_secret,
    add_trustee,
    make_key,
    give_share,
    take_code,
    put_in,
    download_election,
]
