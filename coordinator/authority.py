"""The certificate authority's only door: who is issued what, for how long, and what its key signs.

Every certificate names a role that an address cannot: the office is `office.linli`, a community
`<id>.community.linli`. Callers check that name and not the host, so that a member which takes over
an address (on one machine: a port) passes neither for the office nor for a neighbour.
"""

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from coordinator.refusals import ApplicationUnusable, OfficeUnreadable
from node.kernel.files import write_file, write_new_file

MEMBER_LIFETIME = timedelta(days=30)  # a node renews from half of it on
SERVER_LIFETIME = timedelta(days=800)  # issued anew at each start of the office
AUTHORITY_LIFETIME = timedelta(days=3650)
CLOCK_TOLERANCE = timedelta(minutes=10)  # a node's clock may be behind the office's
OFFICE_NAME = "office.linli"
COMMUNITY_URI = "linli:community:"
COMMUNITY_SUFFIX = ".community.linli"
DIRECTORY_CONTEXT = b"linli/directory/v1\0"
CSR_CHARACTERS_MAX = 8_000


class Authority:
    """Issues certificates and signs directories with the district's key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @property
    def certificate_pem(self) -> str:
        return pem_of(self._certificate)

    def issue_member(
        self,
        public_key: ec.EllipticCurvePublicKey,
        *,
        community_id: str,
        peer_address: str,
        now: datetime,
    ) -> x509.Certificate:
        """A community's certificate, for its calls and for its peer port."""
        names = [
            x509.UniformResourceIdentifier(COMMUNITY_URI + community_id),
            x509.DNSName(community_id.lower() + COMMUNITY_SUFFIX),
            host_name(peer_address.rpartition(":")[0]),
        ]
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        return self._issue(
            public_key,
            subject=community_id,
            names=names,
            purposes=purposes,
            not_before=now - CLOCK_TOLERANCE,
            not_after=now + MEMBER_LIFETIME,
        )

    def issue_server(
        self, public_key: ec.EllipticCurvePublicKey, *, hosts: Sequence[str], now: datetime
    ) -> x509.Certificate:
        """The certificate of the office's own ports."""
        names = [x509.DNSName(OFFICE_NAME), *(host_name(host) for host in dict.fromkeys(hosts))]
        return self._issue(
            public_key,
            subject=OFFICE_NAME,
            names=names,
            purposes=[ExtendedKeyUsageOID.SERVER_AUTH],
            not_before=now - CLOCK_TOLERANCE,
            not_after=now + SERVER_LIFETIME,
        )

    def sign_directory(self, payload: bytes) -> bytes:
        """The office's word that these are the district's communities."""
        return self._key.sign(DIRECTORY_CONTEXT + payload, ec.ECDSA(hashes.SHA256()))

    def _issue(
        self,
        public_key: ec.EllipticCurvePublicKey,
        *,
        subject: str,
        names: Sequence[x509.GeneralName],
        purposes: Sequence[x509.ObjectIdentifier],
        not_before: datetime,
        not_after: datetime,
    ) -> x509.Certificate:
        issuer = self._certificate
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(issuer.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(min(not_after, issuer.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(may_sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )


def create_authority(*, key_path: Path, certificate_path: Path, name: str, now: datetime) -> None:
    """Make the district's key (0600), unless it is there, and its self-signed certificate."""
    write_new_file(key_path, _key_pem(ec.generate_private_key(ec.SECP256R1())), is_private=True)
    key = _read_key(key_path)
    public_key = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(name))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(may_sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_file(certificate_path, pem_of(certificate).encode())


def load_authority(*, key_path: Path, certificate_path: Path) -> Authority:
    """The authority as `create_authority` left it."""
    certificate = _read_certificate(certificate_path)
    return Authority(_read_key(key_path), certificate)


def server_identity(
    authority: Authority, *, key_path: Path, hosts: Sequence[str], now: datetime
) -> tuple[bytes, bytes]:
    """Key and certificate (PEM) for the office's ports; the key is kept, the certificate is new."""
    if not key_path.exists():
        write_new_file(key_path, _key_pem(ec.generate_private_key(ec.SECP256R1())), is_private=True)
    key = _read_key(key_path)
    certificate = authority.issue_server(key.public_key(), hosts=hosts, now=now)
    return _key_pem(key), pem_of(certificate).encode()


def read_request(csr_pem: str, *, community_id: str) -> ec.EllipticCurvePublicKey:
    """The public key of a certificate request that its owner signed for this community."""
    if len(csr_pem) > CSR_CHARACTERS_MAX:
        raise ApplicationUnusable(problem="the certificate request is too long")
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        uris = community_uris(request.extensions)
        is_signed = request.is_signature_valid
        key = request.public_key()
    except (ValueError, x509.ExtensionNotFound, TypeError) as error:
        raise ApplicationUnusable(problem="the certificate request is unreadable") from error
    if not is_signed:
        raise ApplicationUnusable(problem="the certificate request is not signed by its key")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ApplicationUnusable(problem="the certificate request is not for a P-256 key")
    if uris != [COMMUNITY_URI + community_id]:
        raise ApplicationUnusable(problem="the certificate request names another community")
    return key


def community_uris(extensions: x509.Extensions) -> list[str]:
    """The URIs in a certificate's or a request's alternative names."""
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def caller(certificate_pem: bytes) -> tuple[str, str]:
    """Community id and serial of a client certificate that TLS has checked against our root."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    try:
        uris = community_uris(certificate.extensions)
    except x509.ExtensionNotFound:
        uris = []
    communities = [uri.removeprefix(COMMUNITY_URI) for uri in uris if uri.startswith(COMMUNITY_URI)]
    return (communities[0] if len(communities) == 1 else "", serial_text(certificate))


def serial_text(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:040x}"


def host_name(host: str) -> x509.GeneralName:
    """A host as certificates name it: an IP address, or a DNS name that is not one of ours."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    if not host or host.lower().endswith(".linli"):
        raise ApplicationUnusable(problem=f"{host or 'an empty name'} is not a host")
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise ApplicationUnusable(problem=f"{host} is not a host") from error


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, may_sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=may_sign_certificates,
        crl_sign=may_sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def pem_of(certificate: x509.Certificate) -> str:
    """The certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise OfficeUnreadable(path=str(path), problem=type(error).__name__) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise OfficeUnreadable(path=str(path), problem="it holds another kind of key")
    return key


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise OfficeUnreadable(path=str(path), problem=type(error).__name__) from error
