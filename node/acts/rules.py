"""Whose acts are written down, and in which words: ids and routes, never what somebody typed."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from node.residents.rules import Role

RELATIVE = "relative"
TERMINAL = "terminal"  # the operator at the node's own machine
OWN_MATTERS = ("/sign-in", "/sign-out", "/profile/pin", "/ballot", "/ballots", "/sessions")
"""What a clerk does as a resident like any other: no record of how staff vote or sign in."""


def is_noted(*, route: str, roles: Iterable[Role], acts_for_another: bool) -> bool:
    """Staff are, in all they change but their own matters; and anybody acting for another."""
    if acts_for_another:
        return True
    is_staff = any(role != Role.RESIDENT for role in roles)
    return is_staff and not route.endswith(OWN_MATTERS)


def role_words(roles: Iterable[Role], *, acts_for_another: bool) -> str:
    """The roles that an act was done in; a relative has none but the elder's word."""
    held = sorted(role.value for role in roles if role != Role.RESIDENT)
    return ",".join(held) or (RELATIVE if acts_for_another else Role.RESIDENT.value)


def subject_of(parameters: Mapping[str, object]) -> str:
    """Which thing an act was about, as ids; a code in an address is a secret and stays out."""
    kept = {name: value for name, value in parameters.items() if isinstance(value, int | UUID)}
    return ",".join(f"{name}={value}" for name, value in sorted(kept.items()))
