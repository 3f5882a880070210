"""Move, screen, publish, vote, resolve, carry out, report: always in the caller's transaction."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.council import rules, tasks
from node.council.events import MotionCarried, MotionClosed, MotionProposed
from node.council.model import Ballot, Motion, RollEntry, StepChange, Vote
from node.council.refusals import (
    AlreadyVoted,
    NoOpenVote,
    NotOnRoll,
    PublicityTooShort,
    StepNotNext,
    TooManyProxies,
    VoteNotOver,
    VoteStillOpen,
    VotingEnded,
    WorkItemsMissing,
    WorkItemsOpen,
)
from node.council.rules import Channel, Choice, Step, Tally, VoteKind
from node.kernel.errors import BadInput, IdReused, NotFound, WrongState
from node.kernel.events import record
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.residents.model import Resident

PAGE_ROWS = 50  # motions on one page


class Published(NamedTuple):
    """One line of the list that is open to all after the close."""

    receipt: str
    choice: str


def propose(
    session: Session,
    clock: Clock,
    *,
    motion_id: UUID,
    title: str,
    text: str,
    electorate: str = "residents",
    rule_change: Mapping[str, Any] | None = None,
    proposed_by: UUID | None = None,
    recorded_by: UUID | None = None,
) -> Motion:
    """Move a motion. Who would have to adopt its `rule_change` refuses an impossible one here."""
    title, text = title.strip(), text.strip()
    known = session.get(Motion, motion_id)
    if known is not None:
        kept = (known.title, known.text, known.electorate, known.rule_change)
        if kept != (title, text, electorate, rule_change):
            raise IdReused(id=str(motion_id))
        return known
    rules.check_length("title", title, rules.TITLE_LENGTH_MAX)
    rules.check_length("text", text, rules.TEXT_LENGTH_MAX)
    if electorate not in rules.ELECTORATES:
        raise BadInput(field="electorate", problem="only residents can be asked")
    if rule_change is not None and len(json.dumps(rule_change)) > rules.RULE_CHANGE_BYTES_MAX:
        raise BadInput(field="rule_change", problem="this is too long")
    motion = Motion(
        id=motion_id,
        title=title,
        text=text,
        electorate=electorate,
        decision_rule=rules.RESIDENTS_RULE.code,
        rule_change=dict(rule_change) if rule_change is not None else None,
        proposed_by=proposed_by,
        recorded_by=recorded_by,
        proposed_at=clock.now(),
        note="",
    )
    session.add(motion)
    session.flush()
    _enter(session, clock, motion, Step.COLLECTING, recorded_by)
    record(session, MotionProposed(motion_id=motion_id, rule_change=motion.rule_change))
    return motion


def take_step(
    session: Session,
    clock: Clock,
    *,
    motion_id: UUID,
    to: Step,
    note: str = "",
    taken_by: UUID | None = None,
) -> Motion:
    """Bring a motion to the next of its seven steps; refuses every skip, and publicity cut short.

    `note` is what everybody may read: why it was declined, or what came of it.
    """
    motion = find(session, motion_id)
    if motion.step == to:
        return motion
    step = Step(motion.step)
    possible = rules.next_steps(step, is_carried=motion.is_carried)
    if to not in possible:
        names = ", ".join(sorted(possible)) or "-"
        raise StepNotNext(step=step.value, possible=names)
    if open_vote(session, motion_id) is not None:
        raise VoteStillOpen
    _check_ready(session, clock, motion, to)
    if to in (Step.DECLINED, Step.FEEDBACK):
        rules.check_length("note", note.strip(), rules.TEXT_LENGTH_MAX)
        motion.note = note.strip()
    if to is Step.PUBLICITY:
        motion.publicity_started_at = clock.now()
    _enter(session, clock, motion, to, taken_by)
    if to is Step.ASSEMBLY:
        vote_id = derived_id("vote", motion_id, VoteKind.BINDING)
        _open_vote(session, clock, motion, vote_id, VoteKind.BINDING)
    return motion


def ask(session: Session, clock: Clock, *, motion_id: UUID, vote_id: UUID) -> Vote:
    """Open a straw vote on a motion that is still being collected; it binds nobody."""
    known = session.get(Vote, vote_id)
    if known is not None:
        if (known.motion_id, known.kind) != (motion_id, VoteKind.STRAW):
            raise IdReused(id=str(vote_id))
        return known
    motion = find(session, motion_id)
    if motion.step != Step.COLLECTING:
        raise WrongState(what="motion", state=motion.step, needed=Step.COLLECTING.value)
    if open_vote(session, motion_id) is not None:
        raise VoteStillOpen
    return _open_vote(session, clock, motion, vote_id, VoteKind.STRAW)


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
    """Put in one voter's ballot, once, whatever the channel; returns it with its receipt."""
    known = session.get(Ballot, ballot_id)
    if known is not None:
        same = (known.voter_id, known.choice, known.holder_id) == (voter_id, choice, holder_id)
        if not (same and session.get_one(Vote, known.vote_id).motion_id == motion_id):
            raise IdReused(id=str(ballot_id))
        return known
    find(session, motion_id)
    vote = open_vote(session, motion_id)
    if vote is None:
        raise NoOpenVote
    if vote.ends_at is not None and clock.now() >= vote.ends_at:
        raise VotingEnded
    if session.get(RollEntry, (vote.id, voter_id)) is None:
        raise NotOnRoll
    if has_voted(session, vote_id=vote.id, voter_id=voter_id):
        raise AlreadyVoted
    _check_proxy(session, vote, channel, voter_id=voter_id, holder_id=holder_id)
    ballot = Ballot(
        id=ballot_id,
        vote_id=vote.id,
        voter_id=voter_id,
        choice=choice.value,
        channel=channel.value,
        holder_id=holder_id,
        recorded_by=recorded_by,
        cast_at=clock.now(),
        receipt=rules.receipt(ballot_id, choice=choice),
    )
    session.add(ballot)
    session.flush()
    return ballot


