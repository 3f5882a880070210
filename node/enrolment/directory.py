"""The district's communities as the office signed them, and what this node keeps of its membership.

DIR/enrolment holds plain files, each replaced in one step: ca.pem, directory.bin, application.bin
(the request to join, kept before it is sent) and, written last, certificate.pem, whose presence
means that this node belongs to a district. A node starts from them with the office switched off.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from node.enrolment.keys import Keys, load_keys
from node.enrolment.refusals import (
    CertificateExpired,
    CertificateUnusable,
    DirectoryForged,
    DirectoryOutdated,
    StateUnreadable,
)
from node.kernel.evm_address import checksummed
from node.kernel.files import private_folder, write_file

if TYPE_CHECKING:  # a node that has joined no district does without protobuf
    from protos import enrolment_pb2 as pb

DIRECTORY_CONTEXT = b"linli/directory/v1\0"
COMMUNITY_URI = "linli:community:"
COMMUNITY_SUFFIX = ".community.linli"
ADDRESS_BYTES = 20


@dataclass(frozen=True)
class Member:
    """A community of the district, with the public halves of its keys."""

    community: str
    name: str
    number: int  # on the chain
    peer_address: str
    signing_public_key: bytes
    settlement_address: str
    is_revoked: bool  # its old signatures can be checked; it takes part in nothing new

    @property
    def certificate_name(self) -> str:
        """The DNS name that this community's certificate carries, wherever it is served."""
        return self.community.lower() + COMMUNITY_SUFFIX


@dataclass(frozen=True)
class Directory:
    """Who belongs, where they are, and which contract they settle with."""

    district: str
    version: int
    issued_at: datetime
    members: tuple[Member, ...]
    contract_address: str | None
    chain_id: int | None
    member_address: str
    superlink_address: str | None

    def member(self, community: str) -> Member | None:
        """The community with this id, revoked or not."""
        return next((one for one in self.members if one.community == community), None)

    def active(self, community: str) -> Member | None:
        """The community with this id, if it takes part."""
        found = self.member(community)
        return found if found is not None and not found.is_revoked else None


@dataclass(frozen=True)
class Membership:
    """What makes this node a member: keys, certificate, the office's root, the directory."""

    folder: Path
    community: str
    keys: Keys
    certificate_pem: bytes
    ca_pem: bytes
    directory: Directory

    @property
    def ca_path(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def issued_at(self) -> datetime:
        return self._certificate.not_valid_before_utc

    @property
    def expires_at(self) -> datetime:
        return self._certificate.not_valid_after_utc

    @property
    def renew_at(self) -> datetime:
        """Half of the certificate's life: the other half is for an office that is down."""
        return self.issued_at + (self.expires_at - self.issued_at) / 2

    def require_current(self, now: datetime) -> None:
        """Refused, with what to do about it, once the certificate has ended."""
        if self.expires_at <= now:
            expired_at = f"{self.expires_at:%Y-%m-%d %H:%M} UTC"
            raise CertificateExpired(community=self.community, expired_at=expired_at)

    def with_directory(self, signed: "pb.SignedDirectory") -> "Membership":
        """The membership with a newer directory, kept; forged or older ones are refused."""
        directory = read_directory(signed, ca_pem=self.ca_pem)
        if directory.version < self.directory.version:
            raise DirectoryOutdated(version=directory.version, known=self.directory.version)
        write_file(self.folder / "directory.bin", signed.SerializeToString())
        return replace(self, directory=directory)

    def with_certificate(self, certificate_pem: bytes) -> "Membership":
        """The membership with a renewed certificate, which is kept."""
        check_certificate(
            certificate_pem, keys=self.keys, ca_pem=self.ca_pem, community=self.community
        )
        write_file(self.folder / "certificate.pem", certificate_pem)
        return replace(self, certificate_pem=certificate_pem)

    @property
    def _certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate_pem)


