"""Write an act down in the transaction that does it, and find it again."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.acts.model import STAFF_ACT, StaffAct
from node.acts.rules import TERMINAL
from node.kernel import rows
from node.kernel.ids import new_id
from node.kernel.ports import Clock
from node.kernel.witness import Witness
from node.residents.rules import Role
from node.web.paging import Page, page_of

_KEY = [StaffAct.at, StaffAct.id]


def note(
    session: Session,
    clock: Clock,
    *,
    actor: str,
    roles: str,
    for_resident: UUID | None,
    what: str,
    subject: str,
) -> None:
    """Record one act; all acts of a batch are written by one statement."""
    row = {
        "id": new_id(),
        "at": clock.now(),
        "actor": actor,
        "roles": roles,
        "for_resident": for_resident,
        "what": what,
        "subject": subject,
    }
    rows.add(session, STAFF_ACT, row)


def acts(session: Session, *, after: str | None = None, limit: int = 50) -> Page[StaffAct]:
    """All of them, the newest first."""
    query = select(StaffAct)
    return page_of(session, query, _KEY, limit=limit, after=after, is_newest_first=True)


def acts_for(
    session: Session, resident_id: UUID, *, after: str | None = None, limit: int = 50
) -> Page[StaffAct]:
    """What others did in a resident's name, the newest first."""
    query = select(StaffAct).where(StaffAct.for_resident == resident_id)
    return page_of(session, query, _KEY, limit=limit, after=after, is_newest_first=True)


def at_terminal(clock: Clock, command: str) -> Witness:
    """The witness of a command line: whoever can say it holds the machine, as an operator does."""

    def look(session: Session) -> None:
        note(
            session,
            clock,
            actor=TERMINAL,
            roles=Role.OPERATOR.value,
            for_resident=None,
            what=command,
            subject="",
        )

    return look
