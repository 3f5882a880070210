"""No step is skipped, and no count comes out differently from how one counts by hand."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.council import rules
from node.council.rules import RESIDENTS_RULE, STRAW_RULE, Choice, Step

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
    assert rules.publicity_ends(start) - start == timedelta(days=7)


@pytest.mark.parametrize(
    ("yes", "no", "abstain", "on_roll", "has_quorum", "is_carried"),
    [
        (3, 0, 0, 5, True, True),
        (2, 1, 0, 5, True, True),
        (2, 0, 0, 5, False, False),  # 2 of 5 is not more than half
        (2, 1, 1, 5, True, False),  # 2 of 4 present is not more than half
        (5, 0, 0, 10, False, False),  # exactly half is not more than half
        (0, 0, 0, 0, False, False),
    ],
)
def test_more_than_half_must_come_and_more_than_half_of_those_agree(
    yes: int, no: int, abstain: int, on_roll: int, has_quorum: bool, is_carried: bool
) -> None:
    ballots = [Choice.YES] * yes + [Choice.NO] * no + [Choice.ABSTAIN] * abstain
    counted = rules.tally(ballots, on_roll=on_roll, rule=RESIDENTS_RULE)
    assert (counted.has_quorum, counted.is_carried) == (has_quorum, is_carried)


@given(
    ballots=st.lists(st.sampled_from(list(Choice)), max_size=60),
    stayed_away=st.integers(0, 60),
    rule=st.sampled_from([RESIDENTS_RULE, STRAW_RULE]),
)
def test_the_tally_is_what_one_counts_by_hand(
    ballots: list[Choice], stayed_away: int, rule: rules.DecisionRule
) -> None:
    on_roll = len(ballots) + stayed_away
    counted = rules.tally(ballots, on_roll=on_roll, rule=rule)
    assert counted.cast == len(ballots) <= counted.on_roll
    assert counted == rules.tally(reversed(ballots), on_roll=on_roll, rule=rule)
    came = rule.quorum is None or (on_roll > 0 and Fraction(counted.cast, on_roll) > Fraction(1, 2))
    agreed = bool(ballots) and Fraction(counted.yes, counted.cast) > Fraction(1, 2)
    assert counted.is_carried == (came and agreed)
    if counted.is_carried:
        assert rules.tally([*ballots[1:], Choice.YES], on_roll=on_roll, rule=rule).is_carried


@given(voters=st.lists(st.uuids(), unique=True, max_size=20), other=st.uuids())
def test_the_rolls_hash_names_the_voters_in_any_order(voters: list[UUID], other: UUID) -> None:
    assert rules.roll_hash(voters) == rules.roll_hash(reversed(voters))
    if other not in voters:
        assert rules.roll_hash(voters) != rules.roll_hash([*voters, other])


@pytest.mark.parametrize(("born", "may"), [(None, True), (2008, True), (2009, False)])
def test_voters_are_eighteen(born: int | None, may: bool) -> None:
    assert rules.is_eligible(born, this_year=2026) is may


def test_every_rule_names_its_source() -> None:
    assert all(rule.source and rule.code == code for code, rule in rules.DECISION_RULES.items())
