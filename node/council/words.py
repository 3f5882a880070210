"""Steps, matters, rules, choices and groups in the reader's language."""

from collections.abc import Mapping

from node.council import electorates
from node.council.electorates import Choice, DecisionRule, Electorate, Share
from node.council.papers import PaperKind
from node.council.rules import Channel, Step
from node.web.language import gettext as _

SEVEN_STEPS = tuple(step for step in Step if step is not Step.DECLINED)
DM2 = 100


def step_names() -> Mapping[Step, str]:
    """Each step."""
    return {
        Step.COLLECTING: _("Collecting"),
        Step.SCREENING: _("Screening"),
        Step.PUBLICITY: _("Made public (7 days)"),
        Step.ASSEMBLY: _("Council and vote"),
        Step.RESOLVED: _("Resolution"),
        Step.EXECUTING: _("Carried out and watched"),
        Step.FEEDBACK: _("What came of it"),
        Step.DECLINED: _("Not taken up"),
    }


def choice_names() -> Mapping[Choice, str]:
    """Each choice."""
    return {Choice.YES: _("Yes"), Choice.NO: _("No"), Choice.ABSTAIN: _("I abstain")}


def channel_names() -> Mapping[Channel, str]:
    """Each way in which a ballot comes."""
    return {
        Channel.WEB: _("On the web"),
        Channel.DESK: _("At the desk"),
        Channel.PROXY: _("By written proxy"),
        Channel.CODE: _("With a code of one's own"),
    }


def electorate_names() -> Mapping[Electorate, str]:
    """Who is asked."""
    return {
        Electorate.RESIDENTS: _("The residents, one head one vote"),
        Electorate.OWNERS: _("The owners, by head and by floor area"),
    }


def matter_names() -> Mapping[str, str]:
    """What is decided about."""
    return {
        "residents_ordinary": _("A matter of the residents"),
        "assembly_rules": _("Owners: the rules of their assembly (item 1)"),
        "covenant": _("Owners: the covenant (item 2)"),
        "committee": _("Owners: electing or changing the committee (item 3)"),
        "manager": _("Owners: hiring or dismissing the property company (item 4)"),
        "fund_use": _("Owners: using the maintenance fund (item 5)"),
        "fund_raising": _("Owners: raising money for the maintenance fund (item 6)"),
        "rebuilding": _("Owners: rebuilding (item 7)"),
        "change_of_use": _("Owners: another use of common parts, or business there (item 8)"),
        "owners_other": _("Owners: another important common matter (item 9)"),
    }


def rule_words(rule: DecisionRule) -> str:
    """When a vote counts and when it carries, with its article."""
    return {
        electorates.RESIDENTS_RULE.code: _(
            "Counts when more than half of the roll vote, and carries when more than half of those "
            "say yes. Organic Law of Urban Residents Committees, article 9."
        ),
        electorates.OWNERS_ORDINARY_RULE.code: _(
            "Counts when two thirds of the owners with two thirds of the floor area take part, and "
            "carries when more than half of those, by head and by area, say yes. Civil Code, "
            "article 278."
        ),
        electorates.OWNERS_SPECIAL_RULE.code: _(
            "Counts when two thirds of the owners with two thirds of the floor area take part, and "
            "carries when three quarters of those, by head and by area, say yes. Civil Code, "
            "article 278."
        ),
        electorates.STRAW_RULE.code: _(
            "A straw vote: it shows what people think and binds nobody."
        ),
    }[rule.code]


def share_words(share: Share) -> str:
    """A share as people say it."""
    spoken = {
        (1, 2, False): _("more than half"),
        (2, 3, True): _("at least two thirds"),
        (3, 4, True): _("at least three quarters"),
    }
    form = _("at least %(over)s of %(of)s") if share.is_reached_at else _("over %(over)s of %(of)s")
    known = spoken.get((share.over, share.of, share.is_reached_at))
    return known or form % {"over": share.over, "of": share.of}


def paper_names() -> Mapping[PaperKind, str]:
    """What a paper of a motion is."""
    return {
        PaperKind.OPINION: _("An adviser's opinion"),
        PaperKind.MINUTES: _("Minutes"),
        PaperKind.RECORDING: _("Recording"),
        PaperKind.OTHER: _("Another paper"),
    }


def dimension_names() -> Mapping[str, str]:
    """In what delegates shall differ."""
    return {"age_band": _("Age"), "occupation": _("Occupation"), "building": _("Building")}


def group_name(dimension: str, group: str) -> str:
    """One group of a dimension; a building has its own name."""
    if dimension == "building":
        return group
    return {**occupation_names(), **_age_names()}.get(group, group)


def occupation_names() -> Mapping[str, str]:
    """What people do all day."""
    return {
        "employee": _("Employed"),
        "self_employed": _("Self-employed"),
        "home": _("At home, caring for family"),
        "student": _("Student"),
        "retired": _("Retired"),
        "other": _("Something else"),
    }


def square_metres(area_dm2: int) -> str:
    """An area as people write it."""
    return f"{area_dm2 / DM2:,.2f} m²"


def percent(part: int, *, whole: int) -> str:
    """A share to one place, for a page; the decision itself uses no fractions."""
    return f"{100 * part / whole:.1f} %" if whole else "—"


def _age_names() -> Mapping[str, str]:
    return {
        "under_35": _("18 to 34"),
        "35_to_49": _("35 to 49"),
        "50_to_64": _("50 to 64"),
        "65_to_79": _("65 to 79"),
        "over_80": _("80 and over"),
    }
