"""Secret votes as JSON: trustees and their part of the count, codes, ballots encrypted at home."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody

from node.council import archive, sealing, secret
from node.council.access import OFFICE_ROLES
from node.council.model_secret import Trustee
from node.kernel.errors import NotAllowed
from node.residents.rules import Role
from node.web import idempotency
from node.web.session import AnyRequest, house, require


class TrusteeBody(msgspec.Struct):
    name: str
    public_key: str


class ShareBody(msgspec.Struct):
    private_key: str


class SealedBody(msgspec.Struct):
    ballot: str


@get("/api/council/motions/{motion_id:uuid}/trustees")
async def list_trustees(request: AnyRequest, motion_id: FromPath[UUID]) -> list[dict[str, Any]]:
    """Whose keys it takes together to open the count."""
    with house(request).database.read() as session:
        return [trustee_json(one) for one in secret.trustees(session, motion_id)]


@post("/api/council/motions/{motion_id:uuid}/trustees")
async def add_trustee(
    request: AnyRequest, motion_id: FromPath[UUID], data: JSONBody[TrusteeBody]
) -> dict[str, Any]:
    """Take up a trustee with the public key that belenios-tool made for them (secretary)."""
    require(request, *OFFICE_ROLES)
    node, trustee_id = house(request), idempotency.key(request)
    trustee = await node.database.run(
        lambda session: secret.add_trustee(
            session,
            node.clock,
            trustee_id=trustee_id,
            motion_id=motion_id,
            name=data.name,
            public_key=data.public_key,
        )
    )
    return trustee_json(trustee)


@post("/api/council/trustee-keys", status_code=200)
async def make_key(request: AnyRequest) -> dict[str, str]:
    """A key pair for somebody who cannot run belenios-tool; the private half is kept nowhere."""
    require(request, Role.RESIDENT)
    made = await sealing.make_key()
    return {"public_key": made.public, "private_key": made.private}


@post("/api/council/trustees/{trustee_id:uuid}/share", status_code=200)
async def give_share(
    request: AnyRequest, trustee_id: FromPath[UUID], data: JSONBody[ShareBody]
) -> dict[str, Any]:
    """Do a trustee's part of the count with their private key, which is used once and not kept."""
    require(request)
    node = house(request)
    await sealing.give_share(node, trustee_id=trustee_id, private_key=data.private_key)
    with node.database.read() as session:
        return trustee_json(secret.find_trustee(session, trustee_id))


@post("/api/council/motions/{motion_id:uuid}/codes")
async def take_code(request: AnyRequest, motion_id: FromPath[UUID]) -> dict[str, Any]:
    """My code, to encrypt my ballot on a machine of my own with belenios-tool."""
    who = require(request, Role.RESIDENT)
    if who.resident_id is None:
        raise NotAllowed(what="code")
    taken = await sealing.take_code(
        house(request),
        ballot_id=idempotency.key(request),
        motion_id=motion_id,
        voter_id=who.resident_id,
    )
    return {"code": taken.code}


@post("/api/council/motions/{motion_id:uuid}/sealed-ballots")
async def put_in(
    request: AnyRequest, motion_id: FromPath[UUID], data: JSONBody[SealedBody]
) -> dict[str, Any]:
    """A ballot that was encrypted elsewhere. Its code says that it may be cast, and nobody by
    whom: so nobody has to sign in."""
    ballot = await sealing.put_in(
        house(request),
        ballot_id=idempotency.key(request),
        motion_id=motion_id,
        sealed=data.ballot,
    )
    return {"id": str(ballot.id), "receipt": ballot.tracker}


@get("/api/council/votes/{vote_id:uuid}/belenios", media_type="application/x-tar")
async def show_election(request: AnyRequest, vote_id: FromPath[UUID]) -> Response[bytes]:
    """The public side of a secret vote: what belenios-tool needs to encrypt, later to verify."""
    with house(request).database.read() as session:
        archive.find_vote(session, vote_id)
        found = secret.election(session, vote_id)
        body, name = found.archive or found.base, f"{found.uuid}.bel"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type="application/x-tar", headers=headers)


@get("/api/council/votes/{vote_id:uuid}/trackers")
async def list_trackers(request: AnyRequest, vote_id: FromPath[UUID]) -> list[str]:
    """The receipts of all sealed ballots that are in."""
    with house(request).database.read() as session:
        secret.election(session, vote_id)
        return secret.trackers(session, vote_id)


def trustee_json(trustee: Trustee) -> dict[str, Any]:
    """A trustee as everybody may see them."""
    return {
        "id": str(trustee.id),
        "number": trustee.number,
        "name": trustee.name,
        "public_key": trustee.public_key,
        "has_shared": trustee.share is not None,
    }


routes = [
    list_trustees,
    add_trustee,
    make_key,
    give_share,
    take_code,
    put_in,
    show_election,
    list_trackers,
]
