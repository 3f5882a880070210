"""Open a vote, cast in it, close it: one tally over web, desk and proxy, nobody counted twice."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from node.council import motions, proxies, roll, rules
from node.council.electorates import (
    MATTERS,
    STRAW_RULE,
    Choice,
    DecisionRule,
    Tally,
    Weight,
    decide,
    tally,
)
from node.council.events import MotionCarried, MotionClosed, VotingClosing, VotingOpened
from node.council.model import Ballot, Motion, RollEntry, Vote
from node.council.refusals import (
    AlreadyVoted,
    CoOwnerVoted,
    NoOpenVote,
    NotOnRoll,
    VoteBeingCounted,
    VoteNotOver,
    VoteStillOpen,
    VotingEnded,
)
from node.council.roll import Voter
from node.council.rules import Channel, Step, VoteKind
from node.kernel.errors import BadInput, IdReused, WrongState
from node.kernel.events import record
from node.kernel.ports import Clock

SALT_BYTES = 16
_LINE_AND_VOTER = (  # a line of the roll and who has voted for its unit, in one look
    select(RollEntry.unit, RollEntry.area_dm2, Ballot.voter_id)
    .outerjoin(Ballot, (Ballot.vote_id == RollEntry.vote_id) & (Ballot.unit == RollEntry.unit))
    .where(RollEntry.vote_id == bindparam("vote"), RollEntry.voter_id == bindparam("voter"))
)


class Published(NamedTuple):
    """One line of the list that is open to all after the close."""

    receipt: str
    choice: str


def ask(session: Session, clock: Clock, *, motion_id: UUID, vote_id: UUID) -> Vote:
    """Open a straw vote on a motion that is still being collected; it binds nobody."""
    known = session.get(Vote, vote_id)
    if known is not None:
        if (known.motion_id, known.kind) != (motion_id, VoteKind.STRAW):
            raise IdReused(id=str(vote_id))
        return known
    motion = motions.find(session, motion_id)
    if motion.step != Step.COLLECTING:
        raise WrongState(what="motion", state=motion.step, needed=Step.COLLECTING.value)
    if open_vote(session, motion_id) is not None:
        raise VoteStillOpen
    return start(session, clock, motion, vote_id, VoteKind.STRAW)


def start(session: Session, clock: Clock, motion: Motion, vote_id: UUID, kind: VoteKind) -> Vote:
    """Freeze the roll and let the voting begin, on the motion's terms."""
    is_straw, now = kind is VoteKind.STRAW, clock.now()
    electorate = motions.electorate_of(motion)
    voters = roll.electorate(session, electorate, this_year=now.year)
    rule = STRAW_RULE if is_straw else MATTERS[motion.matter].rule
    weight, salt = voters.weight, secrets.token_hex(SALT_BYTES)
    vote = Vote(
        id=vote_id,
        motion_id=motion.id,
        kind=kind.value,
        electorate=electorate.value,
        rule=rule.as_data(),
        is_secret=motion.is_secret and not is_straw,
        opened_at=now,
        ends_at=None if is_straw else now + timedelta(days=motion.voting_days),
        on_roll=weight.heads,
        roll_area_dm2=weight.area_dm2,
        roll_sha256=voters.sha256(salt),
        salt=salt,
    )
    session.add(vote)
    session.flush()
    roll.freeze(session, vote_id, voters)
    if vote.ends_at is not None:
        record(session, VotingOpened(motion.id, vote_id, electorate.value, now, vote.ends_at))
    return vote


def cast(
    session: Session,
    clock: Clock,
    *,
    ballot_id: UUID,
    motion_id: UUID,
    voter_id: UUID,
    choice: Choice,
    channel: Channel,
    holder_id: UUID | None = None,
    recorded_by: UUID | None = None,
) -> Ballot:
    """Put in one voter's open ballot, once, whatever the channel; returns it with its receipt."""
    known = session.get(Ballot, ballot_id)
    if known is not None:
        same = (known.voter_id, known.choice, known.holder_id) == (voter_id, choice, holder_id)
        if not (same and session.get_one(Vote, known.vote_id).motion_id == motion_id):
            raise IdReused(id=str(ballot_id))
        return known
    vote = running_vote(session, clock, motion_id)
    if vote.is_secret:
        raise WrongState(what="vote", state="secret", needed="open")
    receipt = rules.receipt(ballot_id, choice=choice)
    return enter_ballot(
        session,
        clock,
        vote,
        ballot_id=ballot_id,
        voter_id=voter_id,
        choice=choice,
        channel=channel,
        holder_id=holder_id,
        recorded_by=recorded_by,
        receipt=receipt,
    )


