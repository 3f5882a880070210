"""Roles, phone numbers, PINs and the limits of signing in: pure, and read by pages and tests."""

import hashlib
import itertools
import re
from datetime import timedelta
from enum import StrEnum

from node.kernel.errors import BadInput


class Role(StrEnum):
    """What somebody may do in this community."""

    RESIDENT = "resident"
    CLERK = "clerk"
    PROPERTY = "property"
    SOCIAL_WORKER = "social_worker"
    SECRETARY = "secretary"
    OPERATOR = "operator"


class Scope(StrEnum):
    """What a proxy may do for an elder. Never a ballot: that takes a written proxy of its own."""

    EVERYTHING = "everything"
    REPAIRS = "repairs"
    TIMEBANK = "timebank"
    POINTS = "points"


class Evidence(StrEnum):
    """How an elder agreed to a proxy."""

    SELF = "self"  # signed in, on their own page
    IN_PERSON = "in_person"  # said so at the desk
    PAPER = "paper"  # a signed paper is kept at the desk
    HOME_VISIT = "home_visit"  # said so to a social worker at home


class Purpose(StrEnum):
    """What a resident is asked to agree to; each has its own effect and its own way back."""

    PRIVACY_NOTICE = "privacy_notice"  # what is stored here, why, and for how long
    OUTSIDE_MESSAGES = "outside_messages"  # notices by e-mail, SMS or WeChat, through a provider


ACTING_ROLES = frozenset({Role.CLERK, Role.SOCIAL_WORKER})  # staff who may act for any resident
NAME_LENGTH_MAX = 60
BUILDING_LENGTH_MAX = 60
PIN_LENGTH_MIN, PIN_LENGTH_MAX = 6, 12
BIRTH_YEAR_MIN, AGE_YEARS_MAX = 1900, 130
TRIES_MAX = 5  # wrong PINs in a row before the number is locked
LOCK_TIME = timedelta(minutes=15)
SIGN_IN_TIME = timedelta(days=14)  # how long a person stays signed in
TOKEN_TIME = timedelta(days=365)  # how long a program's token works
PROXY_TIME_MAX = timedelta(days=366)

_PHONE = re.compile(r"\+?[0-9]{5,15}")


def clean_phone(text: str) -> str:
    """The number without spaces and dashes; refuses what cannot be a phone number."""
    phone = re.sub(r"[\s\-().]", "", text)
    if not _PHONE.fullmatch(phone):
        raise BadInput(field="phone", problem="give 5 to 15 digits")
    return phone


def clean_name(text: str) -> str:
    """The name without spaces around it; refuses an empty or endless one."""
    name = text.strip()
    if not (0 < len(name) <= NAME_LENGTH_MAX and name.isprintable()):
        raise BadInput(field="name", problem="give 1 to 60 characters")
    return name


def clean_building(text: str | None) -> str | None:
    """The building without spaces around it, None where none was said."""
    building = (text or "").strip()
    if len(building) > BUILDING_LENGTH_MAX or not building.isprintable():
        raise BadInput(field="building", problem="give at most 60 characters")
    return building or None


def check_pin(pin: str) -> None:
    """Refuse a PIN that a neighbour could guess in a few tries."""
    if not (pin.isascii() and pin.isdigit() and PIN_LENGTH_MIN <= len(pin) <= PIN_LENGTH_MAX):
        raise BadInput(field="pin", problem="give 6 to 12 digits")
    steps = {int(after) - int(before) for before, after in itertools.pairwise(pin)}
    if steps in ({0}, {1}, {-1}):
        raise BadInput(field="pin", problem="this one is too easy to guess")


def check_birth_year(year: int | None, *, this_year: int) -> None:
    """Refuse a year in which nobody alive was born."""
    if year is not None and not max(BIRTH_YEAR_MIN, this_year - AGE_YEARS_MAX) <= year <= this_year:
        raise BadInput(field="birth_year", problem="give a year like 1946")


def digest(secret: str) -> str:
    """What is stored of a secret: its SHA-256, useless to whoever reads the database."""
    return hashlib.sha256(secret.encode()).hexdigest()