def load_membership(directory: Path) -> Membership | None:
    """The node's membership as it was kept; None if it has not joined a district."""
    folder = directory / "enrolment"
    path = folder / "certificate.pem"
    if not path.exists():
        return None
    from google.protobuf.message import DecodeError

    from protos import enrolment_pb2 as pb

    try:
        certificate_pem = path.read_bytes()
        community = community_of(certificate_pem)
        path = folder / "ca.pem"
        ca_pem = path.read_bytes()
        path = folder / "directory.bin"
        signed = pb.SignedDirectory.FromString(path.read_bytes())
    except OSError as error:
        raise StateUnreadable(path=str(path), problem=error.strerror or "unreadable") from error
    except (ValueError, DecodeError) as error:
        raise StateUnreadable(path=str(path), problem="it is damaged") from error
    keys = load_keys(directory)
    check_certificate(certificate_pem, keys=keys, ca_pem=ca_pem, community=community)
    return Membership(
        folder=folder,
        community=community,
        keys=keys,
        certificate_pem=certificate_pem,
        ca_pem=ca_pem,
        directory=read_directory(signed, ca_pem=ca_pem),
    )


def keep_membership(
    directory: Path, *, certificate_pem: bytes, ca_pem: bytes, signed: "pb.SignedDirectory"
) -> None:
    """Keep what an approval brought, the certificate last: it makes the rest count."""
    folder = private_folder(directory / "enrolment")
    write_file(folder / "ca.pem", ca_pem)
    write_file(folder / "directory.bin", signed.SerializeToString())
    write_file(folder / "certificate.pem", certificate_pem)


def read_directory(signed: "pb.SignedDirectory", *, ca_pem: bytes) -> Directory:
    """A directory, once its signature is seen to be the office's."""
    from google.protobuf.message import DecodeError

    from protos import enrolment_pb2 as pb

    try:
        office_key = x509.load_pem_x509_certificate(ca_pem).public_key()
        assert isinstance(office_key, ec.EllipticCurvePublicKey)
        office_key.verify(
            signed.signature, DIRECTORY_CONTEXT + signed.payload, ec.ECDSA(hashes.SHA256())
        )
        content = pb.Directory.FromString(signed.payload)
    except (InvalidSignature, ValueError, DecodeError) as error:
        raise DirectoryForged() from error
    return Directory(
        district=content.district,
        version=content.version,
        issued_at=content.issued_at.ToDatetime(tzinfo=UTC),
        members=tuple(_member(one) for one in content.members),
        contract_address=content.contract_address or None,
        chain_id=content.chain_id or None,
        member_address=content.member_address,
        superlink_address=content.superlink_address or None,
    )


def check_certificate(certificate_pem: bytes, *, keys: Keys, ca_pem: bytes, community: str) -> None:
    """Refused unless the office issued it, for this community and for our own key."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_pem))
        named = community_of(certificate_pem)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise CertificateUnusable(problem="the district's office has not signed it") from error
    if certificate.public_key() != keys.peer.public_key():
        raise CertificateUnusable(problem="it is for another key")
    if named != community:
        raise CertificateUnusable(problem=f"it is for {named}")


def community_of(certificate_pem: bytes) -> str:
    """The community that a certificate names; ValueError if it names none or several."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise ValueError("a certificate without names") from error
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    found = [uri.removeprefix(COMMUNITY_URI) for uri in uris if uri.startswith(COMMUNITY_URI)]
    if len(found) != 1:
        raise ValueError("a certificate of no community")
    return found[0]


def _member(content: "pb.Member") -> Member:
    is_address = len(content.settlement_address) == ADDRESS_BYTES
    return Member(
        community=content.community_id,
        name=content.name,
        number=content.number,
        peer_address=content.peer_address,
        signing_public_key=content.signing_public_key,
        settlement_address=checksummed(content.settlement_address) if is_address else "",
        is_revoked=content.is_revoked,
    )
