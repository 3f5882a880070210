"""A motion walks its seven steps on a clock we turn; a straw vote binds nobody; one vote each."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import wait
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from node.council import motions, proxies, refusals, roll, rules, sealing, service, tasks, voting
from node.council.electorates import Choice
from node.council.events import MotionCarried, MotionClosed, MotionProposed, VotingClosing
from node.council.model import Ballot, Motion, Vote, VotingProxy, WorkItem
from node.council.rules import Channel, Step, VoteKind
from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.errors import BadInput, DomainError, IdReused, WrongState
from node.kernel.events import Event
from node.kernel.ids import derived_id, new_id
from node.kernel.ports import Clock
from tests.node.council.conftest import CHILD, SECRETARY, VOTERS, Heard, join

MOTION = derived_id("motion", "charging")
CHANGE = {"activities": {"waste_sorting": {"points": 15}}}


class Council:
    """Says the service's functions to a database, for short tests."""

    def __init__(self, database: Database, clock: VirtualClock) -> None:
        self.database, self.clock = database, clock

    def propose(self, title: str = "Charging points for bicycles") -> Motion:
        return self.database.do(
            lambda session: service.propose(
                session,
                self.clock,
                motion_id=MOTION,
                title=title,
                text="Ten of them between houses 3 and 5.",
                rule_change=CHANGE,
                proposed_by=VOTERS[0],
            )
        )

    def step(self, to: Step, *, note: str = "") -> Motion:
        return self.database.do(
            lambda session: service.take_step(
                session, self.clock, motion_id=MOTION, to=to, note=note, taken_by=SECRETARY
            )
        )

    def ask(self, name: str = "straw") -> Vote:
        vote_id = derived_id(name)
        return self.database.do(
            lambda session: voting.ask(session, self.clock, motion_id=MOTION, vote_id=vote_id)
        )

    def cast(
        self,
        voter_id: UUID,
        choice: Choice = Choice.YES,
        *,
        ballot_id: UUID | None = None,
        channel: Channel = Channel.WEB,
        holder_id: UUID | None = None,
    ) -> Ballot:
        command = self.casting(voter_id, choice, ballot_id or new_id(), channel, holder_id)
        return self.database.do(command)

    def casting(
        self,
        voter_id: UUID,
        choice: Choice,
        ballot_id: UUID,
        channel: Channel = Channel.WEB,
        holder_id: UUID | None = None,
    ) -> Callable[[Session], Ballot]:
        return lambda session: voting.cast(
            session,
            self.clock,
            ballot_id=ballot_id,
            motion_id=MOTION,
            voter_id=voter_id,
            choice=choice,
            channel=channel,
            holder_id=holder_id,
        )

    def close(self) -> Vote:
        return self.database.do(
            lambda session: voting.close_vote(session, self.clock, motion_id=MOTION)
        )

    def add_task(self, name: str = "task") -> WorkItem:
        return self.database.do(
            lambda session: tasks.add_work_item(
                session,
                self.clock,
                item_id=derived_id(name),
                motion_id=MOTION,
                title="Put them up",
                owner="property",
                due_on=date(2026, 6, 1),
            )
        )

    def give(self, grantor_id: UUID, holder_id: UUID, name: str = "") -> VotingProxy:
        return self.database.do(
            lambda session: proxies.give(
                session,
                self.clock,
                proxy_id=derived_id("proxy", name, grantor_id, holder_id),
                motion_id=MOTION,
                grantor_id=grantor_id,
                holder_id=holder_id,
                is_paper=True,
            )
        )

    def revoke(self, proxy: VotingProxy) -> VotingProxy:
        return self.database.do(
            lambda session: proxies.revoke(session, self.clock, proxy_id=proxy.id)
        )

    def to_assembly(self) -> None:
        """Walk to the open binding vote, waiting the seven days."""
        self.propose()
        self.step(Step.SCREENING)
        self.step(Step.PUBLICITY)
        self.clock.advance(rules.PUBLICITY_TIME_MIN)
        self.step(Step.ASSEMBLY)


@pytest.fixture
def council(database: Database, clock: VirtualClock) -> Council:
    return Council(database, clock)


