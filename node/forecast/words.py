"""Names of categories and forecasts in the reader's language."""

from node.forecast.panel import TOTAL
from node.web.language import gettext as _


def category_name(code: str) -> str:
    """A category in the reader's language; a code nobody translated, with spaces."""
    known = _("All requests") if code == TOTAL else _(code)
    return known if known != code else code.replace("_", " ").capitalize()


def arm_names() -> dict[str, str]:
    """Each forecast in words."""
    return {
        "mean8": _("Simple: mean of the same weekday, 8 weeks"),
        "local": _("Learned here alone"),
        "federated": _("Learned together with the district"),
    }
