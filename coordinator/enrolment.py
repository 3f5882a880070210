"""Who belongs to the district: invitation, request, approval, renewal, revocation."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_public_key,
)
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import directory
from coordinator.authority import Authority, host_name, pem_of, read_request, serial_text
from coordinator.model import Certificate, Community, CommunityState, Invitation
from coordinator.refusals import (
    ApplicationUnusable,
    CertificateUnknown,
    CommunityIdUnusable,
    CommunityRevoked,
    CommunityUnknown,
    InvitationExpired,
    InvitationUnknown,
    InvitationUsed,
    NothingToApprove,
    SettlementKeyChanged,
)
from node.kernel import signing
from node.kernel.evm_address import address_of
from node.kernel.ports import Clock

COMMUNITY_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,38}[A-Za-z0-9])?")
NAME_CHARACTERS_MAX = 60
INVITATION_LIFETIME = timedelta(days=7)
FLOWER_KEY_CHARACTERS_MAX = 1_000


@dataclass(frozen=True)
class Application:
    """A community's request to join, as it was sent (`signed_bytes`) and as it reads."""

    signed_bytes: bytes
    signature: bytes
    settlement_proof: bytes
    invitation_secret: str
    community_id: str
    csr_pem: str
    signing_public_key: bytes
    settlement_public_key: bytes
    settlement_address: bytes
    flower_public_key: str
    peer_address: str


def invite(
    session: Session,
    clock: Clock,
    *,
    community_id: str,
    name: str,
    secret: str,
    lifetime: timedelta = INVITATION_LIFETIME,
) -> Invitation:
    """Let one community apply once; a known community may be invited again to replace its keys."""
    community = session.get(Community, community_id)
    if community is None:
        community = _new_community(session, community_id=community_id, name=name)
    elif community.state is CommunityState.REVOKED:
        raise CommunityRevoked(community=community_id)
    invitation = Invitation(
        secret_sha256=_secret_hash(secret),
        community_id=community.id,
        invited_at=clock.now(),
        expires_at=clock.now() + lifetime,
    )
    session.add(invitation)
    return invitation


def invitation_text(
    *, address: str, ca_pem: str, secret: str, community_id: str, district: str
) -> str:
    """What an operator pastes: where we are, how to know us, and the one-time secret."""
    content = {
        "address": address,
        "ca": ca_pem,
        "secret": secret,
        "community": community_id,
        "district": district,
    }
    encoded = base64.urlsafe_b64encode(json.dumps(content, ensure_ascii=False).encode())
    return "linli1." + encoded.decode().rstrip("=")


def apply(session: Session, clock: Clock, *, application: Application) -> Invitation:
    """Take a request to join; the same request again finds what became of the first."""
    invitation = _invitation(
        session, secret=application.invitation_secret, community_id=application.community_id
    )
    key = _checked(application)
    fingerprint = _fingerprint(application, certificate_key=key)
    if invitation.fingerprint is not None:
        if invitation.fingerprint != fingerprint:
            raise InvitationUsed()
        return invitation
    _require_current(invitation, clock)
    _refuse_borrowed_keys(session, application)
    invitation.applied_at = clock.now()
    invitation.fingerprint = fingerprint
    invitation.csr_pem = application.csr_pem
    invitation.peer_address = application.peer_address
    invitation.signing_public_key = application.signing_public_key
    invitation.settlement_address = application.settlement_address
    invitation.flower_public_key = application.flower_public_key.strip()
    return invitation


def waiting(session: Session) -> list[str]:
    """The communities that have applied and wait for an approval, longest first."""
    return list(
        session.scalars(
            select(Invitation.community_id)
            .where(Invitation.applied_at.is_not(None), Invitation.approved_at.is_(None))
            .order_by(Invitation.applied_at)
        ).unique()
    )


