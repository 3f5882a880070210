"""Requests as JSON shows them: the seed's members in the seed's words, and ours beside them."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec


class AnyRequest(Protocol):
    """A request as the ORM, the kept rows or a fast page knows it."""

    @property
    def id(self) -> int: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def location(self) -> str: ...
    @property
    def contact(self) -> str | None: ...
    @property
    def category(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def assignee(self) -> str | None: ...
    @property
    def notes(self) -> str | None: ...
    @property
    def rating(self) -> int | None: ...
    @property
    def comment(self) -> str | None: ...
    @property
    def reporter_id(self) -> UUID | None: ...
    @property
    def building(self) -> str | None: ...
    @property
    def is_shared(self) -> bool: ...
    @property
    def team(self) -> str | None: ...
    @property
    def level(self) -> int: ...
    @property
    def reopenings(self) -> int: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def updated_at(self) -> datetime: ...
    @property
    def due_at(self) -> datetime: ...
    @property
    def completed_at(self) -> datetime | None: ...
    @property
    def merged_into(self) -> int | None: ...


class Repair(msgspec.Struct, rename="camel"):
    """One request. `level`: 0, or how far up it was handed because it is overdue.

    `mergedInto`: the number as which it goes on, because both mean the same.
    """

    id: int
    title: str
    description: str
    location: str
    contact: str | None
    category: str
    status: str
    assignee: str | None
    notes: str | None
    rating: int | None
    comment: str | None
    reporter_id: UUID | None
    building: str | None
    is_shared: bool
    team: str | None
    level: int
    reopenings: int
    created_at: datetime
    updated_at: datetime
    due_at: datetime
    completed_at: datetime | None
    merged_into: int | None


class RepairPage(msgspec.Struct):
    """A page by number (the seed's way), or what follows `after`; `next` is the next `after`."""

    total: int
    page: int
    limit: int
    data: list[Repair]
    next: int | None


class Rated(msgspec.Struct):
    """The seed's answer to a rating."""

    message: str
    repair: Repair


class Similar(msgspec.Struct, rename="camel"):
    """What a neighbour is shown of an open request about a shared place."""

    id: int
    title: str
    category: str
    building: str | None
    status: str
    created_at: datetime


class SimilarPage(msgspec.Struct):
    data: list[Similar]


class PhotoMade(msgspec.Struct):
    """A photo as it is kept here: JPEG without what the camera wrote beside the picture."""

    id: UUID
    width: int
    height: int


class PhotoPage(msgspec.Struct):
    data: list[PhotoMade]


FIELDS = Repair.__struct_fields__


def repair(request: AnyRequest) -> Repair:
    """All of it, for its reporter and staff."""
    return Repair(*[getattr(request, name) for name in FIELDS])


def for_neighbour(request: AnyRequest) -> Repair:
    """What a follower sees: where it stands, without what the reporter wrote for staff alone."""
    shown = repair(request)
    shown.description, shown.contact, shown.comment, shown.reporter_id = "", None, None, None
    return shown
