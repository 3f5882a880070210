"""Who may see and do what with a request: asked by pages and API alike."""

from uuid import UUID

from sqlalchemy.orm import Session

from node.kernel.errors import NotAllowed
from node.repairs import following, service
from node.repairs.model import ServiceRequest
from node.residents.rules import Role, Scope
from node.web.session import AnyRequest, Caller, require_subject

STAFF = (Role.CLERK, Role.PROPERTY, Role.SOCIAL_WORKER, Role.OPERATOR)  # see every request
WORKERS = (Role.PROPERTY, Role.CLERK)  # move a request on
PLANNERS = (Role.CLERK, Role.OPERATOR)  # say who does what by when


def whose(request: AnyRequest, who: Caller) -> UUID | None:
    """Whose requests a caller sees: None for all of them (staff acting for nobody)."""
    if who.has(*STAFF) and who.acting_for is None:
        return None
    return require_subject(request, Scope.REPAIRS)[1]


def must_see(request: AnyRequest, session: Session, who: Caller, found: ServiceRequest) -> bool:
    """Refuse a stranger's look; says whether all of it may be seen, or a follower's part."""
    if who.has(*STAFF) or is_own(who, found):
        return True
    if following.is_following(session, found.id, who.subject):
        return False
    raise NotAllowed(what=request.url.path)


def must_see_all(request: AnyRequest, session: Session, who: Caller, found: ServiceRequest) -> None:
    """Refuse whoever may not see all of it: photos, what was written for staff."""
    if not must_see(request, session, who, found):
        raise NotAllowed(what=request.url.path)


def must_own(request: AnyRequest, who: Caller, found: ServiceRequest) -> None:
    """Refuse an act that is not the reporter's own, nor done for them, or belongs elsewhere now."""
    if not is_own(who, found):
        raise NotAllowed(what=request.url.path)
    service.check_goes_on_here(found)


def is_own(who: Caller, found: ServiceRequest) -> bool:
    """Is this the caller's own request, or that of whom they act for?"""
    theirs = found.reporter_id
    is_theirs = theirs is not None and who.subject == theirs
    return is_theirs and theirs is not None and who.may_act_for(theirs, Scope.REPAIRS)
