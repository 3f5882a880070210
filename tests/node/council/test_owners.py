"""Owners vote by head and by area; who owns a flat together votes once together."""

from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from node.council import refusals, roll, rules, service, voting
from node.council.electorates import Choice, Weight
from node.council.model import Ballot, Vote
from node.council.rules import Channel, Step
from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.ids import derived_id, new_id
from node.residents.model import Resident
from tests.node.council.conftest import VOTERS

MOTION = derived_id("motion", "fund")
FLATS = [("7-1", 9_000), ("7-1", 9_000), ("7-2", 6_000), ("7-3", 5_000), (None, 4_000)]


@pytest.fixture
def owners(database: Database, clock: VirtualClock) -> Database:
    """Four flats: the first belongs to a couple, the last stands in no household."""

    def command(session: Session) -> None:
        for voter_id, (household, area) in zip(VOTERS, FLATS, strict=True):
            owner = session.get_one(Resident, voter_id)
            owner.household, owner.is_owner, owner.floor_area_dm2 = (
                household,
                True,
                area,
            )

    database.do(command)
    return database


def walk(database: Database, clock: VirtualClock, *steps: Step) -> None:
    database.do(
        lambda session: service.propose(
            session,
            clock,
            motion_id=MOTION,
            title="New lift",
            text="From the fund.",
            electorate="owners",
            matter="fund_use",
        )
    )
    for step in steps:
        if step is Step.ASSEMBLY:
            clock.advance(rules.PUBLICITY_TIME_MIN)
        take(database, clock, step)


def take(database: Database, clock: VirtualClock, step: Step) -> None:
    database.do(lambda session: service.take_step(session, clock, motion_id=MOTION, to=step))


def cast(database: Database, clock: VirtualClock, voter_id: UUID, choice: Choice) -> Ballot:
    return database.do(
        lambda session: voting.cast(
            session,
            clock,
            ballot_id=new_id(),
            motion_id=MOTION,
            voter_id=voter_id,
            choice=choice,
            channel=Channel.WEB,
        )
    )


def close(database: Database, clock: VirtualClock) -> Vote:
    return database.do(lambda session: voting.close_vote(session, clock, motion_id=MOTION))


WAY = (Step.SCREENING, Step.PUBLICITY, Step.ASSEMBLY)


def test_a_couple_has_one_vote_of_its_flats_size(owners: Database, clock: VirtualClock) -> None:
    walk(owners, clock, *WAY)
    with owners.read() as session:
        vote = voting.open_vote(session, MOTION)
        assert vote is not None
        assert voting.on_roll(vote) == Weight(4, 24_000)
        assert "7-1" not in roll.published(session, vote)
    cast(owners, clock, VOTERS[0], Choice.YES)
    with pytest.raises(refusals.CoOwnerVoted):
        cast(owners, clock, VOTERS[1], Choice.NO)
    with pytest.raises(refusals.AlreadyVoted):
        cast(owners, clock, VOTERS[0], Choice.NO)


def test_heads_without_area_do_not_carry(owners: Database, clock: VirtualClock) -> None:
    walk(owners, clock, *WAY)
    for voter_id in (VOTERS[2], VOTERS[3], VOTERS[4]):
        cast(owners, clock, voter_id, Choice.YES)
    clock.advance(rules.VOTING_TIME)
    vote = close(owners, clock)
    counted = voting.result(vote)
    assert counted is not None
    assert counted.yes == Weight(3, 15_000)
    assert (vote.has_quorum, vote.is_carried) == (False, False)  # 15,000 of 24,000 is under 2/3


def test_two_thirds_of_both_and_more_than_half_carry(owners: Database, clock: VirtualClock) -> None:
    walk(owners, clock, *WAY)
    cast(owners, clock, VOTERS[1], Choice.YES)
    cast(owners, clock, VOTERS[2], Choice.YES)
    cast(owners, clock, VOTERS[3], Choice.NO)
    clock.advance(rules.VOTING_TIME)
    vote = close(owners, clock)
    assert (vote.yes_area_dm2, vote.has_quorum, vote.is_carried) == (
        15_000,
        True,
        True,
    )


def test_a_flat_of_unknown_size_stops_the_vote(owners: Database, clock: VirtualClock) -> None:
    def forget(session: Session) -> None:
        owner = session.get_one(Resident, VOTERS[3])
        owner.floor_area_dm2 = None

    owners.do(forget)
    with pytest.raises(refusals.AreaMissing, match="1 owners"):
        walk(owners, clock, *WAY)
    with owners.read() as session:
        assert voting.open_vote(session, MOTION) is None


def test_without_owners_there_is_no_owners_vote(database: Database, clock: VirtualClock) -> None:
    with pytest.raises(refusals.NobodyOnRoll):
        walk(database, clock, *WAY)