def close_vote(
    session: Session, clock: Clock, *, motion_id: UUID, closed_by: UUID | None = None
) -> Vote:
    """Count the open vote and publish the result; a binding one becomes the resolution.

    A binding vote closes when its time is over or everybody has voted, so that nobody can end it
    while it happens to suit them. Closing again finds the last result.
    """
    motion = find(session, motion_id)
    vote = open_vote(session, motion_id)
    if vote is None:
        closed = last_vote(session, motion_id)
        if closed is None:
            raise NoOpenVote
        return closed
    counted = _count(session, vote)
    if vote.ends_at is not None and clock.now() < vote.ends_at and counted.cast < vote.on_roll:
        raise VoteNotOver(until=rules.in_words(vote.ends_at))
    vote.closed_at = clock.now()
    vote.yes, vote.no, vote.abstain = counted.yes, counted.no, counted.abstain
    vote.has_quorum, vote.is_carried = counted.has_quorum, counted.is_carried
    if vote.kind == VoteKind.BINDING:
        motion.is_carried = counted.is_carried
        _enter(session, clock, motion, Step.RESOLVED, closed_by)
        if counted.is_carried:
            record(session, MotionCarried(motion_id=motion_id, rule_change=motion.rule_change))
        record(session, MotionClosed(motion_id=motion_id, is_carried=counted.is_carried))
    session.flush()
    return vote


def find(session: Session, motion_id: UUID) -> Motion:
    """The motion with this id; refuses an unknown one."""
    motion = session.get(Motion, motion_id)
    if motion is None:
        raise NotFound(what="motion", id=str(motion_id))
    return motion


def motions(session: Session, *, limit: int = PAGE_ROWS) -> Sequence[Motion]:
    """All motions, newest first."""
    query = select(Motion).order_by(Motion.proposed_at.desc(), Motion.id.desc())
    return session.scalars(query.limit(limit)).all()


def steps_taken(session: Session, motion_id: UUID) -> Sequence[StepChange]:
    """The way of a motion so far, first step first."""
    query = select(StepChange).where(StepChange.motion_id == motion_id)
    return session.scalars(query.order_by(StepChange.id)).all()


def votes(session: Session, motion_id: UUID) -> Sequence[Vote]:
    """The votes on a motion, first one first."""
    query = select(Vote).where(Vote.motion_id == motion_id)
    return session.scalars(query.order_by(Vote.opened_at, Vote.id)).all()


def open_vote(session: Session, motion_id: UUID) -> Vote | None:
    """The vote that runs now, if one does."""
    query = select(Vote).where(Vote.motion_id == motion_id, Vote.closed_at.is_(None))
    return session.scalar(query)


def open_votes(session: Session) -> dict[UUID, Vote]:
    """Every vote that runs now, by its motion."""
    running = session.scalars(select(Vote).where(Vote.closed_at.is_(None)))
    return {vote.motion_id: vote for vote in running}