def test_all_seven_steps_with_a_binding_vote(council: Council, heard: Heard) -> None:
    council.to_assembly()
    for voter_id in VOTERS[:3]:
        council.cast(voter_id)
    council.clock.advance(rules.VOTING_TIME)
    vote = council.close()
    assert (vote.yes, vote.on_roll, vote.has_quorum, vote.is_carried) == (3, 5, True, True)
    with pytest.raises(refusals.WorkItemsMissing):
        council.step(Step.EXECUTING)
    task = council.add_task()
    council.step(Step.EXECUTING)
    with pytest.raises(refusals.WorkItemsOpen, match="1 tasks"):
        council.step(Step.FEEDBACK, note="All ten stand.")
    council.database.do(
        lambda session: tasks.finish_work_item(session, council.clock, item_id=task.id)
    )
    with pytest.raises(BadInput):
        council.step(Step.FEEDBACK)
    assert council.step(Step.FEEDBACK, note="All ten stand.").note == "All ten stand."
    with council.database.read() as session:
        way = [change.step for change in motions.steps_taken(session, MOTION)]
    assert way == [step for step in Step if step is not Step.DECLINED]
    assert heard.events == [
        MotionProposed(MOTION, CHANGE),
        MotionCarried(MOTION, CHANGE),
        MotionClosed(MOTION, is_carried=True),
    ]


def test_publicity_cannot_be_cut_short_by_a_second(council: Council) -> None:
    council.propose()
    council.step(Step.SCREENING)
    council.step(Step.PUBLICITY)
    council.clock.advance(timedelta(days=7) - timedelta(seconds=1))
    with pytest.raises(refusals.PublicityTooShort, match="7 days"):
        council.step(Step.ASSEMBLY)
    council.clock.advance(timedelta(seconds=1))
    assert council.step(Step.ASSEMBLY).step == Step.ASSEMBLY


@pytest.mark.parametrize("to", [step for step in Step if step is not Step.COLLECTING])
def test_a_fresh_motion_can_only_be_screened(council: Council, to: Step) -> None:
    council.propose()
    if to is Step.SCREENING:
        assert council.step(to).step == to
        return
    with pytest.raises(refusals.StepNotNext, match="screening"):
        council.step(to, note="quickly")


def test_a_motion_that_is_not_carried_causes_nothing(council: Council, heard: Heard) -> None:
    council.to_assembly()
    for voter_id in VOTERS[:2]:
        council.cast(voter_id)
    council.clock.advance(rules.VOTING_TIME)
    vote = council.close()
    assert (vote.has_quorum, vote.is_carried) == (False, False)
    with pytest.raises(WrongState):
        council.add_task()
    with pytest.raises(refusals.StepNotNext):
        council.step(Step.EXECUTING)
    council.step(Step.FEEDBACK, note="Too few came.")
    assert [type(event) for event in heard.events] == [MotionProposed, MotionClosed]


def test_a_straw_vote_binds_nobody(council: Council, heard: Heard) -> None:
    council.propose()
    assert council.ask().kind == VoteKind.STRAW
    council.cast(VOTERS[0], channel=Channel.DESK)
    with pytest.raises(refusals.VoteStillOpen):
        council.step(Step.SCREENING)
    vote = council.close()
    assert (vote.yes, vote.is_carried) == (1, True)
    with council.database.read() as session:
        motion = motions.find(session, MOTION)
        assert (motion.step, motion.is_carried) == (Step.COLLECTING, None)
    assert [type(event) for event in heard.events] == [MotionProposed]
    council.step(Step.SCREENING)
    with pytest.raises(WrongState):
        council.ask("second")


def test_nobody_can_end_a_binding_vote_early_unless_all_have_voted(council: Council) -> None:
    council.to_assembly()
    council.cast(VOTERS[0])
    with pytest.raises(refusals.VoteNotOver):
        council.close()
    for voter_id in VOTERS[1:]:
        council.cast(voter_id, Choice.ABSTAIN)
    vote = council.close()
    assert (vote.yes, vote.abstain, vote.is_carried) == (1, 4, False)
    assert council.close().id == vote.id


def test_ballots_after_the_end_are_refused(council: Council) -> None:
    council.to_assembly()
    council.clock.advance(rules.VOTING_TIME)
    with pytest.raises(refusals.VotingEnded):
        council.cast(VOTERS[0])
    council.close()
    with pytest.raises(refusals.NoOpenVote):
        council.cast(VOTERS[0])


