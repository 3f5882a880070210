"""Roles, phone numbers, PINs and the limits of signing in: pure, and read by pages and tests."""

import hashlib
import itertools
import re
import unicodedata
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

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


WORDING = {Purpose.PRIVACY_NOTICE: 1, Purpose.OUTSIDE_MESSAGES: 1}
"""Which version of its text a resident is shown; raise it when the text changes."""

ACTING_ROLES = frozenset({Role.CLERK, Role.SOCIAL_WORKER})  # staff who may act for any resident
NAME_LENGTH_MAX = 60
BUILDING_LENGTH_MAX = 60
HOUSEHOLD_LENGTH_MAX = 40
PIN_LENGTH_MIN, PIN_LENGTH_MAX = 6, 12  # digits
PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX = 10, 128  # characters of any kind
DIFFERENT_CHARACTERS_MIN = 4  # in a password
FLOOR_AREA_DM2_MAX = 10_000_000  # 100,000 m²
BIRTH_YEAR_MIN, AGE_YEARS_MAX = 1900, 130
TRIES_MAX = 5  # wrong PINs in a row before the number is locked
LOCK_TIME = timedelta(minutes=15)
SIGN_IN_TIME = timedelta(days=14)  # how long a person stays signed in
TOKEN_TIME = timedelta(days=365)  # how long a program's token works
PROXY_TIME_MAX = timedelta(days=366)

_AREA = re.compile(r"[0-9]{1,6}(\.[0-9]{1,2})?")
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
    """Refuse a PIN, or a password, that a neighbour could guess in a few tries."""
    if pin.isascii() and pin.isdigit() and len(pin) <= PIN_LENGTH_MAX:
        if len(pin) < PIN_LENGTH_MIN:
            raise BadInput(field="pin", problem="give 6 to 12 digits")
        steps = {int(after) - int(before) for before, after in itertools.pairwise(pin)}
        is_simple = steps in ({0}, {1}, {-1})
    else:
        if not PASSWORD_LENGTH_MIN <= len(pin) <= PASSWORD_LENGTH_MAX:
            raise BadInput(field="pin", problem="give 6 to 12 digits, or 10 to 128 characters")
        is_simple = len(set(pin)) < DIFFERENT_CHARACTERS_MIN
    if is_simple:
        raise BadInput(field="pin", problem="this one is too easy to guess")


def clean_household(text: str | None) -> str | None:
    """The flat without spaces, full-width signs made plain, None where none was said."""
    household = re.sub(r"\s+", "", unicodedata.normalize("NFKC", text or ""))
    if len(household) > HOUSEHOLD_LENGTH_MAX or not household.isprintable():
        raise BadInput(field="household", problem="give at most 40 characters")
    return household or None


def read_floor_area(text: str) -> int | None:
    """Square metres as typed (89.5) in hundredths of one; None where nothing was typed."""
    text = text.strip()
    if not text:
        return None
    if not _AREA.fullmatch(text):
        raise BadInput(field="floor_area", problem="give square metres, such as 89.53")
    return int(Decimal(text) * 100)


def check_birth_year(year: int | None, *, this_year: int) -> None:
    """Refuse a year in which nobody alive was born."""
    if year is not None and not max(BIRTH_YEAR_MIN, this_year - AGE_YEARS_MAX) <= year <= this_year:
        raise BadInput(field="birth_year", problem="give a year like 1946")


def digest(secret: str) -> str:
    """What is stored of a secret: its SHA-256, useless to whoever reads the database."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Particulars(NamedTuple):
    """What the house knows about somebody, as one value to check, compare and correct."""

    name: str
    phone: str
    building: str | None = None
    household: str | None = None
    is_owner: bool = False
    floor_area_dm2: int | None = None
    birth_year: int | None = None

    def checked(self, *, this_year: int) -> "Particulars":
        """The same without stray spaces, or a refusal that names the field."""
        clean = self._replace(
            name=clean_name(self.name),
            phone=clean_phone(self.phone),
            building=clean_building(self.building),
            household=clean_household(self.household),
        )
        check_birth_year(self.birth_year, this_year=this_year)
        area = self.floor_area_dm2
        if self.is_owner and clean.household is None:
            raise BadInput(field="household", problem="an owner owns a flat: which one?")
        if area is not None and not (self.is_owner and 0 < area <= FLOOR_AREA_DM2_MAX):
            raise BadInput(field="floor_area", problem="only an owner has a floor area, above 0")
        return clean
