"""Residents, their flats and roles, how they sign in, who may act for them, what they agreed to."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel.db import Base


class Resident(Base):
    """Somebody of this community. Name and phone never leave the house and never enter a log.

    People with the same `household` share a flat. Its owners (`is_owner`) share its floor area,
    in hundredths of a square metre as the certificate states it, and one vote of its size.
    Who was erased keeps the id alone: the books and the tallies still add up.
    """

    __tablename__ = "resident"
    __table_args__ = (Index("resident_by_name", "name"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    phone: Mapped[str | None] = mapped_column(unique=True)
    building: Mapped[str | None]
    household: Mapped[str | None] = mapped_column(index=True)  # the flat: 7-2-301
    is_owner: Mapped[bool] = mapped_column(default=False)
    floor_area_dm2: Mapped[int | None]  # of the flat, 1/100 m²; None: not known
    birth_year: Mapped[int | None]
    joined_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]


class RoleGrant(Base):
    """A role somebody holds besides being a resident."""

    __tablename__ = "role_grant"
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    granted_at: Mapped[datetime]


class Credential(Base):
    """A resident's PIN or password, as argon2id."""

    __tablename__ = "credential"
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"), primary_key=True)
    pin_hash: Mapped[str]
    changed_at: Mapped[datetime]


class SignInTries(Base):
    """Wrong PINs for one number, known here or not: both lock alike and so tell nothing."""

    __tablename__ = "sign_in_tries"
    phone_sha256: Mapped[str] = mapped_column(primary_key=True)
    failed: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(index=True)
    locked_until: Mapped[datetime | None]


class AccessToken(Base):
    """A secret that opens the house: a person's sign-in (resident) or a program's token (role)."""

    __tablename__ = "access_token"
    __table_args__ = (
        CheckConstraint("(resident_id IS NULL) <> (role IS NULL)", name="access_token_one_holder"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    secret_sha256: Mapped[str] = mapped_column(unique=True)
    resident_id: Mapped[UUID | None] = mapped_column(ForeignKey("resident.id"), index=True)
    role: Mapped[str | None]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Proxy(Base):
    """A relative who may act for an elder: what for, until when, and that the elder agreed."""

    __tablename__ = "proxy"
    __table_args__ = (Index("proxy_by_pair", "helper_id", "elder_id"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    elder_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"), index=True)
    helper_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"))
    scope: Mapped[str]
    agreed_at: Mapped[datetime]
    recorded_by: Mapped[UUID]  # the elder, the clerk who heard the consent, or a program's token
    evidence: Mapped[str]  # how the elder agreed: a rules.Evidence
    ends_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class Consent(Base):
    """What a resident agreed to, in which wording, and until when they stood by it."""

    __tablename__ = "consent"
    __table_args__ = (Index("consent_by_resident", "resident_id", "purpose"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"))
    purpose: Mapped[str]
    wording: Mapped[int]  # the version of the text that was shown
    given_at: Mapped[datetime]
    recorded_by: Mapped[UUID]
    withdrawn_at: Mapped[datetime | None]
