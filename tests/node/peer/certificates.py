"""A district's authority and its certificates, as the office would make them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from node.peer.tls import SPIFFE_PREFIX, TlsMaterial

A_DAY = timedelta(days=1)


def name_of(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@dataclass(frozen=True)
class Authority:
    """Signs certificates; two of them do not trust each other."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        subject = name_of("a district")
        builder = _dated(x509.CertificateBuilder().subject_name(subject).issuer_name(subject))
        builder = builder.public_key(key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    def material(
        self, community: str, *, is_named: bool = True, is_expired: bool = False
    ) -> TlsMaterial:
        """Key and certificate of one community; `is_named` False: of none, with a DNS name only."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(f"{community}.linli.test")]
        if is_named:
            names.append(x509.UniformResourceIdentifier(SPIFFE_PREFIX + community))
        builder = x509.CertificateBuilder().subject_name(name_of(community))
        builder = _dated(builder.issuer_name(self.certificate.subject), is_expired=is_expired)
        builder = builder.public_key(key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return TlsMaterial(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            certificate.public_bytes(serialization.Encoding.PEM),
            self.certificate.public_bytes(serialization.Encoding.PEM),
        )


def _dated(
    builder: x509.CertificateBuilder, *, is_expired: bool = False
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    until = now - timedelta(hours=1) if is_expired else now + A_DAY
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now - A_DAY)
        .not_valid_after(until)
    )
