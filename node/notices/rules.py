"""Which ways a notice can take, how often it is tried, and how a webhook is signed: pure."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

from node.kernel.errors import BadInput


class Channel(StrEnum):
    """A way out of the house. The inbox is not one: it is always there."""

    EMAIL = "email"
    SMS = "sms"
    WECHAT = "wechat"


class Audience(StrEnum):
    """Whom an announcement concerns."""

    EVERYONE = "everyone"
    OWNERS = "owners"


class DeliveryState(StrEnum):
    """Where a message to a provider stands. Only WAITING can change."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"  # refused for good, tried too often, or too old
    CALLED_OFF = "called_off"  # the resident no longer wants it


TRIES_MAX = 8
FIRST_PAUSE, PAUSE_MAX = timedelta(seconds=30), timedelta(hours=6)
AGE_MAX = timedelta(days=3)  # what was not delivered by then helps nobody
BATCH_MAX = 50  # messages in one look at the queue
WAITING_MAX = 100_000  # messages in the queue; more notices reach the inbox alone
ADDRESS_LENGTH_MAX = 254
INBOX_PAGE = 50  # notices on one page

_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[A-Za-z0-9.-]{1,185}\.[A-Za-z]{2,}")
_OPENID = re.compile(r"[A-Za-z0-9_-]{6,64}")
_PHONE = re.compile(r"\+?[0-9]{5,15}")


def pause_after(tries: int) -> timedelta:
    """How long to wait after the n-th failed try: doubled each time, up to PAUSE_MAX."""
    doublings: int = min(tries - 1, 20)
    return min(FIRST_PAUSE * (1 << doublings), PAUSE_MAX)


def clean_address(channel: Channel, text: str) -> str:
    """The address as the provider wants it, or a refusal that says what is missing."""
    address = text.strip()
    if channel is Channel.SMS:
        address = re.sub(r"[\s\-().]", "", address)
    pattern, problem = {
        Channel.EMAIL: (_EMAIL, "this is not an e-mail address"),
        Channel.SMS: (_PHONE, "give 5 to 15 digits"),
        Channel.WECHAT: (_OPENID, "this is not a WeChat openid"),
    }[channel]
    if len(address) > ADDRESS_LENGTH_MAX or not pattern.fullmatch(address):
        raise BadInput(field=f"address-{channel}", problem=problem)
    return address


def signature(secret: bytes, *, timestamp: str, body: bytes) -> str:
    """What proves to the receiver of a webhook that we sent these bytes, and when."""
    signed = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


def is_genuine(secret: bytes, *, timestamp: str, body: bytes, signatures: Sequence[str]) -> bool:
    """What the receiver computes; several signatures while a secret is being changed."""
    own = signature(secret, timestamp=timestamp, body=body)
    return any(hmac.compare_digest(own, other) for other in signatures)
