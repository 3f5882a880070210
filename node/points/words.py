"""The codes of the rules in the reader's language."""

from node.points.rules import EvidenceKind, Per, RedemptionState, ReversalReason, StockReason
from node.web.language import gettext as _

DESK_EVIDENCE = (
    EvidenceKind.ATTENDANCE,
    EvidenceKind.COSIGNATURE,
    EvidenceKind.ONSITE_CODE,
    EvidenceKind.MOTION,
)
"""What a clerk can be shown on paper; the rest follows by itself."""


def activity_name(code: str) -> str:
    """An act in the reader's language; its code where a motion has brought a new one."""
    return {
        "waste_sorting": _("Guiding waste sorting"),
        "council_session": _("Taking part in the council"),
        "volunteering": _("Volunteering, such as helping elders"),
        "suggestion_adopted": _("A suggestion that was adopted"),
        "repair_feedback": _("Telling how a repair went"),
    }.get(code, code)


def evidence_names() -> list[tuple[str, str]]:
    """What can show that an act took place, for a form's choice."""
    return [
        (EvidenceKind.ATTENDANCE.value, _("Signed list of the meeting")),
        (EvidenceKind.COSIGNATURE.value, _("A second person signed")),
        (EvidenceKind.ONSITE_CODE.value, _("Code shown at the place")),
        (EvidenceKind.MOTION.value, _("Resolution of the council")),
        (EvidenceKind.EXCHANGE.value, _("An hour of the time bank")),
        (EvidenceKind.REPAIR.value, _("A repair that was rated")),
    ]


def per_names() -> dict[Per, str]:
    """What points are counted by."""
    return {
        Per.TIME: _("each time"),
        Per.HOUR: _("an hour"),
        Per.SUGGESTION: _("each suggestion"),
    }


def state_names() -> dict[str, str]:
    """Where something put aside stands."""
    return {
        RedemptionState.RESERVED: _("waits for you"),
        RedemptionState.COLLECTED: _("collected"),
        RedemptionState.RELEASED: _("given back"),
    }


def reversal_names() -> dict[str, str]:
    """Why points were taken back."""
    return {
        ReversalReason.MISTAKE: _("written down by mistake"),
        ReversalReason.TWICE: _("counted twice"),
        ReversalReason.NOT_DONE: _("did not take place"),
        ReversalReason.CORRECTED: _("corrected after a decision"),
    }


def stock_names() -> dict[str, str]:
    """Why the number on the shelf changed."""
    return {
        StockReason.DELIVERED: _("a delivery came"),
        StockReason.COUNTED: _("counted again"),
        StockReason.BROKEN: _("broken or out of date"),
    }
