"""The codes of the time bank in the reader's language."""

from node.timebank import rules
from node.timebank.matching import Part, Reason, ReasonCode
from node.timebank.rules import Act, DisputeReason, ExchangeState, Kind, Side, Training
from node.web.language import gettext as _


def state_names() -> dict[str, str]:
    """Each state in the reader's language."""
    return {
        ExchangeState.REQUESTED: _("asked for"),
        ExchangeState.OFFERED: _("offered"),
        ExchangeState.ACCEPTED: _("promised"),
        ExchangeState.DELIVERED: _("given, to be confirmed"),
        ExchangeState.CAPTURED: _("confirmed and paid"),
        ExchangeState.DECLINED: _("declined"),
        ExchangeState.CANCELLED: _("called off"),
        ExchangeState.DISPUTED: _("in dispute"),
        ExchangeState.CONTESTED: _("paid, in dispute"),
        ExchangeState.EXPIRED: _("run out"),
    }


def act_names(side: Side | None = None) -> dict[Act, str]:
    """Each button in the reader's language, as this side would say it."""
    is_receiver = side is Side.RECEIVER
    return {
        Act.ACCEPT: _("Yes, please come") if is_receiver else _("I will help"),
        Act.DECLINE: _("No, thank you") if is_receiver else _("I cannot"),
        Act.CANCEL: _("Call it off"),
        Act.DELIVER: _("It was given"),
        Act.CONFIRM: _("Yes, it was so"),
        Act.DISPUTE: _("No, it was not so"),
        Act.SETTLE: _("Settle it"),
    }


def step_names() -> dict[str, str]:
    """What was done to an exchange, for its history."""
    return {
        "request": _("asked, or offered"),
        Act.ACCEPT.value: _("accepted"),
        Act.DECLINE.value: _("declined"),
        Act.CANCEL.value: _("called off"),
        Act.DELIVER.value: _("said that it was given"),
        Act.CONFIRM.value: _("confirmed"),
        Act.DISPUTE.value: _("said that it was not so"),
        Act.SETTLE.value: _("decided"),
        "lapse": _("the time ran out"),
    }


def reason_names() -> dict[str, str]:
    """What moved minutes, in the reader's language; other reasons show their code."""
    return {
        "exchange": _("Help between neighbours"),
        "exchange_corrected": _("Corrected by a social worker"),
        "redeemed_away": _("Help in another community"),
        "helped_guest": _("Helped a guest from another community"),
        "gift_sent": _("Given to somebody in another community"),
        "gift_received": _("Given by somebody in another community"),
        "taken_back": _("Given back to another community"),
        "given_back": _("Come back from another community"),
        "donated_to_pool": _("Given to the donation pool"),
        "granted_from_pool": _("Granted from the donation pool"),
        "surplus_to_pool": _("Above the limit: gone to the donation pool"),
    }


def dispute_names() -> dict[str, str]:
    """What is said to be wrong."""
    return {
        DisputeReason.NOT_COME: _("Nobody came"),
        DisputeReason.SHORTER: _("It was shorter"),
        DisputeReason.LONGER: _("It was longer"),
        DisputeReason.BELOW_STANDARD: _("It was not done as agreed"),
        DisputeReason.OTHER: _("Something else"),
        DisputeReason.SILENCE: _("It was never confirmed"),
    }


def kind_names() -> dict[str, str]:
    """What a listing says."""
    return {Kind.OFFER: _("Offered help"), Kind.NEED: _("Needed help")}


def day_names() -> list[str]:
    """The days of the week, Monday first."""
    return [_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")]


def part_names() -> dict[Part, str]:
    """The parts of the day."""
    return {
        Part.MORNING: _("morning"),
        Part.AFTERNOON: _("afternoon"),
        Part.EVENING: _("evening"),
    }


def match_words(reason: Reason) -> str:
    """Why a listing fits, with the points it gives."""
    figures = {"have": reason.have, "need": reason.need}
    words = {
        ReasonCode.TIMES: _("%(have)s of %(need)s times fit") % figures,
        ReasonCode.LENGTH: _("%(have)s of %(need)s minutes") % figures,
        ReasonCode.BUILDING: _("same building") if reason.have else _("another building"),
    }[reason.code]
    return _("%(words)s: %(points)s of %(most)s") % {
        "words": words,
        "points": reason.points,
        "most": reason.of,
    }


def masked(name: str) -> str:
    """A neighbour's name before the two have agreed: the first sign of it."""
    return f"{name[:1]}**"


def services() -> list[tuple[str, str, str]]:
    """Each kind of help: code, name, standard."""
    return [(kind.code, _(kind.title), standard(kind)) for kind in rules.SERVICES.values()]


def standard(kind: rules.Service) -> str:
    """What both sides may expect of a kind of help, and what the helper must have."""
    must_have = {
        Training.NONE: "",
        Training.INTRODUCED: _("The social worker shows how before the first time."),
        Training.CERTIFIED: _("Only with a certificate that the desk has seen."),
    }[kind.training]
    usually = _("Usually %(minutes)s minutes.") % {"minutes": kind.usual_minutes}
    return " ".join(part for part in (_(kind.standard), must_have, usually) if part)
