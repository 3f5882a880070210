"""The home page: for residents four questions and their answers, for staff what waits for them.

Slices give cards (`layout.HomeCard`); the questions are put together here, so that a resident reads
one page and not a list of departments.
"""

import shutil
from collections.abc import Sequence
from typing import Any, NamedTuple

from litestar import Response, get
from sqlalchemy.orm import Session

from node.residents.rules import ACTING_ROLES, Role
from node.web.language import gettext as _
from node.web.layout import STAFF, Card, HomeCard, Link, page
from node.web.session import AnyRequest, Caller, caller, house


class Question(NamedTuple):
    """One of the four things that a resident wants to know: asked, answered, with a way on."""

    topic: str  # names the picture beside it
    asked: str
    lines: Sequence[str]
    links: Sequence[Link]


ANSWERED_BY = {
    "repairs": ("repairs",),
    "purse": ("points", "timebank"),
    "vote": ("council",),
}
"""Which slices' cards answer which question."""


@get("/", include_in_schema=False)
async def home(request: AnyRequest) -> Response[str]:
    """What concerns me today; for staff, whom they serve."""
    who = caller(request)
    with house(request).database.read() as session:
        cards = [
            (_slice(one), one(request, session, who))
            for one in (*request.app.state.cards, health_card)
        ]
        found = [(slice_name, card) for slice_name, card in cards if card is not None]
    is_at_work = who.has(*STAFF) and who.acting_for is None
    in_questions = {name for names in ANSWERED_BY.values() for name in names}
    shown: dict[str, Any] = {
        "is_at_work": is_at_work,
        "may_act": who.has(*ACTING_ROLES),
        "may_search": who.has(*ACTING_ROLES, Role.OPERATOR),
        "is_operator": who.has(Role.OPERATOR) and is_at_work,
        "questions": [] if is_at_work else _questions(found, who),
        "cards": [
            card for name, card in _by_urgency(found, who) if is_at_work or name not in in_questions
        ],
    }
    return page(request, "home.html", **shown)


def _questions(found: Sequence[tuple[str, Card]], who: Caller) -> list[Question]:
    asked = {
        "repairs": _("What is happening with my repair?"),
        "purse": _("How many points and hours have I?"),
        "vote": _("What is there to vote on?"),
    }
    questions = []
    for topic, slices in ANSWERED_BY.items():
        answers = [card for name, card in found if name in slices]
        lines = [line for card in answers for line in card.lines]
        links = [link for card in answers for link in card.links]
        if topic == "repairs" and not answers:
            lines = [_("Something is broken? Say so here, and follow it until it is mended.")]
            links = [Link("/repairs/new", _("Report a repair"))]
        if lines or links:
            questions.append(Question(topic, asked[topic], lines, links))
    return [*questions, _help(who)]


def _help(who: Caller) -> Question:
    lines = [
        _(
            "Come to the service desk, or telephone it. Everything on these pages can also be "
            "done there: a clerk writes it down for you, and both names are recorded."
        ),
    ]
    links = [Link("/proxies", _("Let a relative act for me"))] if who.resident_id else []
    return Question("help", _("How do I get help?"), lines, links)


def _by_urgency(found: Sequence[tuple[str, Card]], who: Caller) -> list[tuple[str, Card]]:
    """Who does repairs sees their work first; who leads the council sees motions first."""
    first = {Role.PROPERTY: "repairs", Role.SECRETARY: "council", Role.OPERATOR: "health"}
    wanted = [name for role, name in first.items() if who.has(role)]
    return sorted(found, key=lambda one: one[0] not in wanted)


def _slice(card: HomeCard) -> str:
    """The card of node.repairs.pages is that of `repairs`."""
    return card.__module__.removeprefix("node.").partition(".")[0]


def health_card(request: AnyRequest, _session: Session, who: Caller) -> Card | None:
    """For the operator: this page came from the database, and is there room for more?"""
    if not who.has(Role.OPERATOR) or who.acting_for:
        return None
    free_gigabytes = shutil.disk_usage(house(request).settings.directory).free / 1e9
    lines = [
        _("The node answers, and its database can be read."),
        _("Free space on the disk: %(size)s GB") % {"size": f"{free_gigabytes:.1f}"},
    ]
    links = [Link("/health", _("Is all well?")), Link("/first-steps", _("First steps"))]
    return Card(_("Health"), lines, links)
