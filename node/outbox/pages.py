"""What left the house, for everybody to read."""

from typing import Any

from litestar import Response, get

from node.outbox.api import read_left
from node.outbox.left import OFFICE
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest

PROVIDER = "provider"  # of e-mail, SMS or WeChat, as a recipient


def kind_name(kind: str) -> str:
    """A kind of message in the reader's language; its own name where no words are known."""
    return {
        "PresentPass": _("Question: is this pass valid?"),
        "PassAccepted": _("Answer: the pass is valid"),
        "RequestCapture": _("Question: please pay these minutes"),
        "Receipt": _("Answer: receipt for minutes"),
        "ReleasePass": _("Message: the help was called off"),
        "PassReleased": _("Answer: the minutes are back"),
        "GiftOrder": _("Gift: minutes for the holder of a gift code"),
        "GiftAccepted": _("Answer: the gift has arrived"),
        "AskHeadroom": _("Question: how many minutes may we still owe?"),
        "Headroom": _("Answer: so many minutes"),
        "AskReversal": _("Question: please give minutes back"),
        "OfferReversal": _("Offer: minutes go back"),
        "RequestReversal": _("Message: we agree, give them back"),
        "ReversalReceipt": _("Answer: receipt for minutes given back"),
        "DeclineReversal": _("Message: no minutes go back"),
        "OpenDispute": _("Dispute: a code and minutes, no words"),
        "AnswerDispute": _("Answer in a dispute: a code and minutes, no words"),
        "JudgeDispute": _("Verdict in a dispute: minutes"),
        "Noted": _("Answer: written down"),
        "CompareReceipts": _("Question: do our books agree on this day?"),
        "ReceiptsCompared": _("Answer: what our books say of this day"),
        "FetchReceipts": _("Question: please prove these receipts"),
        "ReceiptsFound": _("Answer: receipts with their signatures"),
        "ProposeStatement": _("Statement of what we owe"),
        "StatementAgreed": _("Answer: the statement is right"),
        "StatementDiffers": _("Answer: the statement differs"),
        "Refusal": _("Answer: no, with a reason code"),
        "model_update": _("Model update from the training (numbers, no requests)"),
        "training_keys": _("Keys and shares, so that only the sum of all updates can be read"),
        "training_refusal": _("Refusal of a training step, with its reason"),
        "Heartbeat": _("Sign of life"),
        "GetDirectory": _("Question: who belongs to the district?"),
        "GetModel": _("Question: the newest forecast model, please"),
        "GetBatch": _("Question: the batch to be signed, please"),
        "SubmitPosition": _("Statements for a settlement round"),
        "SubmitSignature": _("Signature under a settlement batch"),
        "Renew": _("Request for a new certificate"),
        "notice_email": _("Notice by e-mail, to a resident who asked for it"),
        "notice_sms": _("Notice by SMS, to a resident who asked for it"),
        "notice_wechat": _("Notice by WeChat, to a resident who asked for it"),
    }.get(kind, kind)


@get("/left")
async def show(request: AnyRequest) -> Response[str]:
    """The list, in words."""
    lines = read_left(request)
    names = {OFFICE: _("District's office"), PROVIDER: _("Provider of messages")}
    has_notices = any(line.to == PROVIDER for line in lines)
    shown: dict[str, Any] = {"kind_name": kind_name, "recipients": names}
    return page(request, "outbox/left.html", lines=lines, has_notices=has_notices, **shown)


routes = [show]
