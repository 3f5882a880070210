"""What the law gives a resident (PIPL 44-48): agree and take back, see all, correct, be forgotten.

The export asks the tables themselves: every row in any table that names the resident, and what
hangs on it. A slice that adds a table is covered without a word here.
"""

import base64
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Table, Uuid, delete, or_, select, update
from sqlalchemy.orm import Session

from node.kernel.db import Base
from node.kernel.errors import IdReused
from node.kernel.events import record
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Account, Unit
from node.residents import service
from node.residents.events import ConsentWithdrawn, ResidentErased
from node.residents.model import (
    AccessToken,
    Consent,
    Credential,
    Proxy,
    Resident,
    RoleGrant,
    SignInTries,
)
from node.residents.refusals import LastOperator, StillPromised
from node.residents.rules import WORDING, Purpose, digest

ERASED_NAME = "—"  # what pages show where a name stood
EXPORT_ROWS_MAX = 100_000  # of one table: enough for a lifetime, and a bound for the file
SECRETS = frozenset({"pin_hash", "secret_sha256"})  # keys, not knowledge about anybody
TYPED_BY = "_by"  # ending of columns that say who typed it: the row is about somebody else
BY_ME = frozenset({"proposed_by"})  # but these words are the resident's own
FOLLOWED = {  # what hangs on a row of mine, by the column that points to it
    "account": ("posting.account_id", "hold.payer_id", "hold.payee_id"),
    "service_request": ("status_change.request_id", "repair_photo.request_id"),
}
NOBODYS_ID = frozenset({"id", "key", "refers_to", "reverses", "token", "unit"})  # of other things


def give_consent(
    session: Session,
    clock: Clock,
    *,
    consent_id: UUID,
    resident_id: UUID,
    purpose: Purpose,
    recorded_by: UUID,
) -> Consent:
    """Record that a resident agrees to `purpose` as worded today. The same id finds the first."""
    known = session.get(Consent, consent_id)
    if known is not None:
        if (known.resident_id, known.purpose) != (resident_id, purpose.value):
            raise IdReused(id=str(consent_id))
        return known
    service.resident(session, resident_id)
    given = Consent(
        id=consent_id,
        resident_id=resident_id,
        purpose=purpose.value,
        wording=WORDING[purpose],
        given_at=clock.now(),
        recorded_by=recorded_by,
    )
    session.add(given)
    return given


def withdraw_consent(
    session: Session, clock: Clock, *, resident_id: UUID, purpose: Purpose
) -> None:
    """Take an agreement back, from now on; what leaned on it stops in this same transaction."""
    session.execute(
        update(Consent)
        .where(
            Consent.resident_id == resident_id,
            Consent.purpose == purpose,
            Consent.withdrawn_at.is_(None),
        )
        .values(withdrawn_at=clock.now())
    )
    record(session, ConsentWithdrawn(resident_id=resident_id, purpose=purpose.value))


def consents(session: Session, *, resident_id: UUID) -> dict[Purpose, Consent]:
    """What a resident agrees to now."""
    query = (
        select(Consent)
        .where(Consent.resident_id == resident_id, Consent.withdrawn_at.is_(None))
        .order_by(Consent.given_at)
    )
    return {Purpose(one.purpose): one for one in session.scalars(query)}


def export(session: Session, clock: Clock, *, resident_id: UUID) -> dict[str, Any]:
    """All that the house stores about a resident, by table, as plain JSON values."""
    service.resident(session, resident_id)
    found: dict[str, list[dict[str, Any]]] = {}
    for table in Base.metadata.sorted_tables:
        mine = _names_resident(table, resident_id)
        if mine is not None:
            _take(session, found, table, mine)
    for parent, children in FOLLOWED.items():
        for child in children:
            _follow(session, found, parent, child)
    return {
        "made_at": clock.now().isoformat(),
        "resident": str(resident_id),
        "tables": {name: rows for name, rows in sorted(found.items()) if rows},
    }


def erase(session: Session, clock: Clock, *, resident_id: UUID) -> None:
    """Forget who this was. Entries of the ledger, ballots and requests stay under the bare id.

    Refused while something is promised in their name: it would never end. Twice is once.
    """
    resident = service.resident(session, resident_id)
    if resident.erased_at is not None:
        return
    if service.is_last_operator(session, resident_id):
        raise LastOperator
    for unit in Unit:
        account_id = ledger.resident_account(resident_id, unit)
        held = session.scalar(select(Account.held).where(Account.id == account_id)) or 0
        if held > 0:
            raise StillPromised(amount=held, unit=unit.value)
    key = digest(resident.phone or "")
    session.execute(delete(SignInTries).where(SignInTries.phone_sha256 == key))
    for table in (AccessToken, Credential, RoleGrant, Consent):
        session.execute(delete(table).where(table.resident_id == resident_id))
    session.execute(
        update(Proxy)
        .where(or_(Proxy.elder_id == resident_id, Proxy.helper_id == resident_id))
        .where(Proxy.withdrawn_at.is_(None))
        .values(withdrawn_at=clock.now())
    )
    _forget(resident, clock.now())
    record(session, ResidentErased(resident_id=resident_id))


def _forget(resident: Resident, now: datetime) -> None:
    resident.name, resident.erased_at = ERASED_NAME, now
    resident.phone = resident.building = resident.household = resident.birth_year = None
    resident.is_owner, resident.floor_area_dm2 = False, None


def _names_resident(table: Table, resident_id: UUID) -> Any:
    """The condition under which a row is about this resident; None where none can be."""
    if table.name == Resident.__tablename__:
        return table.c.id == resident_id
    same = [column == _as_stored(column, resident_id) for column in _person_columns(table)]
    return or_(*same) if same else None


def _person_columns(table: Table) -> Iterator[Column[Any]]:
    for column in table.columns:
        is_person = any(key.column.table.name == "resident" for key in column.foreign_keys)
        is_bare = isinstance(column.type, Uuid) and not column.foreign_keys
        is_id = is_bare and column.name not in NOBODYS_ID
        is_owner = table.name == "account" and column.name == "owner"
        is_mine = not column.name.endswith(TYPED_BY) or column.name in BY_ME
        if (is_id or is_person or is_owner) and is_mine:
            yield column


def _as_stored(column: Column[Any], resident_id: UUID) -> Any:
    return resident_id if isinstance(column.type, Uuid) else str(resident_id)


def _follow(
    session: Session, found: dict[str, list[dict[str, Any]]], parent: str, child: str
) -> None:
    name, _, reference = child.partition(".")
    table = Base.metadata.tables.get(name)
    keys = [row["id"] for row in found.get(parent, ())]
    if table is None or not keys:
        return
    column = table.c[reference]
    asked: Sequence[Any] = [UUID(key) for key in keys] if isinstance(column.type, Uuid) else keys
    _take(session, found, table, column.in_(asked))


def _take(
    session: Session, found: dict[str, list[dict[str, Any]]], table: Table, condition: Any
) -> None:
    columns = [column for column in table.columns if column.name not in SECRETS]
    query = select(*columns).where(condition).limit(EXPORT_ROWS_MAX)
    rows = session.execute(query).mappings()
    found.setdefault(table.name, []).extend(
        {name: _plain(value) for name, value in row.items()} for row in rows
    )


def _plain(value: Any) -> Any:
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, UUID) else value