def enter_ballot(
    session: Session,
    clock: Clock,
    vote: Vote,
    *,
    ballot_id: UUID,
    voter_id: UUID,
    choice: Choice | None,
    channel: Channel,
    holder_id: UUID | None,
    recorded_by: UUID | None,
    receipt: str,
) -> Ballot:
    """Mark this voter's unit as voted, after every check that open and secret votes share."""
    line = may_vote(session, vote, voter_id)
    if (channel is Channel.PROXY) != (holder_id is not None):
        raise BadInput(field="holder_id", problem="a proxy, and only a proxy, names its holder")
    if holder_id is not None:
        proxies.use(
            session, clock, motion_id=vote.motion_id, grantor_id=voter_id, holder_id=holder_id
        )
    ballot = Ballot(
        id=ballot_id,
        vote_id=vote.id,
        voter_id=voter_id,
        unit=line.unit,
        area_dm2=line.area_dm2,
        choice=choice.value if choice else None,
        channel=channel.value,
        holder_id=holder_id,
        recorded_by=recorded_by,
        cast_at=clock.now(),
        receipt=receipt,
    )
    session.add(ballot)
    session.flush()
    return ballot


def may_vote(session: Session, vote: Vote, voter_id: UUID) -> Voter:
    """The voter's line of the roll; refuses who is not on it, and whose unit has voted."""
    found = session.execute(_LINE_AND_VOTER, {"vote": vote.id, "voter": voter_id}).first()
    if found is None:
        raise NotOnRoll
    unit, area_dm2, voted = found
    if voted is not None:
        raise AlreadyVoted if voted == voter_id else CoOwnerVoted
    return Voter(voter_id, unit, area_dm2)


def running_vote(session: Session, clock: Clock, motion_id: UUID) -> Vote:
    """The vote that takes ballots now; refuses before it, after it, and while it is counted."""
    vote = open_vote(session, motion_id)
    if vote is None:
        motions.find(session, motion_id)
        raise NoOpenVote
    if vote.counting_since is not None:
        raise VoteBeingCounted
    if vote.ends_at is not None and clock.now() >= vote.ends_at:
        raise VotingEnded
    return vote


def close_vote(
    session: Session, clock: Clock, *, motion_id: UUID, closed_by: UUID | None = None
) -> Vote:
    """Count the open vote and publish the result; a binding one becomes the resolution.

    A binding vote closes when its time is over or everybody has voted, so that nobody can end it
    while it happens to suit them. A secret one takes no more ballots from here on and waits for
    its trustees. Closing again finds the last result.
    """
    motions.find(session, motion_id)
    vote = open_vote(session, motion_id)
    if vote is None:
        closed = last_vote(session, motion_id)
        if closed is None:
            raise NoOpenVote
        return closed
    if vote.counting_since is not None:
        return vote
    counted = _count(session, vote)
    is_over = vote.ends_at is None or clock.now() >= vote.ends_at
    if vote.ends_at is not None and not is_over and cast_count(session, vote) < vote.on_roll:
        raise VoteNotOver(until=rules.in_words(vote.ends_at))
    if vote.is_secret:
        vote.counting_since = clock.now()
        return vote
    return finish(session, clock, vote, counted, closed_by=closed_by)


def finish(
    session: Session, clock: Clock, vote: Vote, counted: Tally, *, closed_by: UUID | None = None
) -> Vote:
    """Write the result down, once, and tell what follows from it."""
    vote.closed_at = clock.now()
    vote.yes, vote.yes_area_dm2 = (
        counted.yes.heads,
        counted.yes.area_dm2,
    )
    vote.no, vote.no_area_dm2 = counted.no.heads, counted.no.area_dm2
    vote.abstain, vote.abstain_area_dm2 = (
        counted.abstain.heads,
        counted.abstain.area_dm2,
    )
    vote.has_quorum, vote.is_carried = counted.has_quorum, counted.is_carried
    if vote.kind == VoteKind.BINDING:
        motion = motions.find(session, vote.motion_id)
        motion.is_carried = counted.is_carried
        motions.enter(session, clock, motion, Step.RESOLVED, closed_by)
        if counted.is_carried:
            record(session, MotionCarried(motion.id, motion.rule_change))
        record(session, MotionClosed(motion.id, is_carried=counted.is_carried))
    session.flush()
    return vote


def due(session: Session, clock: Clock) -> Sequence[UUID]:
    """Motions whose vote is over, or closes soon and nobody was reminded yet."""
    now = clock.now()
    soon = Vote.reminded_at.is_(None) & (Vote.ends_at <= now + rules.REMINDER_TIME)
    query = select(Vote.motion_id).where(
        Vote.closed_at.is_(None), Vote.counting_since.is_(None), (Vote.ends_at <= now) | soon
    )
    return session.scalars(query.order_by(Vote.ends_at)).all()


