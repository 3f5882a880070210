"""Two communities with keys and certificates of one authority, for one run."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from node.peer.book import KnownPeer
from node.peer.tls import SPIFFE_PREFIX, TlsMaterial

HOME, HOST = "plum-court", "jade-garden"


@dataclass(frozen=True)
class Member:
    """What one node process needs to be a member; travels to the process that becomes it."""

    community: str
    url: str  # of its database
    address: str  # of its peer service
    signing_key: bytes
    material: TlsMaterial
    peer: KnownPeer


def found(urls: dict[str, str], addresses: dict[str, str]) -> dict[str, Member]:
    """Home and host, each knowing the other."""
    authority, root = _authority()
    keys = {name: Ed25519PrivateKey.generate() for name in urls}
    known = {
        name: KnownPeer(
            name, name, addresses[name], _host(name), keys[name].public_key().public_bytes_raw()
        )
        for name in urls
    }
    other = {HOME: HOST, HOST: HOME}
    return {
        name: Member(
            community=name,
            url=url,
            address=addresses[name],
            signing_key=keys[name].private_bytes_raw(),
            material=_material(name, authority, root),
            peer=known[other[name]],
        )
        for name, url in urls.items()
    }


def _host(community: str) -> str:
    return f"{community}.linli.test"


def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    limits = x509.BasicConstraints(ca=True, path_length=0)
    certificate = (
        _dated("a district", "a district")
        .public_key(key.public_key())
        .add_extension(limits, critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _material(
    community: str, authority: ec.EllipticCurvePrivateKey, root: x509.Certificate
) -> TlsMaterial:
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [
        x509.DNSName(_host(community)),
        x509.UniformResourceIdentifier(SPIFFE_PREFIX + community),
    ]
    certificate = (
        _dated(community, "a district")
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return TlsMaterial(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        certificate.public_bytes(pem),
        root.public_bytes(pem),
    )


def _dated(subject: str, issuer: str) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(subject))
        .issuer_name(_named(issuer))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
