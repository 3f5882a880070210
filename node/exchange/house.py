"""What exchange handlers need of the node beyond what every slice gets."""

import binascii
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import Annotated, Protocol, cast
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from node.exchange import rules
from node.exchange.messages import PassSlip
from node.exchange.refusals import ActorUnfit, ConsentUnstated, SlipUnusable
from node.exchange.rules import Consent
from node.kernel.errors import BadInput, DomainError
from node.kernel.messages import Sealed, Sealer
from node.kernel.ports import Clock
from node.kernel.signing import BadSignature
from node.peer import wire
from node.peer.book import PeerBook, UnknownPeer
from node.peer.seal import open_sealed
from node.peer.wire import Unreadable
from node.residents import proxies
from node.residents import service as residents
from node.residents.refusals import NoProxy
from node.residents.rules import ACTING_ROLES, Role, Scope
from node.web.session import Caller, Connection, House

DESK = (Role.CLERK, Role.SOCIAL_WORKER)
ARBITERS = (Role.SOCIAL_WORKER, Role.SECRETARY)
WATCHERS = (Role.OPERATOR,)
CODE_TEXT_MAX = 100  # characters; what is longer is the text of a QR code
SLIP_TEXT_MAX = 2_000
SIGNATURE_BYTES = 64

SaidConsent = Annotated[
    str | None,
    msgspec.Meta(
        description="How the resident agreed. Staff who is signed in says in_person, telephone or "
        "written; a program has to say one of these, or self, or proxy (a relative)."
    ),
]
ActedBy = Annotated[
    UUID | None,
    msgspec.Meta(
        description="The person who acts. A program has to name one: the resident (self), the "
        "relative (proxy), else a clerk or social worker. Who is signed in is who acts."
    ),
]


@dataclass(frozen=True)
class Acting:
    """Who spends a resident's minutes, and how the resident agreed: kept with what was done."""

    by: UUID | None  # None: the resident, signed in
    consent: Consent


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
    """How the resident agreed to what a person does, for the record; a clerk has to say it.

    Raises BadInput for a word that is none of ours.
    """
    is_self, is_relative = who.resident_id == resident_id, not who.has(*ACTING_ROLES)
    if said is None and not is_self and not is_relative:
        raise BadInput(field="consent", problem="say how the resident agreed")
    return rules.consent(said, is_self=is_self, is_relative=is_relative)


def acting(
    session: Session,
    clock: Clock,
    who: Caller,
    resident_id: UUID,
    *,
    consent: str | None,
    acted_by: UUID | None,
) -> Acting:
    """Who acts for a resident whose minutes are to be spent; nobody's program does so alone.

    A person is signed in and acts. A program says who does and how the resident agreed, and both
    have to fit. Raises ConsentUnstated, ActorUnfit, NoProxy, or BadInput for an unknown word.
    """
    if who.resident_id is not None:
        if acted_by not in (None, who.resident_id):
            raise ActorUnfit(actor=str(acted_by))
        return Acting(who.recorder(resident_id), consent_of(who, resident_id, consent))
    if consent is None or acted_by is None:
        raise ConsentUnstated
    said = rules.stated_consent(consent)
    match said:
        case Consent.SELF:
            is_fit = acted_by == resident_id
        case Consent.PROXY:
            scopes = proxies.scopes_for(session, clock, helper_id=acted_by, elder_id=resident_id)
            if not scopes & {Scope.EVERYTHING, Scope.TIMEBANK}:
                raise NoProxy
            is_fit = True
        case _:
            is_staff = not ACTING_ROLES.isdisjoint(residents.roles_of(session, acted_by))
            is_fit = is_staff and acted_by != resident_id
    if not is_fit:
        raise ActorUnfit(actor=str(acted_by))
    return Acting(who.hand if said is Consent.SELF else acted_by, said)


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