def tend(session: Session, clock: Clock, *, motion_id: UUID) -> None:
    """Close this vote if it is over, or say once that it closes soon: the clock ends a vote."""
    vote, now = open_vote(session, motion_id), clock.now()
    if vote is None or vote.ends_at is None or vote.counting_since is not None:
        return
    if now >= vote.ends_at:
        close_vote(session, clock, motion_id=motion_id)
    elif vote.reminded_at is None and now >= vote.ends_at - rules.REMINDER_TIME:
        vote.reminded_at = now
        record(session, VotingClosing(motion_id, vote.id, vote.ends_at))


def result(vote: Vote) -> Tally | None:
    """The count of a closed vote; None while it is open."""
    if vote.closed_at is None:
        return None
    weights = (
        Weight(vote.yes or 0, vote.yes_area_dm2 or 0),
        Weight(vote.no or 0, vote.no_area_dm2 or 0),
        Weight(vote.abstain or 0, vote.abstain_area_dm2 or 0),
    )
    return decide(dict(zip(Choice, weights, strict=True)), roll=on_roll(vote), rule=rule_of(vote))


def decide_heads(vote: Vote, heads: Mapping[Choice, int]) -> Tally:
    """What a count of heads alone, such as a secret vote's, decides."""
    counted = {choice: Weight(number) for choice, number in heads.items()}
    return decide(counted, roll=on_roll(vote), rule=rule_of(vote))


def on_roll(vote: Vote) -> Weight:
    """What the whole roll weighs."""
    return Weight(vote.on_roll, vote.roll_area_dm2)


def rule_of(vote: Vote) -> DecisionRule:
    """The rule that was frozen into this vote."""
    return DecisionRule.of_data(vote.rule)


def votes(session: Session, motion_id: UUID) -> Sequence[Vote]:
    """The votes on a motion, first one first."""
    query = select(Vote).where(Vote.motion_id == motion_id)
    return session.scalars(query.order_by(Vote.opened_at, Vote.id)).all()


def open_vote(session: Session, motion_id: UUID) -> Vote | None:
    """The vote that runs or is being counted now, if one is."""
    query = select(Vote).where(Vote.motion_id == motion_id, Vote.closed_at.is_(None))
    return session.scalar(query)


def open_votes(session: Session) -> dict[UUID, Vote]:
    """Every vote that runs or is being counted now, by its motion."""
    running = session.scalars(select(Vote).where(Vote.closed_at.is_(None)))
    return {vote.motion_id: vote for vote in running}


def last_vote(session: Session, motion_id: UUID) -> Vote | None:
    """The vote on a motion that was closed last, if one was."""
    query = select(Vote).where(Vote.motion_id == motion_id, Vote.closed_at.is_not(None))
    return session.scalars(query.order_by(Vote.closed_at.desc(), Vote.id).limit(1)).first()


def voter_of_unit(session: Session, *, vote_id: UUID, unit: UUID) -> UUID | None:
    """Who put in the ballot of this unit; None while it is not in."""
    query = select(Ballot.voter_id).where(Ballot.vote_id == vote_id, Ballot.unit == unit)
    return session.scalar(query)


def has_voted(session: Session, *, vote_id: UUID, voter_id: UUID) -> bool:
    """Is the ballot of this voter's unit in?"""
    line = roll.entry(session, vote_id=vote_id, voter_id=voter_id)
    return line is not None and voter_of_unit(session, vote_id=vote_id, unit=line.unit) is not None


def cast_count(session: Session, vote: Vote) -> int:
    """How many units have voted."""
    return session.scalars(select(func.count()).where(Ballot.vote_id == vote.id)).one()


def published_ballots(session: Session, vote: Vote) -> list[Published]:
    """Receipts and choices of an open vote, to count again; empty until the close."""
    if vote.closed_at is None or vote.is_secret:
        return []
    query = select(Ballot.receipt, Ballot.choice).where(Ballot.vote_id == vote.id)
    rows = session.execute(query.order_by(Ballot.receipt))
    return [Published(receipt, choice or "") for receipt, choice in rows]


def _count(session: Session, vote: Vote) -> Tally:
    query = select(Ballot.choice, Ballot.area_dm2).where(
        Ballot.vote_id == vote.id, Ballot.choice.is_not(None)
    )
    ballots = [(Choice(str(choice)), area) for choice, area in session.execute(query)]
    return tally(ballots, roll=on_roll(vote), rule=rule_of(vote))
