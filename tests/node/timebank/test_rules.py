"""Rounding for any minutes, and a life in which every held minute has a way out."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.kernel.errors import BadInput
from node.timebank import rules
from node.timebank.refusals import MoreThanAgreed, NotInSteps
from node.timebank.rules import MOVES, STEP_MINUTES, Act, ExchangeState, Side

ENDS = {ExchangeState.DECLINED, ExchangeState.CANCELLED, ExchangeState.EXPIRED}


@pytest.mark.parametrize(
    ("used", "counted"), [(1, 15), (15, 15), (22, 15), (23, 30), (37, 30), (38, 45), (90, 90)]
)
def test_minutes_are_counted_in_steps(used: int, counted: int) -> None:
    assert rules.counted_minutes(used, held=90) == counted


@given(steps=st.integers(1, 32), used=st.integers(1, 480))
def test_rounding_is_near_and_never_above_what_was_held(steps: int, used: int) -> None:
    held = steps * STEP_MINUTES
    if used > held:
        with pytest.raises(MoreThanAgreed):
            rules.counted_minutes(used, held=held)
        return
    counted = rules.counted_minutes(used, held=held)
    assert 0 < counted <= held
    assert counted % STEP_MINUTES == 0
    assert abs(counted - used) * 2 <= STEP_MINUTES or counted == STEP_MINUTES


@pytest.mark.parametrize("minutes", [0, -15, 10, 495, 1_000_000])
def test_a_request_is_whole_steps_within_a_day(minutes: int) -> None:
    with pytest.raises(NotInSteps):
        rules.check_request(service="cleaning", minutes=minutes, same_person=False)


def test_a_request_names_a_known_service_and_somebody_else() -> None:
    rules.check_request(service="cleaning", minutes=60, same_person=False)
    with pytest.raises(BadInput):
        rules.check_request(service="magic", minutes=60, same_person=False)
    with pytest.raises(BadInput):
        rules.check_request(service="cleaning", minutes=60, same_person=True)


def test_every_state_has_a_way_to_an_end() -> None:
    reaches_end = {*ENDS, ExchangeState.CAPTURED}
    for _ in ExchangeState:
        reaches_end |= {state for (state, _), move in MOVES.items() if move.to in reaches_end}
    assert reaches_end == set(ExchangeState)
    assert not [state for state, _ in MOVES if state in ENDS]
    assert [act for state, act in MOVES if state is ExchangeState.CAPTURED] == [Act.DISPUTE]


def test_nothing_waits_for_ever() -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    soon, late = now + timedelta(hours=5), now + timedelta(days=60)
    waiting = {state for state, _ in MOVES} - {
        ExchangeState.CAPTURED,
        ExchangeState.DISPUTED,  # an arbiter's list
        ExchangeState.CONTESTED,
    }
    assert set(rules.LAPSES) == waiting
    for state in ExchangeState:
        ends = rules.lapses_at(state, since=now, planned_at=None)
        assert (ends is not None) == (state in waiting)
    assert rules.lapses_at(ExchangeState.REQUESTED, since=now, planned_at=soon) == soon
    ends = rules.lapses_at(ExchangeState.ACCEPTED, since=now, planned_at=late)
    assert ends == late + rules.DELIVERY_TIME


def test_only_an_arbiter_settles_and_does_nothing_else() -> None:
    moves = {act for (_, act), move in MOVES.items() if Side.ARBITER in move.sides}
    assert moves == {Act.SETTLE}
    assert rules.possible_acts(ExchangeState.DELIVERED, Side.RECEIVER) == (
        Act.CONFIRM,
        Act.DISPUTE,
    )
