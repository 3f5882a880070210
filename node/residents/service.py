"""Join, sign in, hold a role: always inside the caller's transaction."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, IdReused, NotFound
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.residents import rules
from node.residents.model import AccessToken, Credential, Resident, RoleGrant, SignInTries
from node.residents.refusals import LastOperator, PhoneTaken, ResidentGone, SignInLocked
from node.residents.rules import Role

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # OWASP's figures, 19 MiB
_NOBODY = _hasher.hash(secrets.token_urlsafe())  # an unknown number costs as long as a known one


@dataclass(frozen=True)
class Access:
    """Whose secret this is, and what it opens."""

    token_id: UUID
    resident_id: UUID | None
    roles: frozenset[Role]


def hash_pin(pin: str) -> str:
    """argon2id of a PIN or password that passes the rules. Slow: call it outside the write path."""
    rules.check_pin(pin)
    return _hasher.hash(pin)


def join(
    session: Session,
    clock: Clock,
    *,
    resident_id: UUID,
    name: str,
    phone: str,
    pin_hash: str | None = None,
    building: str | None = None,
    birth_year: int | None = None,
    household: str | None = None,
    is_owner: bool = False,
    floor_area_dm2: int | None = None,
    credit_limit_minutes: int = 300,
) -> Resident:
    """Welcome a resident: one record and two accounts. The same id and content finds the first."""
    said = rules.Particulars(
        name=name,
        phone=phone,
        building=building,
        household=household,
        is_owner=is_owner,
        floor_area_dm2=floor_area_dm2,
        birth_year=birth_year,
    ).checked(this_year=clock.now().year)
    known = session.get(Resident, resident_id)
    if known is not None:
        if particulars(known) != said:
            raise IdReused(id=str(resident_id))
        return known
    resident = Resident(id=resident_id, joined_at=clock.now(), name=said.name)
    correct(session, resident, said)
    session.add(resident)
    session.flush()
    if pin_hash is not None:
        set_pin(session, clock, resident_id=resident_id, pin_hash=pin_hash)
    for unit, floor in ((Unit.MINUTES, -credit_limit_minutes), (Unit.POINTS, 0)):
        ledger.open_account(
            session,
            account_id=ledger.resident_account(resident_id, unit),
            unit=unit,
            kind="resident",
            owner=str(resident_id),
            floor=floor,
        )
    return resident


def resident(session: Session, resident_id: UUID) -> Resident:
    """The resident with this id; refuses an unknown one."""
    found = session.get(Resident, resident_id)
    if found is None:
        raise NotFound(what="resident", id=str(resident_id))
    return found


def is_erased(session: Session, resident_id: UUID) -> bool:
    """Whether this resident was erased: nobody is left whom minutes could reach."""
    erased_at = select(Resident.erased_at).where(Resident.id == resident_id)
    return session.scalar(erased_at) is not None


def check_not_erased(session: Session, resident_id: UUID) -> None:
    """Raises ResidentGone where something new would begin in the name of an erased resident."""
    if is_erased(session, resident_id):
        raise ResidentGone


def particulars(resident: Resident) -> rules.Particulars:
    """What the house knows about somebody, to compare or to correct."""
    return rules.Particulars(
        name=resident.name,
        phone=resident.phone or "",
        building=resident.building,
        household=resident.household,
        is_owner=resident.is_owner,
        floor_area_dm2=resident.floor_area_dm2,
        birth_year=resident.birth_year,
    )


def correct(session: Session, resident: Resident, said: rules.Particulars) -> None:
    """Write down what is right (checked before). Owners of one flat share its floor area."""
    with session.no_autoflush:
        others = select(Resident).where(Resident.id != resident.id)
        if session.scalar(others.where(Resident.phone == said.phone)) is not None:
            raise PhoneTaken
        if said.is_owner:
            flat = others.where(Resident.household == said.household, Resident.is_owner)
            for owner in session.scalars(flat):
                owner.floor_area_dm2 = said.floor_area_dm2
    for field, value in said._asdict().items():
        setattr(resident, field, value)


def search(session: Session, text: str, *, limit: int = 20) -> Sequence[Resident]:
    """Residents whose name contains, or whose phone or flat starts with `text`, for the desk."""
    text = text.strip()
    query = select(Resident).where(Resident.erased_at.is_(None)).limit(limit)
    query = query.order_by(Resident.name, Resident.id)
    if text:
        matches = (
            Resident.name.contains(text, autoescape=True),
            Resident.phone.startswith(text, autoescape=True),
            Resident.household.startswith(text, autoescape=True),
        )
        query = query.where(or_(*matches))
    return session.scalars(query).all()


def with_phone(session: Session, phone: str) -> UUID:
    """Whose telephone number this is, spaces and dashes forgiven, but nothing else.

    Raises BadInput for a part of a number, a name, and a number that nobody has.
    """
    found = session.scalar(select(Resident.id).where(Resident.phone == rules.clean_phone(phone)))
    if found is None:
        raise BadInput(field="phone", problem="nobody here has this number")
    return found


def set_pin(session: Session, clock: Clock, *, resident_id: UUID, pin_hash: str) -> None:
    """Give a resident a new PIN; who is signed in stays so until `sign_out_elsewhere`."""
    resident(session, resident_id)
    session.merge(Credential(resident_id=resident_id, pin_hash=pin_hash, changed_at=clock.now()))


def grant(session: Session, clock: Clock, *, resident_id: UUID, role: Role) -> None:
    """Give a resident a role. Giving it twice is once."""
    resident(session, resident_id)
    if session.get(RoleGrant, (resident_id, role)) is None:
        row = RoleGrant(resident_id=resident_id, role=role.value, granted_at=clock.now())
        session.add(row)


def revoke_role(session: Session, *, resident_id: UUID, role: Role) -> None:
    """Take a role away again; somebody has to stay operator."""
    if role is Role.OPERATOR and is_last_operator(session, resident_id):
        raise LastOperator
    session.execute(
        delete(RoleGrant).where(RoleGrant.resident_id == resident_id, RoleGrant.role == role)
    )


def is_last_operator(session: Session, resident_id: UUID) -> bool:
    """Would the house have no operator without this resident?"""
    operators = select(RoleGrant.resident_id).where(RoleGrant.role == Role.OPERATOR)
    return session.scalars(operators.limit(2)).all() == [resident_id]


def roles_of(session: Session, resident_id: UUID) -> frozenset[Role]:
    """Every role of a resident; being a resident is the first."""
    held = session.scalars(select(RoleGrant.role).where(RoleGrant.resident_id == resident_id))
    return frozenset({Role.RESIDENT} | {Role(name) for name in held})


def issue_token(session: Session, clock: Clock, *, token_id: UUID, role: Role) -> str:
    """A program's secret, shown once and stored only as its SHA-256. The id is used once."""
    if session.get(AccessToken, token_id) is not None:
        raise IdReused(id=str(token_id))
    return _new_token(session, clock, token_id=token_id, role=role, lifetime=rules.TOKEN_TIME)


