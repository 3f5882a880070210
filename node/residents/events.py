"""What happened to a resident, for reactions.py. Ids alone."""

from dataclasses import dataclass
from uuid import UUID

from node.kernel.events import Event


@dataclass(frozen=True)
class ResidentErased(Event):
    """A resident's identity is gone: whoever keeps words or addresses of theirs forgets them too.

    What they did stays under the id, which names nobody any more.
    """

    resident_id: UUID


@dataclass(frozen=True)
class ConsentWithdrawn(Event):
    """A resident no longer agrees to `purpose` (a rules.Purpose)."""

    resident_id: UUID
    purpose: str


@dataclass(frozen=True)
class ProxyAgreed(Event):
    """A relative may act for an elder from now on; both should hear of it."""

    proxy_id: UUID
    elder_id: UUID
    helper_id: UUID
