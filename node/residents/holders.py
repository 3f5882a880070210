"""Whose secret this is, asked at every request: one statement past the session's ceremony."""

from typing import Any

from sqlalchemy import Select, bindparam, select

from node.kernel.db import Database
from node.kernel.glance import glance, kept
from node.kernel.ports import Clock
from node.kernel.statements import Prepared
from node.residents import rules
from node.residents.model import AccessToken, RoleGrant
from node.residents.rules import Role
from node.residents.service import Access

_held: Select[Any] = (
    select(  # type: ignore[assignment]  # each column has its own type
        AccessToken.id,
        AccessToken.resident_id,
        AccessToken.role,
        AccessToken.expires_at,
        AccessToken.revoked_at,
        RoleGrant.role,
    )
    .outerjoin(RoleGrant, RoleGrant.resident_id == AccessToken.resident_id)
    .where(AccessToken.secret_sha256 == bindparam("digest"))
)
_HELD = Prepared(_held)


def holder(database: Database, clock: Clock, secret: str) -> Access | None:
    """What a secret opens now; None for an unknown, expired or revoked one."""
    digest = rules.digest(secret)
    rows = kept(database, ("holder", digest), lambda: glance(database, _HELD, digest=digest))
    if not rows:
        return None
    token_id, resident_id, role, expires_at, revoked_at, _granted = rows[0]
    if revoked_at is not None or expires_at <= clock.now():
        return None
    if resident_id is None:
        roles = frozenset({Role(role)} if role else ())
    else:
        granted = {Role(row[-1]) for row in rows if row[-1] is not None}
        roles = frozenset({Role.RESIDENT} | granted)
    return Access(token_id=token_id, resident_id=resident_id, roles=roles)
