"""The score of a match: its reasons add up to it, and a better fit never scores less."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.kernel.ids import derived_id
from node.timebank import matching
from node.timebank.matching import ALL_TIMES, Part, ReasonCode, Wish, best, match, times_of

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MONDAY_MORNING = times_of([0], [Part.MORNING])
NEED = Wish(
    id=derived_id("need"),
    resident_id=derived_id("elder"),
    service="companionship",
    times=times_of([0, 2], [Part.MORNING, Part.AFTERNOON]),
    minutes=60,
    building="7",
    opened_at=NOW,
)
OFFER = replace(NEED, id=derived_id("offer"), resident_id=derived_id("neighbour"))


def test_a_perfect_fit_has_all_points() -> None:
    found = match(NEED, OFFER)
    assert found is not None
    assert found[0] == 100
    assert {reason.code: reason.points for reason in found[1]} == {
        ReasonCode.TIMES: 50,
        ReasonCode.BUILDING: 30,
        ReasonCode.LENGTH: 20,
    }


@pytest.mark.parametrize(
    ("offer", "score"),
    [
        (replace(OFFER, times=MONDAY_MORNING), 12 + 30 + 20),  # one of four times
        (replace(OFFER, building="8"), 70),
        (replace(OFFER, building=None), 70),
        (replace(OFFER, minutes=45), 50 + 30 + 15),
        (replace(OFFER, minutes=480), 100),  # more than is needed is not better
        (replace(OFFER, times=ALL_TIMES), 100),
    ],
)
def test_each_reason_gives_its_part(offer: Wish, score: int) -> None:
    found = match(NEED, offer)
    assert found is not None
    assert found[0] == score


@pytest.mark.parametrize(
    "offer",
    [
        replace(OFFER, service="cleaning"),
        replace(OFFER, times=times_of([5], [Part.EVENING])),
        replace(OFFER, resident_id=NEED.resident_id),
    ],
)
def test_what_does_not_fit_is_no_match(offer: Wish) -> None:
    assert match(NEED, offer) is None


def test_two_without_a_building_are_not_neighbours() -> None:
    found = match(replace(NEED, building=None), replace(OFFER, building=None))
    assert found is not None
    assert found[0] == 70


_times = st.integers(1, ALL_TIMES)
_wishes = st.builds(
    Wish,
    id=st.uuids(),
    resident_id=st.uuids(),
    service=st.just("companionship"),
    times=_times,
    minutes=st.integers(1, 32).map(lambda steps: steps * 15),
    building=st.sampled_from(["7", "8", None]),
    opened_at=st.integers(0, 9).map(lambda days: NOW + timedelta(days=days)),
)


@given(need=_wishes, offer=_wishes, more=_times)
def test_reasons_add_up_and_more_time_is_never_worse(need: Wish, offer: Wish, more: int) -> None:
    found = match(need, offer)
    if found is None:
        return
    score, reasons = found
    assert 0 < score <= 100
    assert score == sum(reason.points for reason in reasons)
    assert all(0 <= reason.points <= reason.of for reason in reasons)
    better = match(need, replace(offer, times=offer.times | more))
    assert better is not None
    assert better[0] >= score


@given(mine=_wishes, others=st.lists(_wishes, max_size=8), is_need=st.booleans())
def test_the_best_comes_first_and_who_waited_longest_among_equals(
    mine: Wish, others: list[Wish], is_need: bool
) -> None:
    found = best(mine, others, is_need=is_need, limit=5)
    order = [(-one.score, one.other.opened_at) for one in found]
    assert order == sorted(order)
    assert len(found) <= 5
    fits = [
        one for one in others if (match(mine, one) if is_need else match(one, mine)) is not None
    ]
    assert len(found) == min(5, len(fits))


@given(bits=_times)
def test_times_survive_being_read(bits: int) -> None:
    read = matching.times_in(bits)
    assert sum(times_of([day], [part]) for day, part in read) == bits