def test_the_roll_is_frozen_when_the_vote_opens(council: Council) -> None:
    council.to_assembly()
    late = derived_id("late")
    join(council.database, council.clock, late, 99, 1950)
    for voter_id in (late, CHILD):
        with pytest.raises(refusals.NotOnRoll):
            council.cast(voter_id)
    with council.database.read() as session:
        vote = voting.open_vote(session, MOTION)
        assert vote is not None
        marks = [(rules.mark(vote.salt, voter_id), 0) for voter_id in VOTERS]
        assert (vote.on_roll, vote.roll_sha256) == (5, rules.roll_hash(marks))
        assert roll.published(session, vote) == rules.roll_lines(marks)
        assert roll.mark_of(session, vote, VOTERS[0]) == marks[0][0]
        assert roll.mark_of(session, vote, late) is None


def test_one_vote_each_whatever_the_channel(council: Council) -> None:
    council.to_assembly()
    ballot_id = new_id()
    first = council.cast(VOTERS[0], Choice.NO, ballot_id=ballot_id, channel=Channel.DESK)
    again = council.cast(VOTERS[0], Choice.NO, ballot_id=ballot_id, channel=Channel.DESK)
    assert first.receipt == again.receipt
    with pytest.raises(refusals.AlreadyVoted):
        council.cast(VOTERS[0], Choice.YES)
    with pytest.raises(refusals.AlreadyVoted):
        council.cast(VOTERS[0], channel=Channel.PROXY, holder_id=VOTERS[1])
    with pytest.raises(refusals.AlreadyVoted):
        council.give(VOTERS[0], VOTERS[1])
    with pytest.raises(IdReused):
        council.cast(VOTERS[0], Choice.YES, ballot_id=ballot_id)


def test_racing_ballots_of_one_voter_count_once(council: Council) -> None:
    council.to_assembly()
    answers = [
        council.database.write(council.casting(VOTERS[0], Choice.YES, new_id())) for _ in range(20)
    ]
    wait(answers, timeout=20)
    outcome = Counter(type(answer.exception()) for answer in answers)
    assert outcome == {type(None): 1, refusals.AlreadyVoted: 19}


def test_a_holder_carries_two_written_proxies_and_no_more(council: Council) -> None:
    council.to_assembly()
    with pytest.raises(refusals.ProxyMissing):
        council.cast(VOTERS[1], channel=Channel.PROXY, holder_id=VOTERS[0])
    given = [council.give(voter_id, VOTERS[0]) for voter_id in VOTERS[1:3]]
    assert [proxy.number for proxy in given] == [1, 2]
    assert council.give(VOTERS[1], VOTERS[0]).id == given[0].id
    with pytest.raises(refusals.TooManyProxies):
        council.give(VOTERS[3], VOTERS[0])
    with pytest.raises(refusals.ProxyGiven):
        council.give(VOTERS[1], VOTERS[4])
    with pytest.raises(BadInput):
        council.give(VOTERS[4], VOTERS[4])
    with pytest.raises(BadInput):
        council.cast(VOTERS[3], channel=Channel.PROXY)
    for voter_id in VOTERS[1:3]:
        council.cast(voter_id, channel=Channel.PROXY, holder_id=VOTERS[0])
    with pytest.raises(refusals.ProxyUsed):
        council.revoke(given[0])
    council.cast(VOTERS[0])
    council.cast(VOTERS[3])
    council.cast(VOTERS[4])
    assert council.close().yes == 5


def test_a_proxy_can_be_taken_back_until_it_is_used(council: Council) -> None:
    council.to_assembly()
    proxy = council.give(VOTERS[1], VOTERS[0])
    assert council.revoke(proxy).revoked_at == council.revoke(proxy).revoked_at
    with pytest.raises(refusals.ProxyMissing):
        council.cast(VOTERS[1], channel=Channel.PROXY, holder_id=VOTERS[0])
    council.give(VOTERS[1], VOTERS[2], "second")
    council.cast(VOTERS[1])  # in person after all: the proxy is good for nothing any more
    with pytest.raises(refusals.AlreadyVoted):
        council.cast(VOTERS[1], channel=Channel.PROXY, holder_id=VOTERS[2])


