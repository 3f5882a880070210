"""Who types the code was there: once each, by the hour where hours count, and nobody guesses it."""

from datetime import timedelta
from uuid import UUID

import pytest

from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.errors import BadInput, IdReused
from node.kernel.ids import derived_id
from node.points import codes, onsite, refusals, service
from node.points.model import Gathering, PointsAward, Presence
from tests.node.points.conftest import CLERK, ELDER, NEIGHBOUR

SORTING, HELPING = derived_id("gathering", "sorting"), derived_id("gathering", "helping")


class Place:
    """A gathering with its screen."""

    def __init__(self, database: Database, clock: VirtualClock) -> None:
        self.database, self.clock = database, clock

    def open(
        self, gathering_id: UUID = SORTING, *, activity: str = "waste_sorting", hours: int = 2
    ) -> Gathering:
        return self.database.do(
            lambda session: onsite.open_gathering(
                session,
                self.clock,
                gathering_id=gathering_id,
                activity=activity,
                place="Gate 3",
                closes_at=self.clock.now() + timedelta(hours=hours),
                secret=f"secret of {gathering_id}",
                opened_by=CLERK,
            )
        )

    def code(self, gathering_id: UUID = SORTING) -> str:
        return codes.code_at(f"secret of {gathering_id}", self.clock.now())

    def type_code(
        self, code: str, resident_id: UUID = ELDER, gathering_id: UUID = SORTING
    ) -> Presence | None:
        return self.database.do(
            lambda session: onsite.check_in(
                session,
                self.clock,
                gathering_id=gathering_id,
                resident_id=resident_id,
                code=code,
            )
        )

    def points(self, resident_id: UUID = ELDER) -> int:
        with self.database.read() as session:
            return service.own_points(session, resident_id)[0]


@pytest.fixture
def place(database: Database, clock: VirtualClock) -> Place:
    return Place(database, clock)


def test_a_code_serves_each_resident_once(place: Place) -> None:
    place.open()
    code = place.code()
    first, again = place.type_code(code), place.type_code(code)
    assert first is not None
    assert again is not None
    assert first.award_id == again.award_id is not None
    place.clock.advance(timedelta(minutes=5))
    place.type_code(place.code())  # a later code of the same gathering is the same coming
    assert place.points() == 10
    place.type_code(place.code(), NEIGHBOUR)
    assert place.points(NEIGHBOUR) == 10
    with place.database.read() as session:
        present = onsite.people_at(session, SORTING, limit=10).rows
        award = session.get_one(PointsAward, first.award_id)
    assert [row.resident_id for row in present] == [ELDER, NEIGHBOUR]
    assert (award.evidence_kind, award.evidence_id) == ("onsite_code", SORTING)


def test_another_gathering_is_another_act_up_to_the_cap(place: Place) -> None:
    for number in range(3):
        one = derived_id("gathering", number)
        place.open(one)
        present = place.type_code(place.code(one), gathering_id=one)
    assert place.points() == 20
    assert present is not None  # who came is written down, though the cap gives nothing more
    assert present.award_id is None


def test_an_hour_takes_a_code_on_coming_and_one_on_leaving(place: Place) -> None:
    place.open(HELPING, activity="volunteering")
    place.type_code(place.code(HELPING), gathering_id=HELPING)
    place.clock.advance(timedelta(minutes=3))
    place.type_code(place.code(HELPING), gathering_id=HELPING)  # impatient, not leaving
    assert place.points() == 0
    place.clock.advance(timedelta(minutes=87))
    left = place.type_code(place.code(HELPING), gathering_id=HELPING)
    assert left is not None
    assert left.left_at is not None
    assert place.points() == 45
    place.clock.advance(timedelta(minutes=20))
    place.type_code(place.code(HELPING), gathering_id=HELPING)
    assert place.points() == 45


def test_who_stayed_to_the_end_may_still_sign_out(place: Place) -> None:
    place.open(HELPING, activity="volunteering")
    place.type_code(place.code(HELPING), gathering_id=HELPING)
    place.clock.advance(timedelta(hours=2, minutes=10))
    with place.database.read() as session:
        assert [row.id for row in onsite.to_leave(session, place.clock, ELDER)] == [HELPING]
    with pytest.raises(refusals.GatheringNotOpen):
        place.type_code(place.code(HELPING), NEIGHBOUR, HELPING)
    place.type_code(place.code(HELPING), gathering_id=HELPING)
    assert place.points() == 65  # 130 minutes
    place.clock.advance(timedelta(hours=1))
    with pytest.raises(refusals.GatheringNotOpen):
        place.type_code(place.code(HELPING), gathering_id=HELPING)


def test_an_old_code_and_a_guess_are_refused_and_guesses_are_counted(place: Place) -> None:
    place.open()
    old = place.code()
    place.clock.advance(timedelta(seconds=codes.STEP_SECONDS * codes.STEPS_ACCEPTED))
    wrong = [old, *("000000" for _ in range(codes.TRIES_MAX - 1))]
    assert [place.type_code(code) for code in wrong] == [None] * codes.TRIES_MAX
    with pytest.raises(refusals.TooManyTries, match="10 minutes"):
        place.type_code(place.code())
    place.type_code(place.code(), NEIGHBOUR)  # others are not kept out
    place.clock.advance(timedelta(seconds=codes.TRIES_PAUSE_SECONDS))
    assert place.type_code(place.code()) is not None
    assert (place.points(), place.points(NEIGHBOUR)) == (10, 10)


def test_who_opened_it_knows_the_code_and_is_not_thanked_by_it(place: Place) -> None:
    place.open()
    with pytest.raises(refusals.OwnAward):
        place.type_code(place.code(), CLERK)


def test_only_what_the_rules_accept_can_be_opened(place: Place) -> None:
    with pytest.raises(refusals.EvidenceNotAccepted):
        place.open(activity="suggestion_adopted")
    with pytest.raises(refusals.UnknownActivity):
        place.open(activity="juggling")
    place.open()
    with pytest.raises(IdReused):
        place.open(activity="volunteering")
    for hours in (0, 13):
        with pytest.raises(BadInput):
            place.open(HELPING, activity="volunteering", hours=hours)


def test_a_gathering_can_end_early(place: Place, clock: VirtualClock) -> None:
    place.open()
    clock.advance(timedelta(minutes=1))
    place.database.do(lambda session: onsite.close_early(session, clock, gathering_id=SORTING))
    with pytest.raises(refusals.GatheringNotOpen):
        place.type_code(place.code())
    with place.database.read() as session:
        assert list(onsite.open_now(session, clock)) == []
