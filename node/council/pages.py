"""What there is to vote on, one motion with its seven steps, and the office behind it."""

from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.council import (
    motions,
    pages_delegates,
    pages_office,
    pages_secret,
    pages_vote,
    papers,
    proxies,
    roll,
    rules,
    secret,
    service,
    tasks,
    voting,
    words,
)
from node.council.access import DESK_ROLES, OFFICE_ROLES, proposer
from node.council.electorates import Electorate, Tally
from node.council.model import Motion, Vote
from node.council.rules import Step, VoteKind
from node.council.voting import Published
from node.residents import service as residents
from node.residents.rules import Role
from node.web.forms import Form
from node.web.language import LOCAL_TIME, day, minute
from node.web.language import gettext as _
from node.web.layout import Card, Link, page
from node.web.session import AnyRequest, Caller, caller, house, require


class StepShown(NamedTuple):
    """One of the seven, as the page draws it."""

    step: Step
    name: str
    reached_at: datetime | None
    is_now: bool
    expected: str  # what is known of its date, while it is still to come


class SideShown(NamedTuple):
    """One line of a result: heads, and for owners the floor area too."""

    name: str
    heads: int
    heads_share: str
    area: str
    area_share: str


class VoteShown(NamedTuple):
    """One vote as its page prints it, with the rule and the electorate it was counted by."""

    vote: Vote
    is_binding: bool
    electorate_name: str
    rule_words: str
    is_by_area: bool
    sides: list[SideShown]
    quorum_needs: str
    majority_needs: str
    ballots: list[Published]
    has_archive: bool


@get("/council", include_in_schema=False)
async def show(request: AnyRequest) -> Response[str]:
    """What to vote on now, what is public, and how a wish becomes a promise."""
    who = caller(request)
    with house(request).database.read() as session:
        found, running = motions.motions(session), voting.open_votes(session)
        voted = {
            motion_id
            for motion_id, vote in running.items()
            if who.resident_id
            and voting.has_voted(session, vote_id=vote.id, voter_id=who.resident_id)
        }
    return page(
        request,
        "council/list.html",
        open_motions=[one for one in found if one.id in running],
        public_motions=[one for one in found if one.step == Step.PUBLICITY],
        motions=[one for one in found if one.id not in running and one.step != Step.PUBLICITY],
        running=running,
        voted=voted,
        publicity_ends=service.publicity_ends,
        step_names=words.step_names(),
        way=[words.step_names()[step] for step in words.SEVEN_STEPS],
    )


@get("/council/new", include_in_schema=False)
async def show_propose(request: AnyRequest) -> Response[str]:
    """The form for a motion."""
    require(request)
    return page(request, "council/propose.html", form=Form())


@post("/council/new", include_in_schema=False)
async def propose(request: AnyRequest) -> Response[Any]:
    """Move a motion."""
    who = proposer(request)
    node, form = house(request), await Form.read(request)
    title = form.text("title", most=rules.TITLE_LENGTH_MAX)
    text = form.text("text", most=rules.TEXT_LENGTH_MAX)
    if form.errors:
        return page(request, "council/propose.html", form=form, status=422)
    await node.database.run(
        lambda session: service.propose(
            session,
            node.clock,
            motion_id=form.id,
            title=title,
            text=text,
            proposed_by=who.subject,
            recorded_by=who.recorder(who.subject),
        )
    )
    return Redirect(f"/council/motions/{form.id}", status_code=303)


@get("/council/motions/{motion_id:uuid}", include_in_schema=False)
async def show_motion(request: AnyRequest, motion_id: FromPath[UUID]) -> Response[str]:
    """One motion: its way, its votes, its tasks, and what its reader can do."""
    who = caller(request)
    with house(request).database.read() as session:
        motion = motions.find(session, motion_id)
        running = voting.open_vote(session, motion_id)
        is_public = motion.publicity_started_at is not None
        return page(
            request,
            "council/motion.html",
            motion=motion,
            electorate_name=words.electorate_names()[motions.electorate_of(motion)],
            matter_name=words.matter_names()[motion.matter],
            steps=_steps(session, motion),
            votes=[shown(session, vote) for vote in voting.votes(session, motion_id)],
            running=running,
            mine=_mine(session, who, motion, running),
            held=_held(session, who, motion),
            choice_names=words.choice_names(),
            tasks=[
                (one, datetime.combine(one.item.due_on, time(12), LOCAL_TIME))
                for one in tasks.progress(session, motion_id)
            ],
            papers=papers.listed(session, motion_id),
            paper_names=words.paper_names(),
            trustees=secret.trustees(session, motion_id) if motion.is_secret else [],
            public_until=service.publicity_ends(motion) if is_public else None,
            is_office=who.has(*OFFICE_ROLES),
            is_desk=who.has(*DESK_ROLES),
            may_finish=who.has(*OFFICE_ROLES, Role.PROPERTY),
        )


