"""Choose delegates so that every age, occupation and building has a voice: pure and repeatable.

Seats are given one after the other, each to whoever brings in most groups that nobody speaks for
yet; once all are covered, to whoever belongs to the groups that are represented least. Ties are
settled by a seed that was public before anybody stood. Who has the list and the seed gets the same
delegates.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

SEATS_MIN, SEATS_MAX = 3, 60
OCCUPATIONS = ("employee", "self_employed", "home", "student", "retired", "other")
AGE_BANDS = ((0, "under_35"), (35, "35_to_49"), (50, "50_to_64"), (65, "65_to_79"), (80, "over_80"))
UNKNOWN = "unknown"
DIMENSIONS = ("age_band", "occupation", "building")


@dataclass(frozen=True)
class Standing:
    """Somebody who stands, and the groups they belong to."""

    resident_id: UUID
    age_band: str
    occupation: str
    building: str

    @property
    def groups(self) -> frozenset[tuple[str, str]]:
        """Each dimension with this person's group in it; an unknown one is nobody's voice."""
        pairs = ((name, str(getattr(self, name))) for name in DIMENSIONS)
        return frozenset(pair for pair in pairs if pair[1] != UNKNOWN)


@dataclass(frozen=True)
class Coverage:
    """One group: how many live here, stand, and were chosen."""

    dimension: str
    group: str
    residents: int
    standing: int
    chosen: int

    @property
    def is_covered(self) -> bool:
        return self.chosen > 0


def age_band(birth_year: int | None, *, this_year: int) -> str:
    """In which band somebody's age falls this year."""
    if birth_year is None:
        return UNKNOWN
    return [name for from_age, name in AGE_BANDS if this_year - birth_year >= from_age][-1]


def choose(standing: Iterable[Standing], *, seats: int, seed: str) -> list[Standing]:
    """The delegates in the order in which they got their seats."""
    left = sorted(standing, key=lambda one: _lot(seed, one.resident_id))
    counts: Counter[tuple[str, str]] = Counter()
    chosen: list[Standing] = []
    while left and len(chosen) < seats:
        best = min(left, key=lambda one: _claim(one, counts))  # the first of equals: by lot
        left.remove(best)
        chosen.append(best)
        counts.update(best.groups)
    return chosen


def coverage(
    people: Iterable[Standing], standing: Iterable[Standing], chosen: Sequence[Standing]
) -> list[Coverage]:
    """Every group that lives here or stands, and whether somebody speaks for it."""
    lives, stands, speaks = (_counted(group) for group in (people, standing, chosen))
    groups = sorted(lives.keys() | stands.keys(), key=_place)
    return [Coverage(*group, lives[group], stands[group], speaks[group]) for group in groups]


def _claim(one: Standing, counts: Counter[tuple[str, str]]) -> tuple[int, int]:
    """Smaller is better: first who brings most new groups, then whose groups have fewest voices."""
    fresh = sum(counts[group] == 0 for group in one.groups)
    return -fresh, sum(counts[group] for group in one.groups)


def _place(group: tuple[str, str]) -> tuple[int, int, str]:
    """Ages from young to old, occupations as the form lists them, buildings by name."""
    dimension, name = group
    order = [*(band for _, band in AGE_BANDS), *OCCUPATIONS]
    return DIMENSIONS.index(dimension), order.index(name) if name in order else -1, name


def _counted(people: Iterable[Standing]) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for one in people:
        counts.update(one.groups)
    return counts


def _lot(seed: str, resident_id: UUID) -> str:
    return hashlib.sha256(f"{seed}/{resident_id}".encode()).hexdigest()