def revoke_token(session: Session, clock: Clock, *, token_id: UUID) -> None:
    """Close what this token opened, from now on."""
    token = session.get(AccessToken, token_id)
    if token is None:
        raise NotFound(what="token", id=str(token_id))
    token.revoked_at = token.revoked_at or clock.now()


def sign_out_elsewhere(
    session: Session, clock: Clock, *, resident_id: UUID, keep: UUID | None
) -> None:
    """Close every sign-in of a resident but the one named: whoever knew the old PIN is out."""
    held = [AccessToken.resident_id == resident_id, AccessToken.revoked_at.is_(None)]
    if keep is not None:
        held.append(AccessToken.id != keep)
    session.execute(update(AccessToken).where(*held).values(revoked_at=clock.now()))


def unlock(session: Session, *, resident_id: UUID) -> None:
    """The way back at the desk: forget the wrong tries, whoever made them."""
    phone = resident(session, resident_id).phone or ""
    session.execute(delete(SignInTries).where(SignInTries.phone_sha256 == rules.digest(phone)))


def locked_until(session: Session, clock: Clock, *, resident_id: UUID) -> datetime | None:
    """Until when this resident cannot sign in after too many wrong tries."""
    tries = session.get(SignInTries, rules.digest(resident(session, resident_id).phone or ""))
    until = tries.locked_until if tries else None
    return until if until is not None and until > clock.now() else None


def pin_fits(session: Session, *, phone: str, pin: str) -> UUID | None:
    """Whose PIN this is. Takes as long for unknown numbers; slow, so call it outside a command."""
    row = session.execute(
        select(Resident.id, Credential.pin_hash)
        .join(Credential, Credential.resident_id == Resident.id)
        .where(Resident.phone == phone)
    ).first()
    try:
        _hasher.verify(row.pin_hash if row else _NOBODY, pin)
    except VerificationError:
        return None
    return UUID(str(row.id)) if row else None


def sign_in(
    session: Session, clock: Clock, *, token_id: UUID, phone: str, resident_id: UUID | None
) -> str | None:
    """Open a sign-in for whom `pin_fits` named, or count a wrong try (None). Refuses when locked.

    The count is checked here, in the write path, so that many guesses at once win nothing.
    """
    now, key = clock.now(), rules.digest(phone)
    tries = session.get(SignInTries, key)
    if tries is not None and tries.locked_until is not None:
        if tries.locked_until > now:
            minutes = -(-int((tries.locked_until - now).total_seconds()) // 60)
            raise SignInLocked(minutes=minutes)
        tries.failed, tries.locked_until = 0, None
    if resident_id is None:
        _count_wrong_try(session, now, key, tries)
        return None
    if tries is not None:
        session.delete(tries)
    return _new_token(
        session, clock, token_id=token_id, resident_id=resident_id, lifetime=rules.SIGN_IN_TIME
    )


def _new_token(
    session: Session,
    clock: Clock,
    *,
    token_id: UUID,
    lifetime: timedelta,
    resident_id: UUID | None = None,
    role: Role | None = None,
) -> str:
    secret = secrets.token_urlsafe(32)
    session.add(
        AccessToken(
            id=token_id,
            secret_sha256=rules.digest(secret),
            resident_id=resident_id,
            role=role.value if role else None,
            issued_at=clock.now(),
            expires_at=clock.now() + lifetime,
        )
    )
    return secret


def _count_wrong_try(session: Session, now: datetime, key: str, tries: SignInTries | None) -> None:
    if tries is None:
        session.execute(delete(SignInTries).where(SignInTries.last_at < now - rules.LOCK_TIME))
        tries = SignInTries(phone_sha256=key, failed=0, last_at=now)
        session.add(tries)
    tries.failed, tries.last_at = tries.failed + 1, now
    if tries.failed >= rules.TRIES_MAX:
        tries.locked_until = now + rules.LOCK_TIME
