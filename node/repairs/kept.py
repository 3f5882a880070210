"""The few rows that every report touches, kept in the writer's memory for a batch of reports."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.orm import Session

from node.kernel.rows import Rows
from node.repairs.model import RepairCounter, RepairPlan, RequestTotal, ServiceRequest
from node.residents.model import Resident

SERVICE_REQUEST = cast(Table, ServiceRequest.__table__)


@dataclass
class Request:
    """A service request as rows know it: the same names as ServiceRequest."""

    key: UUID
    id: int
    reporter_id: UUID | None
    recorded_by: str
    title: str
    description: str
    location: str
    building: str | None
    is_shared: bool
    contact: str | None
    category: str
    status: str
    team: str | None
    assignee: str | None
    notes: str | None
    rating: int | None
    comment: str | None
    closings: int
    reopenings: int
    level: int
    escalate_at: datetime | None
    created_at: datetime
    updated_at: datetime
    due_at: datetime
    completed_at: datetime | None
    merged_into: int | None


@dataclass
class Counter:
    name: str
    value: int


@dataclass
class Total:
    status: str
    total: int


@dataclass
class PlanVersion:
    version: int
    content: str


@dataclass
class Home:
    id: UUID
    building: str | None


REQUESTS = Rows(SERVICE_REQUEST, Request, key=SERVICE_REQUEST.c.key)
COUNTERS = Rows(cast(Table, RepairCounter.__table__), Counter)
TOTALS = Rows(cast(Table, RequestTotal.__table__), Total)
PLAN_VERSIONS = Rows(cast(Table, RepairPlan.__table__), PlanVersion)
HOMES = Rows(cast(Table, Resident.__table__), Home)  # read only


def next_value(session: Session, name: str) -> int:
    """Count on, and say where it stands now. Safe because a database has one writer at a time."""
    counter = COUNTERS.get(session, name)
    if counter is None:
        COUNTERS.add(session, name=name, value=1)
        return 1
    COUNTERS.change(session, counter, value=counter.value + 1)
    return counter.value


def count(session: Session, status: str, change: int) -> None:
    """Keep the total of a status current."""
    total = TOTALS.get(session, status)
    if total is None:
        TOTALS.add(session, status=status, total=change)
    else:
        TOTALS.change(session, total, total=total.total + change)
