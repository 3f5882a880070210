"""The bar: 10,000 residents vote within a minute of virtual close; exact, and nobody twice."""

import asyncio
import random
import sys
import time
from collections import Counter
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from node.council import refusals, rules, sealing, service, voting
from node.council.electorates import Choice
from node.council.model import Ballot
from node.council.rules import Channel, Step
from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.errors import DomainError
from node.kernel.ids import derived_id
from node.residents.model import Resident

CROWD, TWICE, AT_ONCE = 10_000, 1_000, 512
MOTION = derived_id("motion", "crowd")


@pytest.fixture
def crowd(database_url: str) -> list[UUID]:
    """Ten thousand residents on a fresh database."""
    engine = open_engine(database_url)
    Base.metadata.create_all(engine)
    voters = [derived_id("crowd", number) for number in range(CROWD)]
    now = VirtualClock().now()
    rows = [
        {"id": voter, "name": f"R{number}", "phone": f"13{number:09}", "joined_at": now}
        for number, voter in enumerate(voters)
    ]
    with engine.begin() as connection:
        connection.execute(insert(Resident), rows)
    engine.dispose()
    return voters


def test_ten_thousand_vote_in_the_last_minute(database_url: str, crowd: list[UUID]) -> None:
    clock, chance = VirtualClock(), random.Random(278)  # noqa: S311 (a seeded crowd)
    database = Database(database_url, clock=clock)
    try:
        open_the_vote(database, clock)
        clock.advance(rules.VOTING_TIME - timedelta(minutes=1))
        said = {voter: chance.choice(list(Choice)) for voter in crowd}
        # a thousand press twice, from another device, and half of them something else
        again = [(voter, chance.choice(list(Choice))) for voter in chance.sample(crowd, TWICE)]
        ballots = [(voter, choice, "first") for voter, choice in said.items()]
        ballots += [(voter, choice, "second") for voter, choice in again]
        chance.shuffle(ballots)
        started, worked = time.perf_counter(), time.process_time()
        answers = asyncio.run(vote_all(Office(database, clock), ballots))
        seconds, busy = time.perf_counter() - started, time.process_time() - worked
        sys.stdout.write(
            f"\n{len(ballots)} ballots of {CROWD} residents in {seconds:.1f} s: "
            f"{len(ballots) / seconds:.0f} a second; {busy:.1f} s of processor time: "
            f"{len(ballots) / busy:.0f} a second of it\n"
        )
        assert busy < 60, "a minute of one processor is enough, however busy the others are"
        kept = check_answers(ballots, answers)
        clock.advance(timedelta(minutes=1))
        vote = database.do(lambda session: voting.close_vote(session, clock, motion_id=MOTION))
        assert (vote.yes, vote.no, vote.abstain) == tuple(kept[one] for one in Choice)
        with database.read() as session:
            units = select(func.count(), func.count(Ballot.unit.distinct()))
            assert session.execute(units).one() == (CROWD, CROWD)
    finally:
        database.close()


def open_the_vote(database: Database, clock: VirtualClock) -> None:
    database.do(
        lambda session: service.propose(
            session, clock, motion_id=MOTION, title="Everybody", text="Now."
        )
    )
    for step in (Step.SCREENING, Step.PUBLICITY, Step.ASSEMBLY):
        if step is Step.ASSEMBLY:
            clock.advance(rules.PUBLICITY_TIME_MIN)

        def take(session: Session, step: Step = step) -> object:
            return service.take_step(session, clock, motion_id=MOTION, to=step)

        database.do(take)


class Office(NamedTuple):
    """What the acts of a vote need of a node."""

    database: Database
    clock: VirtualClock


async def vote_all(office: Office, ballots: list[tuple[UUID, Choice, str]]) -> list[str]:
    """Everybody at once, by the way that pages and API take; what each was told."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(voter: UUID, choice: Choice, turn: str) -> str:
        async with gate:
            try:
                return await sealing.vote(
                    office,
                    ballot_id=derived_id("ballot", voter, turn),
                    motion_id=MOTION,
                    voter_id=voter,
                    choice=choice,
                    channel=Channel.WEB,
                )
            except DomainError as refusal:
                return refusal.code

    return await asyncio.gather(*(one(*ballot) for ballot in ballots))


def check_answers(ballots: list[tuple[UUID, Choice, str]], answers: list[str]) -> Counter[Choice]:
    """Each voter got one receipt, everything else was refused; the choices that were kept."""
    kept: Counter[Choice] = Counter()
    times: Counter[UUID] = Counter()
    for (voter, choice, turn), answer in zip(ballots, answers, strict=True):
        if answer == refusals.AlreadyVoted.code:
            continue
        assert answer == rules.receipt(derived_id("ballot", voter, turn), choice=choice)
        kept[choice] += 1
        times[voter] += 1
    assert set(times.values()) == {1}
    assert len(times) == CROWD
    return kept