def last_vote(session: Session, motion_id: UUID) -> Vote | None:
    """The vote on a motion that was closed last, if one was."""
    query = select(Vote).where(Vote.motion_id == motion_id, Vote.closed_at.is_not(None))
    return session.scalars(query.order_by(Vote.closed_at.desc(), Vote.id).limit(1)).first()


def is_on_roll(session: Session, *, vote_id: UUID, voter_id: UUID) -> bool:
    """May this resident vote in this vote?"""
    return session.get(RollEntry, (vote_id, voter_id)) is not None


def has_voted(session: Session, *, vote_id: UUID, voter_id: UUID) -> bool:
    """Is this resident's ballot in?"""
    query = select(Ballot.id).where(Ballot.vote_id == vote_id, Ballot.voter_id == voter_id)
    return session.scalar(query) is not None


def published_ballots(session: Session, vote: Vote) -> list[Published]:
    """Receipts and choices, so that anyone can count again; empty while the vote is open."""
    if vote.closed_at is None:
        return []
    query = select(Ballot.receipt, Ballot.choice).where(Ballot.vote_id == vote.id)
    return [Published(*row) for row in session.execute(query.order_by(Ballot.receipt))]


def _open_vote(
    session: Session, clock: Clock, motion: Motion, vote_id: UUID, kind: VoteKind
) -> Vote:
    voters = _electorate(session, this_year=clock.now().year)
    is_straw = kind is VoteKind.STRAW
    vote = Vote(
        id=vote_id,
        motion_id=motion.id,
        kind=kind.value,
        decision_rule=rules.STRAW_RULE.code if is_straw else motion.decision_rule,
        opened_at=clock.now(),
        ends_at=None if is_straw else clock.now() + rules.VOTING_TIME,
        on_roll=len(voters),
        roll_sha256=rules.roll_hash(voters),
    )
    session.add(vote)
    session.flush()
    session.add_all(RollEntry(vote_id=vote_id, voter_id=voter_id) for voter_id in voters)
    session.flush()
    return vote


def _electorate(session: Session, *, this_year: int) -> list[UUID]:
    query = select(Resident.id, Resident.birth_year).order_by(Resident.id)
    return [
        resident_id
        for resident_id, birth_year in session.execute(query)
        if rules.is_eligible(birth_year, this_year=this_year)
    ]


def _count(session: Session, vote: Vote) -> Tally:
    query = select(Ballot.choice).where(Ballot.vote_id == vote.id)
    choices = [Choice(choice) for choice in session.scalars(query)]
    return rules.tally(choices, on_roll=vote.on_roll, rule=rules.DECISION_RULES[vote.decision_rule])


def _check_proxy(
    session: Session, vote: Vote, channel: Channel, *, voter_id: UUID, holder_id: UUID | None
) -> None:
    if (channel is Channel.PROXY) != (holder_id is not None):
        raise BadInput(field="holder_id", problem="a proxy, and only a proxy, names its holder")
    if holder_id is None:
        return
    if holder_id == voter_id or not is_on_roll(session, vote_id=vote.id, voter_id=holder_id):
        raise BadInput(field="holder_id", problem="the holder is another voter on the roll")
    carried = select(func.count()).where(Ballot.vote_id == vote.id, Ballot.holder_id == holder_id)
    if session.scalars(carried).one() >= rules.PROXIES_PER_HOLDER_MAX:
        raise TooManyProxies(limit=rules.PROXIES_PER_HOLDER_MAX)


def _check_ready(session: Session, clock: Clock, motion: Motion, to: Step) -> None:
    if to is Step.ASSEMBLY:
        assert motion.publicity_started_at is not None, "publicity began before it ends"
        until = rules.publicity_ends(motion.publicity_started_at)
        if clock.now() < until:
            raise PublicityTooShort(days=rules.PUBLICITY_TIME_MIN.days, until=rules.in_words(until))
    items = tasks.work_items(session, motion.id)
    if to is Step.EXECUTING and not items:
        raise WorkItemsMissing
    if to is Step.FEEDBACK and (left := [item for item in items if item.done_at is None]):
        raise WorkItemsOpen(open=len(left))


def _enter(
    session: Session, clock: Clock, motion: Motion, step: Step, changed_by: UUID | None
) -> None:
    motion.step = step.value
    session.add(
        StepChange(
            motion_id=motion.id,
            step=step.value,
            changed_at=clock.now(),
            changed_by=changed_by,
        )
    )
