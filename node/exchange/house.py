"""What exchange handlers need of the node beyond what every slice gets."""

import binascii
from base64 import urlsafe_b64decode
from typing import Protocol, cast
from uuid import UUID

from node.exchange import rules
from node.exchange.messages import PassSlip
from node.exchange.refusals import SlipUnusable
from node.exchange.rules import Consent
from node.kernel.errors import BadInput, DomainError
from node.kernel.messages import Sealed, Sealer
from node.kernel.signing import BadSignature
from node.peer import wire
from node.peer.book import PeerBook, UnknownPeer
from node.peer.seal import open_sealed
from node.peer.wire import Unreadable
from node.residents.rules import ACTING_ROLES, Role
from node.web.session import Caller, Connection, House

DESK = (Role.CLERK, Role.SOCIAL_WORKER)
ARBITERS = (Role.SOCIAL_WORKER, Role.SECRETARY)
WATCHERS = (Role.OPERATOR,)
CODE_TEXT_MAX = 100  # characters; what is longer is the text of a QR code
SLIP_TEXT_MAX = 2_000
SIGNATURE_BYTES = 64


class NotJoined(DomainError):
    code = "exchange.not_joined"
    message = "This community has not joined a district yet: there is nobody to exchange with."


class TradingHouse(House, Protocol):
    """A node that can deal with other communities."""

    @property
    def sealer(self) -> Sealer | None: ...
    @property
    def book(self) -> PeerBook: ...
    @property
    def debt_limit_minutes(self) -> int: ...

    def neighbours(self) -> list[tuple[str, str]]:
        """Ids and names of the other communities."""
        ...


def trading_house(request: Connection) -> TradingHouse:
    """The node this request came to."""
    return cast(TradingHouse, request.app.state.node)


def sealer_of(node: TradingHouse) -> Sealer:
    """Who signs for us; raises NotJoined where nobody can."""
    if node.sealer is None:
        raise NotJoined
    return node.sealer


def consent_of(who: Caller, resident_id: UUID, said: str | None) -> Consent:
    """How the resident agreed, for the record; a clerk has to say it, a program may not know.

    Raises BadInput for a word that is none of ours.
    """
    is_self, is_relative = who.resident_id == resident_id, not who.has(*ACTING_ROLES)
    if said is None and who.resident_id is not None and not is_self and not is_relative:
        raise BadInput(field="consent", problem="say how the resident agreed")
    return rules.consent(said, is_self=is_self, is_relative=is_relative)


def code_shown(node: TradingHouse, text: str) -> str:
    """The code that a guest shows: as it stands, or out of the signed slip of the QR code.

    A slip's signature is checked before its home is asked. Raises SlipUnusable.
    """
    text = "".join(text.split())
    if len(text) <= CODE_TEXT_MAX:
        return text
    slip = _slip(node, text[:SLIP_TEXT_MAX])
    home = rules.split_code(slip.code)[0]
    if slip.host != node.community:
        raise SlipUnusable(home=home, problem=f"it is for {slip.host}")
    if slip.expires_at <= node.clock.now():
        raise SlipUnusable(home=home, problem="it has expired")
    return slip.code


def _slip(node: TradingHouse, text: str) -> PassSlip:
    try:
        content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        sealed = Sealed(content[:-SIGNATURE_BYTES], content[-SIGNATURE_BYTES:])
        sender = wire.decode(sealed.payload).sender
        slip = open_sealed(node.book, sealed, sender=sender).body
    except (binascii.Error, ValueError, Unreadable, UnknownPeer, BadSignature) as problem:
        raise SlipUnusable(home="?", problem="nobody we know has signed it") from problem
    if not isinstance(slip, PassSlip) or rules.split_code(slip.code)[0] != sender:
        raise SlipUnusable(home=sender, problem="it is another kind of message")
    return slip
