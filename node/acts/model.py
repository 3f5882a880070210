"""The record of acts: append-only, ids alone."""

from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Index, Table
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel import append_only
from node.kernel.db import Base


class StaffAct(Base):
    """Somebody with a role, or acting for another, changed something."""

    __tablename__ = "staff_act"
    __table_args__ = (
        Index("staff_act_by_time", "at", "id"),
        Index("staff_act_by_resident", "for_resident", "at"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]  # a resident's id, a token's id, or the terminal
    roles: Mapped[str]
    for_resident: Mapped[UUID | None]  # no foreign key: the record outlives who was erased
    what: Mapped[str]  # the route's pattern, or the command
    subject: Mapped[str]  # ids of what it was about: request_id=7


STAFF_ACT = cast(Table, StaffAct.__table__)
append_only.refuse_changes(STAFF_ACT)
