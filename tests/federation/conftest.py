"""A small community to learn from, and a whole Flower district on loopback."""

import asyncio
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from coordinator.superlink import SuperLink, SuperLinkPlace
from federation.guard.sandbox import sandbox_problem
from node.forecast.supernode import GuardedSuperNode, SuperNodePlace
from tests.federation.identities import write_identities

CATEGORIES = ("lift", "light", "water")
FIRST_DAY = date(2024, 1, 1)

WriteExport = Callable[..., Path]


@pytest.fixture
def write_export(tmp_path: Path) -> WriteExport:
    """Write a generated export: weekly rhythm, slow drift, quiet weekends, all from a seed."""

    def write(name: str = "export.csv", *, days: int = 200, seed: int = 1) -> Path:
        random = np.random.default_rng(seed)
        lines = ["date,category,count"]
        for day in range(days):
            moment = FIRST_DAY + timedelta(days=day)
            rhythm = 0.15 if moment.weekday() >= 5 else 1.0 + 0.3 * np.sin(day / 40)
            for index, category in enumerate(CATEGORIES):
                count = random.poisson(rhythm * (1.5 + index))
                lines.append(f"{moment.isoformat()},{category},{count}")
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Identity:
    """A root certificate, and what it signed for a server on loopback."""

    root_certificate: Path
    certificate: Path
    private_key: Path


def make_identity(directory: Path) -> Identity:
    """A certificate authority of one afternoon."""
    root_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = _name("test district")
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    )
    root = _certificate(root_name, root_name, root_key)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    server = _certificate(_name("127.0.0.1"), root_name, server_key).add_extension(
        names, critical=False
    )
    identity = Identity(*(directory / name for name in ("ca.crt", "server.crt", "server.key")))
    for path, builder in ((identity.root_certificate, root), (identity.certificate, server)):
        signed = builder.sign(root_key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    identity.private_key.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return identity


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(minutes=5),
        not_valid_after=now + timedelta(hours=12),
    )


def make_flower_key(directory: Path) -> tuple[Path, Path]:
    """A node's key pair for Flower, as `linli-node join` makes it: P-384, OpenSSH."""
    key = ec.generate_private_key(ec.SECP384R1())
    private, public = directory / "flower.key", directory / "flower.key.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    )
    return private, public


class District:
    """One SuperLink and its SuperNodes, all of them real processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.identity = make_identity(directory)
        self.place = SuperLinkPlace(
            directory=directory / "superlink",
            host="127.0.0.1",
            port=free_port(),
            root_certificate=self.identity.root_certificate,
            certificate=self.identity.certificate,
            private_key=self.identity.private_key,
        )
        self.superlink = SuperLink(self.place)
        self.supernodes: list[GuardedSuperNode] = []

    async def start(self, exports: list[Path], *, unapproved: Collection[int] = ()) -> None:
        """All nodes, of which some have not approved the app that is installed here."""
        await self.superlink.start()
        names = [f"community-{index}" for index in range(len(exports))]
        identities = write_identities(self.directory / "identities", names)
        for index, export in enumerate(exports):
            directory = self.directory / f"node {index}"  # a blank, as a home folder may have
            directory.mkdir()
            private, public = make_flower_key(directory)
            await self.superlink.register_supernode(public)
            node = GuardedSuperNode(
                SuperNodePlace(
                    directory=directory / "flower",
                    superlink=f"127.0.0.1:{self.place.port}",
                    root_certificate=self.identity.root_certificate,
                    private_key=private,
                    runtime_port=free_port(),
                    export=export,
                    left=directory / "left.jsonl",
                    identity=identities[index],
                    bundles=directory / "bundles",
                    approve_own_bundle=index not in unapproved,
                    sandbox=sandbox_problem() is None,
                )
            )
            await node.start()
            self.supernodes.append(node)

    async def stop(self) -> None:
        await asyncio.gather(*(node.stop() for node in self.supernodes))
        await self.superlink.stop()