def card(request: AnyRequest, session: Session, who: Caller) -> Card | None:
    """What is put to the vote now, on the home page."""
    found, running = motions.motions(session), voting.open_votes(session)
    links = [Link("/council", _("See what is discussed"))]
    waiting = [one for one in found if one.id in running and _waits(session, who, running[one.id])]
    if waiting:
        if who.resident_id is not None:
            links.insert(0, Link(f"/council/motions/{waiting[0].id}/ballot", _("Vote")))
        return Card(_("You can vote now"), [motion.title for motion in waiting[:3]], links)
    public = [motion.title for motion in found if motion.step == Step.PUBLICITY]
    if public:
        return Card(_("Made public before the vote"), public[:3], links)
    return Card(_("Council"), [_("What shall be better here? Move it.")], links)


def _waits(session: Session, who: Caller, vote: Vote) -> bool:
    """Does this open vote still wait for its reader's ballot?"""
    if vote.counting_since is not None:
        return False
    reader = who.subject
    return reader is None or not voting.has_voted(session, vote_id=vote.id, voter_id=reader)


def shown(session: Session, vote: Vote) -> VoteShown:
    """A vote as pages print it."""
    rule, counted = voting.rule_of(vote), voting.result(vote)
    return VoteShown(
        vote,
        vote.kind == VoteKind.BINDING,
        words.electorate_names()[Electorate(vote.electorate)],
        words.rule_words(rule),
        rule.is_by_area,
        _sides(counted) if counted else [],
        words.share_words(rule.quorum) if rule.quorum else "",
        words.share_words(rule.majority),
        voting.published_ballots(session, vote),
        vote.closed_at is not None,
    )


def _sides(counted: Tally) -> list[SideShown]:
    cast, roll_weight = counted.cast, counted.roll
    lines = [
        (_("Yes"), counted.yes, cast),
        (_("No"), counted.no, cast),
        (_("I abstain"), counted.abstain, cast),
        (_("Took part"), cast, roll_weight),
        (_("On the roll"), roll_weight, roll_weight),
    ]
    return [
        SideShown(
            name,
            part.heads,
            words.percent(part.heads, whole=whole.heads),
            words.square_metres(part.area_dm2),
            words.percent(part.area_dm2, whole=whole.area_dm2),
        )
        for name, part, whole in lines
    ]


def _steps(session: Session, motion: Motion) -> list[StepShown]:
    reached = {one.step: one.changed_at for one in motions.steps_taken(session, motion.id)}
    names = words.step_names()
    shown_steps = [step for step in Step if step in words.SEVEN_STEPS or step in reached]
    if motion.step == Step.DECLINED:
        shown_steps = [step for step in shown_steps if step in reached]
    expected = _expected(session, motion)
    return [
        StepShown(step, names[step], reached.get(step), motion.step == step, expected.get(step, ""))
        for step in shown_steps
    ]


def _expected(session: Session, motion: Motion) -> dict[Step, str]:
    """The dates that are known ahead: the earliest vote, its end, the last task."""
    dates: dict[Step, str] = {}
    if motion.publicity_started_at is not None:
        opens = service.publicity_ends(motion)
        vote = voting.open_vote(session, motion.id)
        ends = vote.ends_at if vote and vote.ends_at else opens + timedelta(days=motion.voting_days)
        dates[Step.ASSEMBLY] = _("from %(day)s on") % {"day": minute(opens)}
        dates[Step.RESOLVED] = _("the vote ends on %(day)s") % {"day": minute(ends)}
    items = tasks.work_items(session, motion.id)
    if items:
        last = max(item.due_on for item in items)
        dates[Step.FEEDBACK] = _("tasks until %(day)s") % {"day": day(last)}
    return dates


def _mine(
    session: Session, who: Caller, motion: Motion, running: Vote | None
) -> dict[str, str] | None:
    """What the open vote says to this reader: vote, it is in, or why not."""
    if running is None or who.resident_id is None:
        return None
    line = roll.entry(session, vote_id=running.id, voter_id=who.resident_id)
    if line is None:
        return {"state": "not_on_roll"}
    if running.counting_since is not None:
        return {"state": "counting"}
    voted = voting.voter_of_unit(session, vote_id=running.id, unit=line.unit)
    if voted is None:
        return {"state": "open"}
    return {"state": "voted" if voted == who.resident_id else "co_owner_voted"}


def _held(session: Session, who: Caller, motion: Motion) -> list[tuple[str, UUID, int]]:
    """For whom this reader carries a written proxy that is still good: name, id, number."""
    if who.resident_id is None:
        return []
    return [
        (residents.resident(session, one.grantor_id).name, one.grantor_id, one.number)
        for one in proxies.carried_by(session, motion.id, who.resident_id)
    ]


routes = [
    show,
    show_propose,
    propose,
    show_motion,
    *pages_vote.routes,
    *pages_office.routes,
    *pages_secret.routes,
    *pages_delegates.routes,
]
