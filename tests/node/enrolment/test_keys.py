"""Four keys, made once, closed to others, each of its kind."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from node.enrolment.keys import load_keys, make_or_load_keys
from node.enrolment.refusals import KeyUnreadable
from node.kernel.evm_address import checksummed, keccak256

FILES = ("peer.key", "signing.key", "settlement.key", "flower.key")


def test_keys_are_made_once_and_closed(tmp_path: Path) -> None:
    first = make_or_load_keys(tmp_path)
    contents = [(tmp_path / "keys" / name).read_bytes() for name in FILES]
    second = make_or_load_keys(tmp_path)
    assert [(tmp_path / "keys" / name).read_bytes() for name in FILES] == contents
    assert first.settlement_address == second.settlement_address
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    for name in FILES:
        assert stat.S_IMODE((tmp_path / "keys" / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == sorted(
        (*FILES, "flower.key.pub")
    )


def test_a_kill_between_two_keys_is_made_good(tmp_path: Path) -> None:
    before = make_or_load_keys(tmp_path)
    (tmp_path / "keys/flower.key").unlink()
    after = make_or_load_keys(tmp_path)
    assert after.signing_public_key == before.signing_public_key
    assert after.flower_public_key != before.flower_public_key


def test_a_damaged_or_swapped_key_is_refused_and_kept(tmp_path: Path) -> None:
    make_or_load_keys(tmp_path)
    peer, settlement = tmp_path / "keys/peer.key", tmp_path / "keys/settlement.key"
    peer.write_bytes(settlement.read_bytes())
    with pytest.raises(KeyUnreadable, match="secp256r1"):
        load_keys(tmp_path)
    peer.write_bytes(b"damaged")
    with pytest.raises(KeyUnreadable, match="damaged"):
        make_or_load_keys(tmp_path)
    assert peer.read_bytes() == b"damaged"


def test_flower_and_the_chain_know_the_keys_as_theirs(tmp_path: Path) -> None:
    keys = make_or_load_keys(tmp_path)
    load_ssh_public_key(keys.flower_public_key.encode())
    assert keys.flower_path.read_bytes().startswith(b"-----BEGIN OPENSSH")
    consent = pytest.importorskip("contracts.consent", reason="needs the extra 'chain'")
    assert consent.address_of(keys.settlement_private_key) == checksummed(keys.settlement_address)


def test_keccak_is_the_evms() -> None:
    """The known answers, and the two lengths where padding fills or adds a block."""
    assert keccak256(b"").hex() == (
        "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    )
    assert keccak256(b"abc").hex() == (
        "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"
    )
    assert len({keccak256(b"a" * length) for length in (134, 135, 136, 137, 272)}) == 5
