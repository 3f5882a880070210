"""The text that an operator pastes: where the office is, how to know it, and a one-time secret."""

import base64
import binascii
import json
import re
from dataclasses import dataclass

from cryptography import x509

from node.enrolment.refusals import InvitationUnreadable, PeerAddressUnusable

PREFIX = "linli1."
TEXT_CHARACTERS_MAX = 10_000
FIELDS = ("address", "ca", "secret", "community", "district")
PORT_MAX = 65_535
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]+\]")
EVERYWHERE = frozenset({"0.0.0.0", "[::]"})  # noqa: S104 (refused, not bound)


@dataclass(frozen=True)
class Invitation:
    """An invitation as it reads."""

    address: str  # HOST:PORT of the office's enrol port
    ca_pem: str
    secret: str
    community: str
    district: str


def parse_invitation(text: str) -> Invitation:
    """What the text says; refused, with what is wrong about it, when it is not whole."""
    compact = "".join(text.split())
    if not compact.startswith(PREFIX):
        raise InvitationUnreadable(problem="it does not start with linli1.")
    if len(compact) > TEXT_CHARACTERS_MAX:
        raise InvitationUnreadable(problem="it is too long")
    encoded = compact.removeprefix(PREFIX)
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvitationUnreadable(problem="it is cut off or changed") from error
    if not isinstance(content, dict) or any(
        not isinstance(content.get(field), str) for field in FIELDS
    ):
        raise InvitationUnreadable(problem="something is missing in it")
    try:
        x509.load_pem_x509_certificate(content["ca"].encode())
    except ValueError as error:
        raise InvitationUnreadable(problem="the office's certificate in it is damaged") from error
    if not is_address(content["address"]):
        raise InvitationUnreadable(problem="the office's address in it is damaged")
    return Invitation(
        address=content["address"],
        ca_pem=content["ca"],
        secret=content["secret"],
        community=content["community"],
        district=content["district"],
    )


def require_address(text: str) -> str:
    """The address, if it reads HOST:PORT."""
    if not is_address(text):
        raise PeerAddressUnusable(address=text)
    return text


def is_address(text: str) -> bool:
    """Whether this is HOST:PORT with a host that others could reach."""
    host, _, port = text.rpartition(":")
    if HOST.fullmatch(host) is None or host in EVERYWHERE:
        return False
    return port.isdecimal() and 0 < int(port) <= PORT_MAX
