"""What each kind of notice says. A kind is a code; its sentence is written here and translated."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date

from node.notices.rules import Channel
from node.web import language
from node.web.language import gettext as _


def sentences() -> dict[str, str]:
    """Every kind with its sentence in the reader's language."""
    return {
        "repair_dispatched": _("Repair #{number}: somebody has been sent."),
        "repair_processing": _("Repair #{number}: the work has begun."),
        "repair_completed": _("Repair #{number} is done. Please say how it went."),
        "repair_reopened": _("Repair #{number} was opened again: it was not fixed."),
        "repair_moved": _("Repair #{number} has moved on."),
        "repair_overdue": _("Repair #{number} is overdue and needs you now."),
        "repair_late": _("Repair #{number} is late. It was handed up to step {level}."),
        "repair_followed": _("A neighbour follows your repair #{number}: it concerns them too."),
        "repair_merged": _("Repair #{number} goes on as #{kept}: both are about the same."),
        "hours_paid": _("{minutes} minutes of help were confirmed and paid."),
        "help_asked": _("A neighbour asks you for help. Please answer until {day}."),
        "help_offered": _("A neighbour offers you help. Please answer until {day}."),
        "help_promised": _("Help is agreed. See when and where."),
        "help_declined": _("A neighbour cannot this time. Ask somebody else?"),
        "help_called_off": _("Help was called off. No minutes are kept back any more."),
        "help_expired": _("Nothing came of the help that was agreed or asked for."),
        "help_to_confirm": _("{minutes} minutes of help were given. Please confirm."),
        "help_disputed": _("The two of you see it differently. A social worker will look at it."),
        "help_decided": _("A social worker has decided: {minutes} minutes count."),
        "minutes_granted": _("You were given {minutes} minutes from the donation pool."),
        "coupon_reserved": _("Something waits for you at the desk until {day}. Bring the code."),
        "coupon_released": _("What was put aside is back on the shelf; {points} points are free."),
        "coupon_overdue": _("Nobody came for what was put aside: {points} points are free again."),
        "cosignature_asked": _("A neighbour says you were there too. Please say if it is so."),
        "points_taken_back": _("{points} points were taken back. See why under My points."),
        "points_missing": _("{points} points were taken back: {missing} are still to be earned."),
        "rules_adopted": _("Points are counted by new rules now: version {version}."),
        "helpers_needed": _("{day} will be a busy day: {people} more helpers are asked for."),
        "motion_public": _("A motion is public now, until {day}. Please read it."),
        "vote_open": _("A vote is open until {day}."),
        "owners_vote_open": _("An owners' vote is open until {day}."),
        "vote_closing": _("A vote closes soon, on {day}. Have you voted?"),
        "vote_carried": _("A vote has ended: the motion was carried."),
        "vote_not_carried": _("A vote has ended: the motion was not carried."),
        "motion_done": _("What a motion promised was looked at again. See what came of it."),
        "proxy_agreed": _("A relative may act for you from now on. You can end it at any time."),
        "proxy_granted": _("You may act for a neighbour from now on."),
        "told": _("There is news for you."),
    }


def sentence(kind: str, details: Mapping[str, str | int]) -> str:
    """The notice in the reader's language; for a kind of a later version a plain word."""
    known, filled = sentences(), dict(details)
    if "day" in filled:  # kept as a date, said as the reader says it
        filled["day"] = language.day(date.fromisoformat(str(filled["day"])))
    return known.get(kind, known["told"]).format_map(filled)


def look_here() -> str:
    """Where to go on, when the operator has not said under which address the pages are reached."""
    return _("Sign in to see more, or ask at the service desk.")


def channel_names() -> dict[Channel, str]:
    """The ways out of the house, in the reader's language."""
    return {Channel.EMAIL: _("E-mail"), Channel.SMS: _("SMS"), Channel.WECHAT: _("WeChat")}


@contextmanager
def spoken(chosen: str) -> Iterator[None]:
    """Inside, sentences are in this language."""
    token = language.language.set(chosen if chosen in language.LANGUAGES else "zh")
    try:
        yield
    finally:
        language.language.reset(token)
