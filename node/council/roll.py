"""The roll of a vote: who may vote, in which units, frozen when the vote opens."""

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from node.council import rules
from node.council.electorates import Electorate, Weight
from node.council.model import RollEntry, Vote
from node.council.refusals import AreaMissing, NobodyOnRoll
from node.residents.model import Resident

INSERT_ROWS = 2_000


class Voter(NamedTuple):
    """One line of a roll: a person, the unit they vote for, and its floor area."""

    voter_id: UUID
    unit: UUID
    area_dm2: int


class Roll(NamedTuple):
    """Everybody who may vote, and what all units weigh together."""

    voters: list[Voter]

    @property
    def units(self) -> dict[UUID, int]:
        """Each unit once, with its area."""
        return {voter.unit: voter.area_dm2 for voter in self.voters}

    @property
    def weight(self) -> Weight:
        units = self.units
        return Weight(len(units), sum(units.values()))

    def sha256(self, salt: str) -> str:
        """The fingerprint that is published while the vote runs."""
        return rules.roll_hash((rules.mark(salt, unit), area) for unit, area in self.units.items())


def electorate(session: Session, kind: Electorate, *, this_year: int) -> Roll:
    """Who may vote now; refuses owners' flats of unknown size, and an empty roll."""
    found = _owners(session) if kind is Electorate.OWNERS else _residents(session, this_year)
    voters = sorted(found)
    if not voters:
        raise NobodyOnRoll
    return Roll(voters)


def freeze(session: Session, vote_id: UUID, roll: Roll) -> None:
    """Write the roll down beside its vote."""
    for start in range(0, len(roll.voters), INSERT_ROWS):
        rows = [
            voter._asdict() | {"vote_id": vote_id} for voter in roll.voters[start:][:INSERT_ROWS]
        ]
        session.execute(insert(RollEntry), rows)


def frozen(session: Session, vote_id: UUID) -> Roll:
    """The roll as it was frozen."""
    columns = (RollEntry.voter_id, RollEntry.unit, RollEntry.area_dm2)
    rows = session.execute(select(*columns).where(RollEntry.vote_id == vote_id))
    return Roll(sorted(Voter(*row) for row in rows))


def entry(session: Session, *, vote_id: UUID, voter_id: UUID) -> RollEntry | None:
    """This voter's line of the roll, if they are on it."""
    return session.get(RollEntry, (vote_id, voter_id))


def mark_of(session: Session, vote: Vote, voter_id: UUID) -> str | None:
    """Which mark on the published roll is this voter's; None: they are not on it."""
    line = entry(session, vote_id=vote.id, voter_id=voter_id)
    return rules.mark(vote.salt, line.unit) if line else None


def published(session: Session, vote: Vote) -> str:
    """The roll as everybody may read and hash it: marks and areas, no ids."""
    units = frozen(session, vote.id).units.items()
    return rules.roll_lines((rules.mark(vote.salt, unit), area) for unit, area in units)


def _residents(session: Session, this_year: int) -> Iterator[Voter]:
    query = select(Resident.id, Resident.birth_year).where(Resident.erased_at.is_(None))
    for resident_id, birth_year in session.execute(query):
        if rules.is_eligible(birth_year, this_year=this_year):
            yield Voter(resident_id, resident_id, 0)


def _owners(session: Session) -> Iterator[Voter]:
    """Owners, those of one flat as one unit: its lowest id stands for it, its address does not."""
    columns = (Resident.id, Resident.household, Resident.floor_area_dm2)
    query = select(*columns).where(Resident.is_owner, Resident.erased_at.is_(None))
    flats: dict[str, list[UUID]] = {}
    areas: dict[str, int] = {}
    for resident_id, household, area in session.execute(query):
        flat = household or str(resident_id)
        flats.setdefault(flat, []).append(resident_id)
        areas[flat] = max(areas.get(flat, 0), area or 0)
    if unknown := sum(area == 0 for area in areas.values()):
        raise AreaMissing(count=unknown)
    for flat, owners in flats.items():
        for owner in owners:
            yield Voter(owner, min(owners), areas[flat])
