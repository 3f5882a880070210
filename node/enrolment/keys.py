"""A node's four keys: made once, readable by their owner alone, never sent, never overwritten."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from cryptography.x509.oid import NameOID

from node.enrolment.refusals import KeyUnreadable
from node.kernel.evm_address import address_of
from node.kernel.files import private_folder, write_file, write_new_file
from node.kernel.signing import ENROLMENT

PEER_FILE = "peer.key"
SIGNING_FILE = "signing.key"
SETTLEMENT_FILE = "settlement.key"
FLOWER_FILE = "flower.key"


@dataclass(frozen=True)
class Keys:
    """One key for each purpose, so that none can be used up for another."""

    folder: Path
    peer: ec.EllipticCurvePrivateKey  # P-256: TLS, towards the office and the neighbours
    signing: Ed25519PrivateKey  # messages and statements
    settlement: ec.EllipticCurvePrivateKey  # secp256k1: batches, for the contract
    flower: ec.EllipticCurvePrivateKey  # P-384: the training service

    @property
    def peer_pem(self) -> bytes:
        return _pem(self.peer)

    @property
    def signing_public_key(self) -> bytes:
        return self.signing.public_key().public_bytes_raw()

    @property
    def settlement_private_key(self) -> bytes:
        """The 32 bytes that contracts.client signs batches with."""
        return self.settlement.private_numbers().private_value.to_bytes(32, "big")

    @property
    def settlement_public_key(self) -> bytes:
        return self.settlement.public_key().public_bytes(
            Encoding.X962, PublicFormat.CompressedPoint
        )

    @property
    def settlement_address(self) -> bytes:
        return address_of(self.settlement.public_key())

    @property
    def flower_path(self) -> Path:
        """Where flower-supernode finds its key."""
        return self.folder / FLOWER_FILE

    @property
    def flower_public_key(self) -> str:
        public_key = self.flower.public_key()
        return public_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    def prove_settlement_key(self, payload: bytes) -> bytes:
        """That the settlement key is held here: its signature over the request to join."""
        return self.settlement.sign(ENROLMENT + payload, ec.ECDSA(hashes.SHA256()))


def make_or_load_keys(directory: Path) -> Keys:
    """The keys in DIR/keys; what is missing is made, and a kill leaves only whole files."""
    folder = private_folder(directory / "keys")
    makers: dict[str, Callable[[], bytes]] = {
        PEER_FILE: lambda: _pem(ec.generate_private_key(ec.SECP256R1())),
        SIGNING_FILE: lambda: _pem(Ed25519PrivateKey.generate()),
        SETTLEMENT_FILE: lambda: _pem(ec.generate_private_key(ec.SECP256K1())),
        FLOWER_FILE: lambda: _openssh(ec.generate_private_key(ec.SECP384R1())),
    }
    for name, make in makers.items():
        if not (folder / name).exists():
            write_new_file(folder / name, make(), is_private=True)
    keys = load_keys(directory)
    write_file(folder / f"{FLOWER_FILE}.pub", keys.flower_public_key.encode() + b"\n")
    return keys


def load_keys(directory: Path) -> Keys:
    """The keys in DIR/keys; each must be of its kind."""
    folder = directory / "keys"
    return Keys(
        folder=folder,
        peer=_elliptic(folder / PEER_FILE, ec.SECP256R1),
        signing=_ed25519(folder / SIGNING_FILE),
        settlement=_elliptic(folder / SETTLEMENT_FILE, ec.SECP256K1),
        flower=_elliptic(folder / FLOWER_FILE, ec.SECP384R1),
    )


def certificate_request(keys: Keys, *, community_id: str, peer_address: str) -> str:
    """What the office is asked to certify: the TLS key, for this community at this address."""
    names = [
        x509.UniformResourceIdentifier(f"linli:community:{community_id}"),
        _host_name(peer_address.rpartition(":")[0]),
    ]
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, community_id)]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(keys.peer, hashes.SHA256())
    )
    return request.public_bytes(Encoding.PEM).decode()


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)


def _elliptic(path: Path, curve: type[ec.EllipticCurve]) -> ec.EllipticCurvePrivateKey:
    key = _read(path)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, curve):
        raise KeyUnreadable(path=str(path), problem=f"it is not a key on {curve.name}")
    return key


def _ed25519(path: Path) -> Ed25519PrivateKey:
    key = _read(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnreadable(path=str(path), problem="it is not an Ed25519 key")
    return key


def _read(path: Path) -> object:
    try:
        content = path.read_bytes()
        is_openssh = content.startswith(b"-----BEGIN OPENSSH")
        load = load_ssh_private_key if is_openssh else load_pem_private_key
        return load(content, password=None)
    except OSError as error:
        raise KeyUnreadable(path=str(path), problem=error.strerror or "unreadable") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnreadable(path=str(path), problem="it is damaged or encrypted") from error


def _pem(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _openssh(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
