"""A node's membership on disk: whole or refused, never silently another."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.authority import create_authority, load_authority, pem_of
from coordinator.directory import Listing
from coordinator.wire import directory_payload
from node.enrolment.directory import keep_membership, load_membership
from node.enrolment.keys import Keys, make_or_load_keys
from node.enrolment.refusals import CertificateUnusable, DirectoryForged, StateUnreadable
from protos import enrolment_pb2 as pb

NOW = datetime.now(UTC)


def enrol(folder: Path, keys: Keys, *, community: str = "A") -> None:
    """What an approval leaves behind."""
    paths = {"key_path": folder / "ca.key", "certificate_path": folder / "ca.pem"}
    create_authority(**paths, name="District", now=NOW)
    authority = load_authority(**paths)
    certificate = authority.issue_member(
        keys.peer.public_key(), community_id=community, peer_address="127.0.0.1:9", now=NOW
    )
    listing = Listing(1, (), "", 0, "127.0.0.1:7401", "")
    payload = directory_payload(listing, district="District", issued_at=NOW)
    keep_membership(
        folder,
        certificate_pem=pem_of(certificate).encode(),
        ca_pem=authority.certificate_pem.encode(),
        signed=pb.SignedDirectory(payload=payload, signature=authority.sign_directory(payload)),
    )


def test_a_node_that_never_joined_has_none(tmp_path: Path) -> None:
    assert load_membership(tmp_path) is None


def test_what_was_kept_is_found(tmp_path: Path) -> None:
    enrol(tmp_path, make_or_load_keys(tmp_path))
    membership = load_membership(tmp_path)
    assert membership is not None
    assert membership.community == "A"
    assert membership.directory.district == "District"
    assert NOW < membership.renew_at < membership.expires_at


def test_damage_is_named(tmp_path: Path) -> None:
    enrol(tmp_path, make_or_load_keys(tmp_path))
    listing = tmp_path / "enrolment/directory.bin"
    signed = pb.SignedDirectory.FromString(listing.read_bytes())
    listing.write_bytes(
        pb.SignedDirectory(
            payload=signed.payload + b"\x10\x09", signature=signed.signature
        ).SerializeToString()
    )
    with pytest.raises(DirectoryForged):
        load_membership(tmp_path)
    listing.unlink()
    with pytest.raises(StateUnreadable, match=r"directory\.bin"):
        load_membership(tmp_path)
    (tmp_path / "enrolment/certificate.pem").write_bytes(b"damaged")
    with pytest.raises(StateUnreadable, match=r"certificate\.pem"):
        load_membership(tmp_path)


def test_a_certificate_for_another_key_is_refused(tmp_path: Path) -> None:
    enrol(tmp_path, make_or_load_keys(tmp_path / "somebody"))
    make_or_load_keys(tmp_path)
    with pytest.raises(CertificateUnusable, match="another key"):
        load_membership(tmp_path)
