"""What a secret ballot needs: its trustees, its public election, codes not yet used, and ballots.

Who reads this whole database sees who took part, and ciphertexts. Opening one takes the private
key of every trustee; the node keeps only its own here, and forgets it after the count.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel.db import Base


class Trustee(Base):
    """Somebody without whose key nobody learns a single choice; number 1 is the node itself."""

    __tablename__ = "vote_trustee"
    __table_args__ = (UniqueConstraint("motion_id", "number"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    motion_id: Mapped[UUID] = mapped_column(ForeignKey("motion.id"))
    number: Mapped[int]
    name: Mapped[str]  # an office or a role, as everybody may read it
    public_key: Mapped[str]
    private_key: Mapped[str | None]  # the node's own only, until the count
    added_at: Mapped[datetime]
    share: Mapped[str | None]  # this trustee's part of the decryption, with its proof
    shared_at: Mapped[datetime | None]


class SecretElection(Base):
    """The public side of one secret vote, as belenios-tool made it."""

    __tablename__ = "secret_election"
    vote_id: Mapped[UUID] = mapped_column(ForeignKey("vote.id"), primary_key=True)
    uuid: Mapped[str]  # belenios' own name of the election
    base: Mapped[bytes] = mapped_column(deferred=True)  # its archive before the first ballot
    sealed: Mapped[bytes | None] = mapped_column(deferred=True)  # with all ballots, to be decrypted
    archive: Mapped[bytes | None] = mapped_column(
        deferred=True
    )  # with the result: anybody can verify


class VotingCode(Base):
    """A private credential that nobody has used yet; it is deleted with the ballot it signs."""

    __tablename__ = "voting_code"
    __table_args__ = (UniqueConstraint("vote_id", "code"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    vote_id: Mapped[UUID] = mapped_column(ForeignKey("secret_election.vote_id"), index=True)
    code: Mapped[str]
    credential: Mapped[str | None]  # its public half, once it was handed out
    taken_as: Mapped[UUID | None] = mapped_column(unique=True)  # the ballot it was handed out for


class SealedBallot(Base):
    """One encrypted ballot; its id is the form's, and says nothing about the voter."""

    __tablename__ = "sealed_ballot"
    __table_args__ = (UniqueConstraint("vote_id", "tracker"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    vote_id: Mapped[UUID] = mapped_column(ForeignKey("secret_election.vote_id"))
    tracker: Mapped[str]  # SHA-256 of the ballot, as belenios writes it: the voter's receipt
    content: Mapped[str] = mapped_column(deferred=True)
