"""Every group that stands gets a voice while there are seats; the draw can be repeated."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from node.council import api, calls, delegates, pages
from node.council.delegates import OCCUPATIONS, UNKNOWN, Standing, choose, coverage
from node.council.model import Candidate
from node.council.refusals import CallNotOver, CallOver, NotEnoughCandidates
from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.errors import BadInput
from node.kernel.ids import derived_id
from node.residents.events import ResidentErased
from node.residents.pages import routes as residents_routes
from node.residents.rules import Role
from tests.node.council.conftest import CHILD, VOTERS
from tests.node.web.client import ClientHouse, house_at, key

BANDS = [name for _, name in delegates.AGE_BANDS]
STANDING = st.builds(
    Standing,
    st.uuids(),
    st.sampled_from([*BANDS, UNKNOWN]),
    st.sampled_from(OCCUPATIONS),
    st.sampled_from(["1", "2", "3", UNKNOWN]),
)
CROWD = st.lists(STANDING, max_size=30, unique_by=lambda one: one.resident_id)
CALL = derived_id("call")


@given(standing=CROWD, seats=st.integers(1, 12), seed=st.text(max_size=8))
def test_the_draw_is_the_same_whoever_repeats_it(
    standing: list[Standing], seats: int, seed: str
) -> None:
    chosen = choose(standing, seats=seats, seed=seed)
    assert chosen == choose(reversed(standing), seats=seats, seed=seed)
    assert len(chosen) == len({one.resident_id for one in chosen}) == min(seats, len(standing))


@given(standing=CROWD, seed=st.text(max_size=8))
def test_with_a_seat_a_group_nobody_who_stands_goes_unheard(
    standing: list[Standing], seed: str
) -> None:
    groups = set().union(*(one.groups for one in standing))
    chosen = choose(standing, seats=max(1, len(groups)), seed=seed)
    assert set().union(*(one.groups for one in chosen)) == groups


@given(standing=CROWD, seats=st.integers(1, 12), seed=st.text(max_size=8))
def test_nobody_waiting_brings_in_more_than_the_last_who_was_chosen(
    standing: list[Standing], seats: int, seed: str
) -> None:
    chosen = choose(standing, seats=seats, seed=seed)
    for place, one in enumerate(chosen):
        heard = set().union(*(before.groups for before in chosen[:place]))
        waiting = [other for other in standing if other not in chosen[: place + 1]]
        assert all(len(other.groups - heard) <= len(one.groups - heard) for other in waiting)


def test_a_small_example_by_hand() -> None:
    old, young, twin = (
        Standing(UUID(int=number), band, work, building)
        for number, (band, work, building) in enumerate(
            [
                ("over_80", "retired", "1"),
                ("under_35", "student", "2"),
                ("over_80", "retired", "1"),
            ]
        )
    )
    chosen = choose([old, young, twin], seats=2, seed="x")
    assert young in chosen
    shown = coverage([old, young, twin], [old, young, twin], chosen)
    assert all(one.is_covered for one in shown)
    assert {one.group: one.residents for one in shown if one.dimension == "building"} == {
        "1": 2,
        "2": 1,
    }


@pytest.mark.parametrize(
    ("born", "band"),
    [
        (None, UNKNOWN),
        (2008, "under_35"),
        (1991, "35_to_49"),
        (1961, "65_to_79"),
        (1946, "over_80"),
    ],
)
def test_age_bands(born: int | None, band: str) -> None:
    assert delegates.age_band(born, this_year=2026) == band


def stand(database: Database, clock: VirtualClock, resident_id: UUID, work: str) -> Candidate:
    return database.do(
        lambda session: calls.stand(
            session, clock, call_id=CALL, resident_id=resident_id, occupation=work
        )
    )


def test_a_call_from_its_seed_to_its_seats(database: Database, clock: VirtualClock) -> None:
    def open_call(session: Session) -> str:
        return calls.open_call(
            session, clock, call_id=CALL, title="Council 2026", seats=3, days=14
        ).seed

    seed = database.do(open_call)
    assert database.do(open_call) == seed, "asked again, the same seed"
    with pytest.raises(BadInput):
        stand(database, clock, VOTERS[0], "king")
    with pytest.raises(BadInput):
        stand(database, clock, CHILD, "student")
    for voter, work in zip(VOTERS[:2], ("retired", "employee"), strict=True):
        stand(database, clock, voter, work)
    with pytest.raises(CallNotOver):
        database.do(lambda session: calls.draw(session, clock, call_id=CALL))
    clock.advance(timedelta(days=14) - timedelta(seconds=1))
    stand(database, clock, VOTERS[2], "home")
    stand(database, clock, VOTERS[2], "retired")
    stand(database, clock, VOTERS[3], "home")
    database.do(lambda s: calls.withdraw(s, clock, call_id=CALL, resident_id=VOTERS[3]))
    clock.advance(timedelta(seconds=1))
    with pytest.raises(CallOver):
        stand(database, clock, VOTERS[4], "home")
    database.do(lambda session: calls.draw(session, clock, call_id=CALL))
    with database.read() as session:
        standing = calls.candidates(session, CALL)
        assert sorted(one.place or 0 for one in standing) == [1, 2, 3]
        again = choose(map(calls.standing_of, standing), seats=3, seed=seed)
        places = {one.resident_id: one.place for one in standing}
        assert [places[one.resident_id] for one in again] == [1, 2, 3]


def test_of_who_was_erased_no_group_stays(database: Database, clock: VirtualClock) -> None:
    database.do(lambda s: calls.open_call(s, clock, call_id=CALL, title="Council", seats=3, days=3))
    for voter in VOTERS[:4]:
        stand(database, clock, voter, "retired")
    database.do(lambda s: calls.forget(s, clock, ResidentErased(VOTERS[3])))
    clock.advance(timedelta(days=3))
    database.do(lambda session: calls.draw(session, clock, call_id=CALL))
    database.do(lambda s: calls.forget(s, clock, ResidentErased(VOTERS[0])))
    with database.read() as session:
        standing = {one.resident_id: one for one in calls.candidates(session, CALL)}
        assert set(standing) == set(VOTERS[:3])
        assert standing[VOTERS[0]].place is not None
        assert calls.standing_of(standing[VOTERS[0]]).groups == frozenset()


def test_too_few_candidates_are_no_council(database: Database, clock: VirtualClock) -> None:
    database.do(lambda s: calls.open_call(s, clock, call_id=CALL, title="Council", seats=3, days=3))
    clock.advance(timedelta(days=3))
    with pytest.raises(NotEnoughCandidates):
        database.do(lambda session: calls.draw(session, clock, call_id=CALL))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*api.routes, *pages.routes, *residents_routes]) as house:
        yield house


def test_pages_and_api_of_a_call(house: ClientHouse) -> None:
    secretary = house.resident("Secretary", Role.SECRETARY)
    people = [house.resident(f"Neighbour {number}") for number in range(3)]
    house.open_browser(people[0])
    form = {"title": "Council 2026", "seats": "3", "days": "14"}
    assert house.post_form("/council/delegates", page="/council", **form).status_code == 403
    house.open_browser(secretary)
    few = house.post_form("/council/delegates", page="/council", **(form | {"seats": "1"}))
    assert few.status_code == 422
    path = house.post_form("/council/delegates", page="/council", **form).headers["location"]
    for person, work in zip(people, ("retired", "student", "home"), strict=True):
        house.open_browser(person)
        assert "Do you want to stand?" in house.client.get(path).text
        assert house.post_form(f"{path}/stand", page=path, occupation=work).status_code == 303
        assert "You stand" in house.client.get(path).text
    assert house.post_form(f"{path}/draw", page=path).status_code == 403
    house.clock.advance(timedelta(days=14))
    house.open_browser(secretary)
    assert house.post_form(f"{path}/draw", page=path).status_code == 303
    shown = house.client.get(path).text
    assert "Neighbour 2" in shown
    assert "Every group has a voice." in shown
    house.open_browser()
    assert "Neighbour 2" not in house.client.get(path).text
    listed = house.client.get("/api/council/calls").json()
    one = house.client.get(f"/api/council/calls/{listed[0]['id']}").json()
    assert {line["chosen"] for line in one["coverage"] if line["dimension"] == "occupation"} == {1}
    late = house.client.post(
        f"/api/council/calls/{listed[0]['id']}/stand",
        json={"occupation": "home"},
        headers=house.signed_in(people[0]) | key(),
    )
    assert late.json()["code"] == "council.call_over"
