"""No count comes out differently from how one counts by hand, by head and by floor area."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.council.electorates import (
    MATTERS,
    OWNERS_ORDINARY_RULE,
    OWNERS_SPECIAL_RULE,
    RESIDENTS_RULE,
    STRAW_RULE,
    Choice,
    DecisionRule,
    Electorate,
    Share,
    Weight,
    tally,
)

RULES = (RESIDENTS_RULE, OWNERS_ORDINARY_RULE, OWNERS_SPECIAL_RULE, STRAW_RULE)
Ballots = list[tuple[Choice, int]]
BALLOTS = st.lists(st.tuples(st.sampled_from(list(Choice)), st.integers(1, 20_000)), max_size=40)


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
    choices = [Choice.YES] * yes + [Choice.NO] * no + [Choice.ABSTAIN] * abstain
    counted = tally([(one, 0) for one in choices], roll=Weight(on_roll), rule=RESIDENTS_RULE)
    assert (counted.has_quorum, counted.is_carried) == (has_quorum, is_carried)


@pytest.mark.parametrize(
    ("ballots", "roll", "rule", "has_quorum", "is_carried"),
    [
        # two thirds of both came, exactly: that is enough (以上)
        ([("yes", 100), ("yes", 100)], Weight(3, 300), OWNERS_ORDINARY_RULE, True, True),
        # enough heads, too little area
        ([("yes", 99), ("yes", 100)], Weight(3, 300), OWNERS_ORDINARY_RULE, False, False),
        # enough area, too few heads
        ([("yes", 250)], Weight(3, 300), OWNERS_ORDINARY_RULE, False, False),
        # half of the heads is not more than half, whatever they own
        ([("yes", 500), ("no", 10)], Weight(2, 510), OWNERS_ORDINARY_RULE, True, False),
        # most heads, but not most of the area
        (
            [("yes", 10), ("yes", 10), ("no", 30)],
            Weight(3, 50),
            OWNERS_ORDINARY_RULE,
            True,
            False,
        ),
        # three quarters of both, exactly, carry a special matter
        (
            [("yes", 10), ("yes", 10), ("yes", 10), ("no", 10)],
            Weight(4, 40),
            OWNERS_SPECIAL_RULE,
            True,
            True,
        ),
        # and a little less of the area does not
        (
            [("yes", 10), ("yes", 10), ("yes", 10), ("no", 11)],
            Weight(4, 41),
            OWNERS_SPECIAL_RULE,
            True,
            False,
        ),
    ],
)
def test_owners_decide_by_head_and_by_area(
    ballots: list[tuple[str, int]],
    roll: Weight,
    rule: DecisionRule,
    has_quorum: bool,
    is_carried: bool,
) -> None:
    counted = tally([(Choice(one), area) for one, area in ballots], roll=roll, rule=rule)
    assert (counted.has_quorum, counted.is_carried) == (has_quorum, is_carried)


@given(ballots=BALLOTS, stayed=BALLOTS, rule=st.sampled_from(RULES))
def test_the_tally_is_what_one_counts_by_hand(
    ballots: Ballots, stayed: Ballots, rule: DecisionRule
) -> None:
    everybody = ballots + stayed
    roll = Weight(len(everybody), sum(area for _, area in everybody))
    counted = tally(ballots, roll=roll, rule=rule)
    assert counted == tally(reversed(ballots), roll=roll, rule=rule)
    assert counted.cast == Weight(len(ballots), sum(area for _, area in ballots))
    came = rule.quorum is None or by_hand(rule, rule.quorum, counted.cast, roll)
    assert counted.has_quorum == came
    assert counted.is_carried == (came and by_hand(rule, rule.majority, counted.yes, counted.cast))


def by_hand(rule: DecisionRule, share: Share, part: Weight, whole: Weight) -> bool:
    pairs = [(part.heads, whole.heads), (part.area_dm2, whole.area_dm2)]
    limit = Fraction(share.over, share.of)
    return all(
        of > 0
        and (Fraction(some, of) >= limit if share.is_reached_at else Fraction(some, of) > limit)
        for some, of in (pairs if rule.is_by_area else pairs[:1])
    )


def test_every_rule_names_its_source_and_survives_being_stored() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.source
        assert DecisionRule.of_data(rule.as_data()) == rule


def test_article_278_has_nine_items_and_items_6_to_8_need_three_quarters() -> None:
    owners = {one.item: one.rule for one in MATTERS.values() if one.electorate is Electorate.OWNERS}
    assert sorted(item for item in owners if item) == list(range(1, 10))
    special = {item for item, rule in owners.items() if rule is OWNERS_SPECIAL_RULE}
    assert special == {6, 7, 8}
    assert STRAW_RULE not in owners.values()
