"""Our categories as Open311 services: what each asks, and whether an answer fits the question."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from node.kernel.errors import DomainError
from node.repairs import plan, rules
from node.repairs.open311_format import Listing, Thing
from node.web.language import gettext as _

ANSWER_LENGTH_MAX = 400
PLACE, SHARED = "PLACE", "shared"


class BadAnswer(DomainError):
    code = "repairs.open_attribute"
    message = "attribute[{code}]: {problem}"


class Attribute(NamedTuple):
    """One question of a service's definition. Not `variable`: only something to read."""

    code: str
    datatype: str
    description: str
    hint: str = ""
    is_required: bool = False
    is_variable: bool = True
    values: Sequence[tuple[str, str]] = ()


_PLACE = Attribute(
    PLACE,
    "singlevaluelist",
    "Is it in a shared place or in a home?",
    values=((SHARED, "Shared: stairs, lift, yard"), ("home", "In a home")),
)
ATTRIBUTES: Mapping[str, Sequence[Attribute]] = {
    "housing_repair": (
        _PLACE,
        Attribute(
            "ROOMS",
            "multivaluelist",
            "Which rooms?",
            values=(("kitchen", "Kitchen"), ("bathroom", "Bathroom"), ("other", "Another room")),
        ),
        Attribute("VISIT", "datetime", "When may somebody come?", "A date and time with its zone"),
    ),
    "water_power": (
        Attribute(
            "SUPPLY",
            "singlevaluelist",
            "What has failed?",
            is_required=True,
            values=(("water", "Water"), ("power", "Power"), ("gas", "Gas")),
        ),
        _PLACE,
    ),
    "lift": (
        Attribute(
            "INSIDE",
            "number",
            "How many people are inside?",
            "0 if nobody is",
            is_required=True,
        ),
    ),
    "welfare": (
        Attribute(
            "EMERGENCY",
            "string",
            "In an emergency call 120 first.",
            is_variable=False,
        ),
    ),
}
GROUPS: Mapping[str, str] = {
    "housing_repair": "Housing",
    "water_power": "Housing",
    "lift": "Housing",
    "housing_other": "Housing",
    "sanitation_parks": "Public places",
    "transport": "Public places",
    "welfare": "Care",
    "other": "Something else",
}
KEYWORDS: Mapping[str, str] = {
    "housing_repair": "door, window, wall, 门窗, 墙面, 漏水",
    "water_power": "water, electricity, gas, 停水, 停电, 燃气",
    "lift": "elevator, 电梯, 困人",
    "sanitation_parks": "waste, trees, 垃圾, 绿化",
    "transport": "parking, road, 停车, 道路",
    "welfare": "care, elder, 照护, 老人",
    "housing_other": "housing, 住房",
    "other": "other, 其他",
}


def services(current: plan.Plan) -> Listing:
    """The list of services."""
    return Listing(
        "services",
        "service",
        [
            {
                "service_code": code,
                "service_name": _(category.name),
                "description": notice(current, code),
                "metadata": bool(ATTRIBUTES.get(code)),
                "type": "batch" if is_batch(current, code) else "realtime",
                "keywords": KEYWORDS[code],
                "group": _(GROUPS[code]),
            }
            for code, category in rules.CATEGORIES.items()
        ],
    )


def definition(code: str) -> Thing:
    """What a service asks."""
    asked = [_question(one, order) for order, one in enumerate(ATTRIBUTES.get(code, ()), 1)]
    attributes = Listing("attributes", "attribute", asked)
    return Thing("service_definition", {"service_code": code, "attributes": attributes})


def notice(current: plan.Plan, code: str) -> str:
    """What a reporter may expect."""
    hours = plan.due_hours(current, code)
    return _("We want to have this done within %(hours)s hours.") % {"hours": hours}


def is_batch(current: plan.Plan, code: str) -> bool:
    """Does somebody look at a report of this kind before its number is public?"""
    return code in current.looked_at_first


def is_shared(code: str, answers: Mapping[str, Sequence[str]]) -> bool:
    """Is this about a place that all neighbours use?"""
    return code in rules.SHARED_BY_NATURE or list(answers.get(PLACE, ())) == [SHARED]


def check(code: str, answers: Mapping[str, Sequence[str]]) -> None:
    """Refuse what was not asked, what does not fit, and what is missing."""
    asked = {one.code: one for one in ATTRIBUTES.get(code, ()) if one.is_variable}
    for name, given in answers.items():
        if name not in asked:
            raise BadAnswer(code=name[:40], problem=_("the service does not ask this"))
        _check_answer(asked[name], given)
    for name, one in asked.items():
        if one.is_required and not answers.get(name):
            raise BadAnswer(code=name, problem=_("an answer is required"))


def _check_answer(asked: Attribute, given: Sequence[str]) -> None:
    if len(given) > 1 and asked.datatype != "multivaluelist":
        raise BadAnswer(code=asked.code, problem=_("one answer, please"))
    for answer in given:
        if not _fits(asked, answer):
            kind = {"kind": asked.datatype}
            raise BadAnswer(code=asked.code, problem=_("this is no %(kind)s") % kind)


def _fits(asked: Attribute, answer: str) -> bool:
    if len(answer) > ANSWER_LENGTH_MAX:
        return False
    match asked.datatype:
        case "number":
            return answer.isascii() and answer.isdigit()
        case "datetime":
            return moment(answer) is not None
        case "string":
            return answer.isprintable()
        case "singlevaluelist" | "multivaluelist":
            return answer in {key for key, _name in asked.values}
    return True


def moment(text: str) -> datetime | None:
    """A W3C date and time with its zone; None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if "T" in text and found.tzinfo is not None else None


def _question(one: Attribute, order: int) -> dict[str, object]:
    values = [{"key": key, "name": _(name)} for key, name in one.values]
    shown: dict[str, object] = {
        "variable": one.is_variable,
        "code": one.code,
        "datatype": one.datatype,
        "required": one.is_required,
        "datatype_description": _(one.hint) if one.hint else None,
        "order": order,
        "description": _(one.description),
    }
    return shown | ({"values": Listing("values", "value", values)} if values else {})
