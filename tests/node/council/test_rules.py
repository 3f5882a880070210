"""No step is skipped, and no count comes out differently from how one counts by hand."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.council import rules
from node.council.rules import Step

_ORDER = [
    Step.COLLECTING,
    Step.SCREENING,
    Step.PUBLICITY,
    Step.ASSEMBLY,
    Step.RESOLVED,
    Step.EXECUTING,
    Step.FEEDBACK,
]


@pytest.mark.parametrize("is_carried", [None, True, False])
def test_no_step_can_be_skipped_or_taken_back(is_carried: bool | None) -> None:
    for place, step in enumerate(_ORDER):
        for to in rules.next_steps(step, is_carried=is_carried) - {Step.DECLINED}:
            rejected = step is Step.RESOLVED and not is_carried
            assert to is (Step.FEEDBACK if rejected else _ORDER[place + 1])


def test_only_the_close_of_a_vote_makes_a_resolution() -> None:
    assert Step.RESOLVED not in {to for steps in rules.NEXT_STEPS.values() for to in steps}


def test_publicity_is_seven_days() -> None:
    start = datetime(2026, 3, 1, 9, tzinfo=UTC)
    for days in (0, 6, 7):  # whatever the database says: never shorter
        assert rules.publicity_ends(start, days=days) - start == timedelta(days=7)
    assert rules.publicity_ends(start, days=20) - start == timedelta(days=20)


@given(lines=st.dictionaries(st.uuids(), st.integers(0, 20_000), max_size=20), other=st.uuids())
def test_the_rolls_hash_names_the_marks_in_any_order(lines: dict[UUID, int], other: UUID) -> None:
    marks = [(rules.mark("salt", unit), area) for unit, area in lines.items()]
    assert rules.roll_hash(marks) == rules.roll_hash(reversed(marks))
    if other not in lines:
        assert rules.roll_hash(marks) != rules.roll_hash([*marks, (rules.mark("salt", other), 0)])


def test_a_mark_says_nothing_without_its_salt() -> None:
    unit = UUID(int=7)
    assert rules.mark("one", unit) != rules.mark("other", unit)
    assert str(unit) not in rules.mark("one", unit)


@pytest.mark.parametrize(("born", "may"), [(None, True), (2008, True), (2009, False)])
def test_voters_are_eighteen(born: int | None, may: bool) -> None:
    assert rules.is_eligible(born, this_year=2026) is may
