"""The names of roles, scopes and agreements in the reader's language."""

from node.residents.rules import Evidence, Purpose, Role, Scope
from node.web.language import gettext as _


def role_names() -> dict[Role, str]:
    """Each role in the reader's language."""
    return {
        Role.RESIDENT: _("resident"),
        Role.CLERK: _("clerk"),
        Role.PROPERTY: _("property"),
        Role.SOCIAL_WORKER: _("social worker"),
        Role.SECRETARY: _("secretary"),
        Role.OPERATOR: _("operator"),
    }


def scope_names() -> dict[Scope, str]:
    """What a proxy covers, in the reader's language."""
    return {
        Scope.EVERYTHING: _("everything but voting"),
        Scope.REPAIRS: _("repairs"),
        Scope.TIMEBANK: _("time bank"),
        Scope.POINTS: _("points"),
    }


def evidence_names() -> dict[Evidence, str]:
    """How an elder agreed, in the reader's language."""
    return {
        Evidence.SELF: _("on their own page, signed in"),
        Evidence.IN_PERSON: _("said so at the desk"),
        Evidence.PAPER: _("signed a paper that the desk keeps"),
        Evidence.HOME_VISIT: _("said so at home, to a social worker"),
    }


def purpose_names() -> dict[Purpose, str]:
    """What a consent is for, in the reader's language."""
    return {
        Purpose.PRIVACY_NOTICE: _("I know what is stored about me here, and why."),
        Purpose.OUTSIDE_MESSAGES: _(
            "Notices may also reach me by e-mail, SMS or WeChat. A provider outside the community "
            "then sees my address and the words of the notice."
        ),
    }


def field_names() -> dict[str, str]:
    """The columns of a household list, in the reader's language."""
    return {
        "name": _("Name"),
        "phone": _("Phone number"),
        "building": _("Building"),
        "household": _("Flat"),
        "is_owner": _("Owner"),
        "floor_area": _("Floor area"),
        "birth_year": _("Year of birth"),
    }
