"""Why something did not come about, in the reader's words: a row keeps the refusal's code alone.

The figures of a refusal are of its moment and were not kept, so these sentences name none.
"""

from node.kernel.errors import REFUSALS
from node.web.language import gettext as _


def reason(code: str) -> str:
    """A kept refusal as a sentence; the bare code only where a neighbour knows more than we do."""
    known = _reasons().get(code)
    if known is not None:
        return known
    refusal = REFUSALS.get(code)
    if refusal is not None and "{" not in refusal.message:
        return _(refusal.message)
    return _("It was refused (%(code)s).") % {"code": code}


def _reasons() -> dict[str, str]:
    limit = _("One community may owe the other only so much, and that limit is reached for now.")
    declined = _("The other community said no.")
    differs = _("The answer did not fit what was asked. Nothing was credited; it is kept.")
    too_much = _("More minutes than were paid cannot go back.")
    return {
        "exchange.gift_code_unknown": _(
            "Nobody there receives gifts under this code: it was mistyped or taken back."
        ),
        "exchange.pass_not_usable": _("The pass was used, taken back or too old."),
        "exchange.pass_for_other": _("The pass is for another community."),
        "exchange.pass_too_small": _("The pass covers fewer minutes."),
        "exchange.all_peers_limit_reached": limit,
        "exchange.debt_limit_reached": limit,
        "ledger.limit_reached": limit,
        "ledger.insufficient_balance": _("There were not enough free minutes for it."),
        "exchange.declined_there": declined,
        "exchange.declined_ahead": declined,
        "exchange.answer_differs": differs,
        "exchange.receipt_differs": differs,
        "exchange.reversal_too_large": too_much,
        "exchange.reversal_past_receipt": too_much,
        "exchange.reversal_exists": _("Minutes of this help are on their way back already."),
        "exchange.reversal_not_offered": _("The minutes were not offered, or taken back."),
    }