def approve(
    session: Session, clock: Clock, authority: Authority, *, community_id: str
) -> Community:
    """Admit a community: certificate, number, place in the directory."""
    community = session.get(Community, community_id)
    if community is None:
        raise CommunityUnknown(community=community_id)
    if community.state is CommunityState.REVOKED:
        raise CommunityRevoked(community=community_id)
    applied = session.scalars(
        select(Invitation)
        .where(
            Invitation.community_id == community_id,
            Invitation.applied_at.is_not(None),
            Invitation.approved_at.is_(None),
        )
        .order_by(Invitation.applied_at.desc())
    ).all()
    if not applied:
        if community.state is CommunityState.ACTIVE:
            return community
        raise NothingToApprove(community=community_id)
    invitation, *overtaken = applied
    for older in overtaken:
        session.delete(older)
    _take_over(session, clock, community, invitation)
    session.flush()
    assert invitation.csr_pem is not None
    certificate = _issue(session, clock, authority, community, csr_pem=invitation.csr_pem)
    invitation.approved_at = clock.now()
    invitation.certificate_serial = certificate.serial
    directory.changed(session)
    return community


def answer(
    session: Session, clock: Clock, *, secret: str, community_id: str
) -> tuple[Invitation, Certificate | None]:
    """What became of a request: the invitation, and its certificate once approved."""
    invitation = _invitation(session, secret=secret, community_id=community_id)
    if invitation.applied_at is None:
        _require_current(invitation, clock)
    if invitation.certificate_serial is None:
        return invitation, None
    return invitation, session.get_one(Certificate, invitation.certificate_serial)


def renew(
    session: Session, clock: Clock, authority: Authority, *, community_id: str, csr_pem: str
) -> Certificate:
    """Another certificate for an active community's key."""
    community = session.get_one(Community, community_id)
    return _issue(session, clock, authority, community, csr_pem=csr_pem)


def revoke(session: Session, clock: Clock, *, community_id: str) -> Community:
    """Shut a community out: its certificates, its invitations, its place as an active member."""
    community = session.get(Community, community_id)
    if community is None:
        raise CommunityUnknown(community=community_id)
    if community.state is CommunityState.REVOKED:
        return community
    community.state = CommunityState.REVOKED
    for certificate in session.scalars(
        select(Certificate).where(
            Certificate.community_id == community_id, Certificate.revoked_at.is_(None)
        )
    ):
        certificate.revoked_at = clock.now()
    directory.changed(session)
    return community


def require_member(session: Session, clock: Clock, *, community_id: str, serial: str) -> Community:
    """The active community behind a client certificate; everybody else is refused."""
    community = session.get(Community, community_id)
    certificate = session.get(Certificate, serial)
    if community is None or certificate is None or certificate.community_id != community_id:
        raise CertificateUnknown()
    if community.state is CommunityState.REVOKED:
        raise CommunityRevoked(community=community_id)
    if certificate.revoked_at is not None or certificate.expires_at <= clock.now():
        raise CertificateUnknown()
    return community


def _new_community(session: Session, *, community_id: str, name: str) -> Community:
    folded = session.scalars(
        select(Community.id).where(func.lower(Community.id) == community_id.lower())
    ).first()
    if COMMUNITY_ID.fullmatch(community_id) is None or folded is not None:
        raise CommunityIdUnusable(community=community_id)
    if not name.strip() or len(name) > NAME_CHARACTERS_MAX:
        raise ApplicationUnusable(problem=f"a name has 1-{NAME_CHARACTERS_MAX} characters")
    community = Community(id=community_id, name=name.strip(), state=CommunityState.INVITED)
    session.add(community)
    session.flush()
    return community


def _invitation(session: Session, *, secret: str, community_id: str) -> Invitation:
    invitation = session.get(Invitation, _secret_hash(secret))
    if invitation is None or invitation.community_id != community_id:
        raise InvitationUnknown()
    community = session.get_one(Community, community_id)
    if community.state is CommunityState.REVOKED:
        raise CommunityRevoked(community=community_id)
    return invitation


def _require_current(invitation: Invitation, clock: Clock) -> None:
    if invitation.expires_at <= clock.now():
        raise InvitationExpired(expired_at=f"{invitation.expires_at:%Y-%m-%d %H:%M} UTC")


