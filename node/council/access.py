"""Who may do what in the council, for its pages and its API alike."""

from typing import NamedTuple
from uuid import UUID

from node.council.rules import Channel
from node.kernel.errors import BadInput, NotAllowed
from node.residents.rules import Role, Scope
from node.web.session import AnyRequest, Caller, require

DESK_ROLES = (Role.CLERK, Role.SECRETARY)  # who may put in a ballot for somebody, or run a meeting
OFFICE_ROLES = (Role.SECRETARY,)  # who takes a motion through its steps


class Casting(NamedTuple):
    """Whose ballot this is, how it came, and who carried it."""

    voter_id: UUID
    channel: Channel
    holder_id: UUID | None
    recorded_by: UUID | None


def proposer(request: AnyRequest) -> Caller:
    """Who moves a motion: a resident, somebody who may do everything for one, or the desk."""
    who = require(request)
    if who.subject is None:
        return require(request, *DESK_ROLES)
    if not who.may_act_for(who.subject, Scope.EVERYTHING):
        raise NotAllowed(what="motion")
    return who


def casting(who: Caller, *, named: UUID | None, holder_id: UUID | None) -> Casting:
    """Settle whose ballot it is. A relative who acts for an elder may not vote so: that takes a
    written proxy, with which its holder names the voter, here or at the desk."""
    is_desk = who.has(*DESK_ROLES)
    voter_id = named or (who.subject if is_desk else who.resident_id)
    if voter_id is None:
        raise BadInput(field="voter_id", problem="name the voter")
    if holder_id is None and who.resident_id == voter_id:
        return Casting(voter_id, Channel.WEB, None, None)
    if not is_desk:
        if who.resident_id is None or holder_id not in (None, who.resident_id):
            raise NotAllowed(what="ballot")
        return Casting(voter_id, Channel.PROXY, who.resident_id, who.resident_id)
    channel = Channel.DESK if holder_id is None else Channel.PROXY
    return Casting(voter_id, channel, holder_id, who.recorder(voter_id))