def test_the_clock_reminds_once_and_closes_the_vote(council: Council, heard: Heard) -> None:
    council.to_assembly()
    council.cast(VOTERS[0])

    def sweep() -> None:
        asyncio.run(sealing.tend(council))

    sweep()
    assert not [one for one in heard.events if isinstance(one, VotingClosing)]
    council.clock.advance(rules.VOTING_TIME - rules.REMINDER_TIME)
    sweep()
    sweep()
    assert len([one for one in heard.events if isinstance(one, VotingClosing)]) == 1
    council.clock.advance(rules.REMINDER_TIME)
    sweep()
    with council.database.read() as session:
        vote = voting.last_vote(session, MOTION)
        assert vote is not None
        assert (vote.yes, vote.has_quorum) == (1, False)
        assert motions.find(session, MOTION).step == Step.RESOLVED


def test_a_vote_whose_end_is_refused_holds_up_no_other(
    council: Council, clock: VirtualClock
) -> None:
    council.to_assembly()
    for voter_id in VOTERS[:3]:
        council.cast(voter_id)
    clock.advance(rules.VOTING_TIME)

    def refuse(_session: Session, _clock: Clock, _event: Event) -> None:
        raise Impossible

    strict = Database(council.database.url, clock=clock, reactions={MotionCarried: [refuse]})
    try:
        asyncio.run(sealing.tend(Council(strict, clock)))
        with strict.read() as session:
            assert voting.open_vote(session, MOTION) is not None, "nothing half closed"
    finally:
        strict.close()
    asyncio.run(sealing.tend(council))
    with council.database.read() as session:
        assert motions.find(session, MOTION).is_carried


def test_terms_are_fixed_once_the_motion_is_public(council: Council) -> None:
    def terms(days: int, *, is_secret: bool = False, matter: str = "residents_ordinary") -> Motion:
        return council.database.do(
            lambda session: service.set_terms(
                session,
                motion_id=MOTION,
                matter=matter,
                is_secret=is_secret,
                publicity_days=days,
                voting_days=5,
            )
        )

    council.propose()
    for days in (6, 0, 91):
        with pytest.raises(BadInput):
            terms(days)
    with pytest.raises(refusals.SecretByArea):
        terms(7, matter="fund_use", is_secret=True)
    with pytest.raises(BadInput):
        terms(7, matter="weather")
    assert terms(10).publicity_days == 10
    council.step(Step.SCREENING)
    council.step(Step.PUBLICITY)
    with pytest.raises(refusals.TermsFixed):
        terms(7)
    council.clock.advance(timedelta(days=7))
    with pytest.raises(refusals.PublicityTooShort, match="10 days"):
        council.step(Step.ASSEMBLY)
    council.clock.advance(timedelta(days=3))
    council.step(Step.ASSEMBLY)


def test_results_stay_hidden_until_the_close_and_can_then_be_recounted(council: Council) -> None:
    council.to_assembly()
    ballots = [council.cast(voter_id, Choice.YES) for voter_id in VOTERS[:4]]
    ballots.append(council.cast(VOTERS[4], Choice.NO))
    with council.database.read() as session:
        vote = voting.open_vote(session, MOTION)
        assert vote is not None
        assert (vote.yes, voting.published_ballots(session, vote)) == (None, [])
    vote = council.close()
    with council.database.read() as session:
        published = voting.published_ballots(session, vote)
    assert {line.receipt for line in published} == {ballot.receipt for ballot in ballots}
    assert Counter(line.choice for line in published) == {"yes": 4, "no": 1}


def test_a_motion_said_twice_is_one_and_refuses_other_words(council: Council) -> None:
    council.propose()
    assert council.propose().id == MOTION
    with pytest.raises(IdReused):
        council.propose("Something else")


class Impossible(DomainError):
    code = "test.impossible_change"
    message = "This change cannot be adopted."


def test_who_would_have_to_adopt_a_change_can_refuse_the_motion(
    council: Council, clock: VirtualClock
) -> None:
    def refuse(_session: Session, _clock: Clock, _event: Event) -> None:
        raise Impossible

    strict = Database(council.database.url, clock=clock, reactions={MotionProposed: [refuse]})
    try:
        with pytest.raises(Impossible):
            Council(strict, clock).propose()
        with strict.read() as session:
            assert session.get(Motion, MOTION) is None
    finally:
        strict.close()
