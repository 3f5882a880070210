"""What left the house, for everybody to read."""

from litestar import Response, get

from node.outbox.api import read_left
from node.outbox.left import OFFICE
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest


def kind_name(kind: str) -> str:
    """A kind of message in the reader's language; its own name where no words are known."""
    return {
        "PresentPass": _("Question: is this pass valid?"),
        "PassAccepted": _("Answer: the pass is valid"),
        "RequestCapture": _("Question: please pay these minutes"),
        "Receipt": _("Answer: receipt for minutes"),
        "ReleasePass": _("Message: the help was called off"),
        "PassReleased": _("Answer: the minutes are back"),
        "ProposeStatement": _("Statement of what we owe"),
        "StatementAgreed": _("Answer: the statement is right"),
        "StatementDiffers": _("Answer: the statement differs"),
        "Refusal": _("Answer: no, with a reason code"),
        "model_update": _("Model update from the training (numbers, no requests)"),
        "Heartbeat": _("Sign of life"),
        "GetDirectory": _("Question: who belongs to the district?"),
        "GetModel": _("Question: the newest forecast model, please"),
        "GetBatch": _("Question: the batch to be signed, please"),
        "SubmitPosition": _("Statements for a settlement round"),
        "SubmitSignature": _("Signature under a settlement batch"),
        "Renew": _("Request for a new certificate"),
    }.get(kind, kind)


@get("/left")
async def show(request: AnyRequest) -> Response[str]:
    """The list, in words."""
    lines = read_left(request)
    return page(request, "outbox/left.html", lines=lines, kind_name=kind_name, office=OFFICE)


routes = [show]
