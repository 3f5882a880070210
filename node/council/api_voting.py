"""Votes as JSON: ballots, the close, written proxies, the roll, the archive."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody

from node.council import archive, proxies, roll, sealing, voting
from node.council.access import DESK_ROLES, casting
from node.council.electorates import Choice
from node.council.model import Vote, VotingProxy
from node.council.rules import VoteKind
from node.kernel.errors import NotAllowed
from node.residents.rules import Role
from node.web import idempotency
from node.web.refusals import STATUS
from node.web.session import AnyRequest, Caller, house, require

STATUS["council.proxy_missing"] = 403


class BallotBody(msgspec.Struct):
    choice: Choice
    voter_id: UUID | None = None
    holder_id: UUID | None = None


class ProxyBody(msgspec.Struct):
    holder_id: UUID
    grantor_id: UUID | None = None


@post("/api/council/motions/{motion_id:uuid}/ballots")
async def cast(
    request: AnyRequest, motion_id: FromPath[UUID], data: JSONBody[BallotBody]
) -> dict[str, Any]:
    """Put in one ballot: the voter's own, at the desk, or under a written proxy (`holder_id`)."""
    put = casting(require(request), named=data.voter_id, holder_id=data.holder_id)
    ballot_id = idempotency.key(request)
    receipt = await sealing.vote(
        house(request),
        ballot_id=ballot_id,
        motion_id=motion_id,
        choice=data.choice,
        **put._asdict(),
    )
    return {"id": str(ballot_id), "receipt": receipt, "channel": put.channel.value}


@post("/api/council/motions/{motion_id:uuid}/close", status_code=200)
async def close(request: AnyRequest, motion_id: FromPath[UUID]) -> dict[str, Any]:
    """Count the open vote and publish the result; a secret one then waits for its trustees."""
    who = require(request, *DESK_ROLES)
    vote = await sealing.close(house(request), motion_id=motion_id, closed_by=who.hand)
    return vote_json(vote)


@post("/api/council/motions/{motion_id:uuid}/proxies")
async def give_proxy(
    request: AnyRequest, motion_id: FromPath[UUID], data: JSONBody[ProxyBody]
) -> dict[str, Any]:
    """Let another vote for me on this motion; the desk enters a signed paper of anybody's."""
    who, node, proxy_id = require(request), house(request), idempotency.key(request)
    grantor_id = grantor(who, data.grantor_id)
    proxy = await node.database.run(
        lambda session: proxies.give(
            session,
            node.clock,
            proxy_id=proxy_id,
            motion_id=motion_id,
            grantor_id=grantor_id,
            holder_id=data.holder_id,
            is_paper=who.resident_id != grantor_id,
            recorded_by=who.recorder(grantor_id),
        )
    )
    return proxy_json(proxy)


@post("/api/council/proxies/{proxy_id:uuid}/revoke", status_code=200)
async def revoke_proxy(request: AnyRequest, proxy_id: FromPath[UUID]) -> dict[str, Any]:
    """Take a proxy back, as long as no ballot was put in with it (who gave it, or the desk)."""
    who, node = require(request), house(request)
    with node.database.read() as session:
        grantor(who, proxies.find(session, proxy_id).grantor_id)
    proxy = await node.database.run(
        lambda session: proxies.revoke(session, node.clock, proxy_id=proxy_id)
    )
    return proxy_json(proxy)


@get("/api/council/votes/{vote_id:uuid}/roll", media_type="text/plain")
async def show_roll(request: AnyRequest, vote_id: FromPath[UUID]) -> Response[str]:
    """The frozen roll as it was hashed: one mark and its floor area (1/100 m²) a line."""
    require(request)
    with house(request).database.read() as session:
        text = roll.published(session, archive.find_vote(session, vote_id))
    return Response(text, media_type="text/plain; charset=utf-8")


@get("/api/council/votes/{vote_id:uuid}/mark")
async def show_mark(request: AnyRequest, vote_id: FromPath[UUID]) -> dict[str, Any]:
    """Which line of the roll is mine; null: I am not on it."""
    who = require(request, Role.RESIDENT)
    with house(request).database.read() as session:
        vote = archive.find_vote(session, vote_id)
        mark = roll.mark_of(session, vote, who.resident_id) if who.resident_id else None
    return {"vote_id": str(vote_id), "mark": mark}


@get("/api/council/votes/{vote_id:uuid}/archive", media_type="application/json")
async def export(request: AnyRequest, vote_id: FromPath[UUID]) -> Response[bytes]:
    """A closed vote as one signed file, to count again with `linli-node recount`."""
    require(request)
    node = house(request)
    with node.database.read() as session:
        body = archive.export(
            session, vote_id=vote_id, community=node.name, directory=node.settings.directory
        )
    named = {"Content-Disposition": f'attachment; filename="vote-{vote_id}.json"'}
    return Response(body, media_type="application/json", headers=named)


def grantor(who: Caller, named: UUID | None) -> UUID:
    """Whose proxy this is: one's own, or, at the desk, whoever signed the paper."""
    grantor_id = named or (who.subject if who.has(*DESK_ROLES) else who.resident_id)
    if grantor_id is None or (who.resident_id != grantor_id and not who.has(*DESK_ROLES)):
        raise NotAllowed(what="proxy")
    return grantor_id


def proxy_json(proxy: VotingProxy) -> dict[str, Any]:
    """A proxy as the API shows it to whoever gave or recorded it."""
    return {
        "id": str(proxy.id),
        "number": proxy.number,
        "grantor_id": str(proxy.grantor_id),
        "holder_id": str(proxy.holder_id),
        "is_paper": proxy.is_paper,
        "is_revoked": proxy.revoked_at is not None,
        "is_used": proxy.used_at is not None,
    }


def vote_json(vote: Vote) -> dict[str, Any]:
    """A vote as the API shows it: no figure of it before its close."""
    rule = voting.rule_of(vote)
    shown: dict[str, Any] = {
        "id": str(vote.id),
        "kind": vote.kind,
        "is_binding": vote.kind == VoteKind.BINDING,
        "electorate": vote.electorate,
        "is_secret": vote.is_secret,
        "rule": {"code": rule.code, "source": rule.source},
        "opened_at": vote.opened_at.isoformat(),
        "ends_at": vote.ends_at.isoformat() if vote.ends_at else None,
        "is_open": vote.closed_at is None,
        "is_being_counted": vote.closed_at is None and vote.counting_since is not None,
        "on_roll": vote.on_roll,
        "roll_area_dm2": vote.roll_area_dm2,
        "roll_sha256": vote.roll_sha256,
    }
    counted = voting.result(vote)
    if counted is not None:
        shown["tally"] = {
            "yes": counted.yes.heads,
            "no": counted.no.heads,
            "abstain": counted.abstain.heads,
            "quorum": counted.has_quorum,
            "carried": counted.is_carried,
        }
    if counted is not None and rule.is_by_area:
        shown["tally"]["areas_dm2"] = {
            "yes": counted.yes.area_dm2,
            "no": counted.no.area_dm2,
            "abstain": counted.abstain.area_dm2,
        }
    return shown


routes = [cast, close, give_proxy, revoke_proxy, show_roll, show_mark, export]
