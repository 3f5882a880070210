"""Move a motion, set its terms, take it through its seven steps: in the caller's transaction."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from node.council import motions, rules, tasks, voting
from node.council.electorates import MATTER_DEFAULT, MATTERS, Electorate
from node.council.events import MotionProposed, PublicityStarted, ResultFedBack
from node.council.model import Motion
from node.council.refusals import (
    PublicityTooShort,
    SecretByArea,
    StepNotNext,
    TermsFixed,
    VoteStillOpen,
    WorkItemsMissing,
    WorkItemsOpen,
)
from node.council.rules import Step, VoteKind
from node.kernel.errors import BadInput, IdReused
from node.kernel.events import record
from node.kernel.ids import derived_id
from node.kernel.ports import Clock


def propose(
    session: Session,
    clock: Clock,
    *,
    motion_id: UUID,
    title: str,
    text: str,
    electorate: str = Electorate.RESIDENTS.value,
    matter: str | None = None,
    is_secret: bool = False,
    rule_change: Mapping[str, Any] | None = None,
    proposed_by: UUID | None = None,
    recorded_by: UUID | None = None,
) -> Motion:
    """Move a motion. Who would have to adopt its `rule_change` refuses an impossible one here."""
    title, text = title.strip(), text.strip()
    code = matter or _matter_for(electorate)
    known = session.get(Motion, motion_id)
    if known is not None:
        if (known.title, known.text, known.rule_change) != (title, text, rule_change):
            raise IdReused(id=str(motion_id))
        return known
    rules.check_length("title", title, rules.TITLE_LENGTH_MAX)
    rules.check_length("text", text, rules.TEXT_LENGTH_MAX)
    check_terms(code, is_secret=is_secret)
    if rule_change is not None and len(json.dumps(rule_change)) > rules.RULE_CHANGE_BYTES_MAX:
        raise BadInput(field="rule_change", problem="this is too long")
    motion = Motion(
        id=motion_id,
        title=title,
        text=text,
        matter=code,
        is_secret=is_secret,
        publicity_days=rules.PUBLICITY_TIME_MIN.days,
        voting_days=rules.VOTING_TIME.days,
        rule_change=dict(rule_change) if rule_change is not None else None,
        proposed_by=proposed_by,
        recorded_by=recorded_by,
        proposed_at=clock.now(),
        note="",
    )
    session.add(motion)
    session.flush()
    motions.enter(session, clock, motion, Step.COLLECTING, recorded_by)
    record(session, MotionProposed(motion_id=motion_id, rule_change=motion.rule_change))
    return motion


def set_terms(
    session: Session,
    *,
    motion_id: UUID,
    matter: str,
    is_secret: bool,
    publicity_days: int,
    voting_days: int,
) -> Motion:
    """Say whose decision it is, open or secret, and for how long; before it is made public."""
    motion = motions.find(session, motion_id)
    terms = (matter, is_secret, publicity_days, voting_days)
    kept = (motion.matter, motion.is_secret, motion.publicity_days, motion.voting_days)
    if terms == kept:
        return motion
    if motion.step not in (Step.COLLECTING, Step.SCREENING):
        raise TermsFixed
    if voting.open_vote(session, motion_id) is not None:
        raise VoteStillOpen
    check_terms(matter, is_secret=is_secret)
    if not rules.PUBLICITY_TIME_MIN.days <= publicity_days <= rules.PUBLICITY_DAYS_MAX:
        raise BadInput(field="publicity_days", problem="a motion is public for 7 to 90 days")
    if not 1 <= voting_days <= rules.VOTING_DAYS_MAX:
        raise BadInput(field="voting_days", problem="a vote takes 1 to 60 days")
    motion.matter, motion.is_secret = matter, is_secret
    motion.publicity_days, motion.voting_days = publicity_days, voting_days
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

    `note` is what everybody may read: why it was declined, or what came of it. The assembly of a
    secret motion opens through `secret.open_vote`, which brings the prepared election along.
    """
    motion = motions.find(session, motion_id)
    if motion.step == to:
        return motion
    check_next(session, clock, motion, to)
    if to in (Step.DECLINED, Step.FEEDBACK):
        rules.check_length("note", note.strip(), rules.TEXT_LENGTH_MAX)
        motion.note = note.strip()
    assert to is not Step.ASSEMBLY or not motion.is_secret, "secret.open_vote does this"
    if to is Step.PUBLICITY:
        motion.publicity_started_at = clock.now()
    motions.enter(session, clock, motion, to, taken_by)
    if to is Step.PUBLICITY:
        record(session, PublicityStarted(motion.id, clock.now(), publicity_ends(motion)))
    if to is Step.ASSEMBLY:
        voting.start(session, clock, motion, binding_vote_id(motion_id), VoteKind.BINDING)
    if to is Step.FEEDBACK:
        record(session, ResultFedBack(motion.id))
    return motion


def binding_vote_id(motion_id: UUID) -> UUID:
    """The one binding vote of a motion, under the same id for ever."""
    return derived_id("vote", motion_id, VoteKind.BINDING)


def publicity_ends(motion: Motion) -> datetime:
    """Until when a motion is public before anything can be decided."""
    assert motion.publicity_started_at is not None, "publicity began before it ends"
    return rules.publicity_ends(motion.publicity_started_at, days=motion.publicity_days)


def check_terms(matter: str, *, is_secret: bool) -> None:
    """Refuse a matter that nobody decides, and a secrecy that the count would break."""
    known = MATTERS.get(matter)
    if known is None:
        raise BadInput(field="matter", problem="please choose one")
    if is_secret and known.rule.is_by_area:
        raise SecretByArea


def check_next(session: Session, clock: Clock, motion: Motion, to: Step) -> None:
    """Refuse a step that is not the next one, or whose time has not come."""
    step = Step(motion.step)
    possible = rules.next_steps(step, is_carried=motion.is_carried)
    if to not in possible:
        names = ", ".join(sorted(possible)) or "-"
        raise StepNotNext(step=step.value, possible=names)
    if voting.open_vote(session, motion.id) is not None:
        raise VoteStillOpen
    if to is Step.ASSEMBLY and clock.now() < (until := publicity_ends(motion)):
        raise PublicityTooShort(days=motion.publicity_days, until=rules.in_words(until))
    items = tasks.work_items(session, motion.id)
    if to is Step.EXECUTING and not items:
        raise WorkItemsMissing
    if to is Step.FEEDBACK and (left := [item for item in items if item.done_at is None]):
        raise WorkItemsOpen(open=len(left))


def _matter_for(electorate: str) -> str:
    if electorate not in tuple(Electorate):
        raise BadInput(field="electorate", problem="ask residents, or owners")
    return MATTER_DEFAULT[Electorate(electorate)].code