def _checked(application: Application) -> ec.EllipticCurvePublicKey:
    """The certificate's public key, after every proof of possession was seen."""
    _require(
        signing.verify(
            application.signing_public_key,
            context=signing.ENROLMENT,
            payload=application.signed_bytes,
            signature=application.signature,
        ),
        "its Ed25519 signature does not fit",
    )
    _require(_holds_settlement_key(application), "its settlement key's proof does not fit")
    _require(_is_flower_key(application.flower_public_key), "its training key is not ECDSA P-384")
    host, _, port = application.peer_address.rpartition(":")
    _require(port.isdecimal() and 0 < int(port) <= 65535, "its peer address is not HOST:PORT")
    host_name(host)
    return read_request(application.csr_pem, community_id=application.community_id)


def _require(is_so: bool, problem: str) -> None:
    if not is_so:
        raise ApplicationUnusable(problem=problem)


def _holds_settlement_key(application: Application) -> bool:
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(
            ec.SECP256K1(), application.settlement_public_key
        )
        key.verify(
            application.settlement_proof,
            signing.ENROLMENT + application.signed_bytes,
            ec.ECDSA(hashes.SHA256()),
        )
    except (InvalidSignature, ValueError):
        return False
    return address_of(key) == application.settlement_address


def _is_flower_key(text: str) -> bool:
    if len(text) > FLOWER_KEY_CHARACTERS_MAX:
        return False
    try:
        key = load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1)


def _fingerprint(application: Application, *, certificate_key: ec.EllipticCurvePublicKey) -> bytes:
    """The same for the same keys and address, also when the request was signed anew."""
    parts = [
        application.community_id.encode(),
        certificate_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        application.signing_public_key,
        application.settlement_address,
        application.flower_public_key.strip().encode(),
        application.peer_address.encode(),
    ]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


def _refuse_borrowed_keys(session: Session, application: Application) -> None:
    """One key, one community: else one could sign in the other's name."""
    others = session.scalars(
        select(Community.id).where(
            Community.id != application.community_id,
            (Community.signing_public_key == application.signing_public_key)
            | (Community.settlement_address == application.settlement_address)
            | (Community.flower_public_key == application.flower_public_key.strip()),
        )
    ).first()
    _require(others is None, "another community uses one of its keys")


def _take_over(
    session: Session, clock: Clock, community: Community, invitation: Invitation
) -> None:
    if community.on_chain_at is not None and (
        community.settlement_address != invitation.settlement_address
    ):
        raise SettlementKeyChanged(community=community.id)
    if community.flower_public_key != invitation.flower_public_key:
        community.in_training_at = None
    if community.number is None:
        highest = session.scalars(select(func.max(Community.number))).one()
        community.number = (highest or 0) + 1
    community.state = CommunityState.ACTIVE
    community.peer_address = invitation.peer_address
    community.signing_public_key = invitation.signing_public_key
    community.settlement_address = invitation.settlement_address
    community.flower_public_key = invitation.flower_public_key
    community.approved_at = clock.now()
    for old in session.scalars(
        select(Certificate).where(
            Certificate.community_id == community.id, Certificate.revoked_at.is_(None)
        )
    ):
        old.revoked_at = clock.now()  # new keys: whoever holds the old ones is a stranger now


def _issue(
    session: Session, clock: Clock, authority: Authority, community: Community, *, csr_pem: str
) -> Certificate:
    assert community.peer_address is not None, "an active community has an address"
    issued = authority.issue_member(
        read_request(csr_pem, community_id=community.id),
        community_id=community.id,
        peer_address=community.peer_address,
        now=clock.now(),
    )
    return _remember(session, community.id, issued)


def _remember(session: Session, community_id: str, issued: x509.Certificate) -> Certificate:
    certificate = Certificate(
        serial=serial_text(issued),
        community_id=community_id,
        pem=pem_of(issued),
        issued_at=issued.not_valid_before_utc,
        expires_at=issued.not_valid_after_utc,
    )
    session.add(certificate)
    return certificate


def _secret_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
