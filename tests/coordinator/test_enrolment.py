"""An invitation serves one community once; keys belong to one community; revoked is for good."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy.orm import Session

from coordinator import directory, enrolment
from coordinator.authority import caller
from coordinator.model import Certificate, Community, CommunityState, OfficeBase
from coordinator.refusals import (
    ApplicationUnusable,
    CertificateUnknown,
    CommunityIdUnusable,
    CommunityRevoked,
    InvitationExpired,
    InvitationUnknown,
    InvitationUsed,
    NothingToApprove,
    SettlementKeyChanged,
)
from node.enrolment.keys import make_or_load_keys
from tests.coordinator.fakes import FakeOffice

RESIDENT_WORDS = ("resident", "phone", "birth", "building", "person", "pin", "elder", "provider")


def certificates(office: FakeOffice, community: str) -> list[Certificate]:
    with office.database.read() as session:
        return list(session.query(Certificate).filter_by(community_id=community))


def test_no_column_could_hold_a_resident() -> None:
    """Every column of the office, by name: a new one has to be put here, and thought about."""
    columns = {
        table.name: sorted(column.name for column in table.columns)
        for table in OfficeBase.metadata.sorted_tables
    }
    assert columns == {
        "batch_seen": [
            "block_hash", "block_number", "communities", "minutes", "round_id", "seen_at",
            "transaction_hash",
        ],
        "model_withdrawn": ["reason", "sha256", "withdrawn_at"],
        "told_error": [
            "arm", "community_id", "data_from", "data_to", "model_sha256", "told_at", "total_mae",
        ],
        "training_schedule": [
            "every_days", "id", "local_steps", "min_nodes", "next_at", "rounds",
        ],
        "certificate": [
            "community_id", "expires_at", "issued_at", "pem", "revoked_at", "serial",
        ],
        "community": [
            "adopted_arm", "approved_at", "flower_public_key", "id", "in_training_at",
            "model_sha256", "name", "number", "on_chain_at", "peer_address", "seen_at",
            "settlement_address", "signing_public_key", "state",
        ],
        "invitation": [
            "applied_at", "approved_at", "certificate_serial", "community_id", "csr_pem",
            "expires_at", "fingerprint", "flower_public_key", "invited_at", "peer_address",
            "secret_sha256", "settlement_address", "signing_public_key",
        ],
        "office_fact": ["name", "value"],
        "round": [
            "attempt", "batch", "closes_at", "ended_at", "failure", "left_out_json", "minutes",
            "number", "opened_at", "round_id", "signing_seconds", "state", "transaction_hash",
        ],
        "settled_statement": ["debtor", "round_number", "statement_id"],
        "submitted_position": [
            "community_id", "ledger_head", "round_number", "statements", "submitted_at",
        ],
        "submitted_signature": ["community_id", "round_id", "signature", "submitted_at"],
        "training_run": [
            "attempt", "card_json", "ended_at", "failure", "flower_run", "id", "local_steps",
            "min_nodes", "requested_at", "rounds", "seed", "sha256", "state",
        ],
        "transaction": [
            "block_number", "hash", "nonce", "purpose", "raw", "state", "stored_at",
        ],
    }  # fmt: skip
    names = [name for found in columns.values() for name in found]
    assert not [name for name in names if any(word in name for word in RESIDENT_WORDS)]


def test_a_certificate_names_its_community_and_lives_thirty_days(
    office: FakeOffice, tmp_path: Path
) -> None:
    office.admit("A", tmp_path)
    (kept,) = certificates(office, "A")
    assert caller(kept.pem.encode()) == ("A", kept.serial)
    certificate = x509.load_pem_x509_certificate(kept.pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "a.community.linli" in names.get_values_for_type(x509.DNSName)
    life = certificate.not_valid_after_utc - office.clock.now()
    assert life == timedelta(days=30)


def test_an_invitation_of_another_or_of_nobody_is_unknown(
    office: FakeOffice, tmp_path: Path
) -> None:
    keys = make_or_load_keys(tmp_path)
    invitation = office.invitation("A")
    office.invitation("B")
    stranger = type(invitation)("h:1", invitation.ca_pem, "guess", "A", "D")
    swapped = type(invitation)("h:1", invitation.ca_pem, invitation.secret, "B", "D")
    for wrong in (stranger, swapped):
        with pytest.raises(InvitationUnknown):
            office.apply(wrong, keys)


def test_the_same_request_repeats_and_another_is_refused(
    office: FakeOffice, tmp_path: Path
) -> None:
    keys = make_or_load_keys(tmp_path / "a")
    invitation = office.invitation("A")
    office.apply(invitation, keys)
    office.apply(invitation, keys)  # signed anew, the same in every respect that counts
    with pytest.raises(InvitationUsed):
        office.apply(invitation, keys, peer="127.0.0.1:3")
    with pytest.raises(InvitationUsed):
        office.apply(invitation, make_or_load_keys(tmp_path / "other"))
    assert office.approve("A").number == 1
    assert office.approve("A").number == 1
    assert len(certificates(office, "A")) == 1


def test_an_expired_invitation_is_refused_with_its_date(office: FakeOffice, tmp_path: Path) -> None:
    invitation = office.invitation("A")
    office.clock.advance(timedelta(days=7))
    with pytest.raises(InvitationExpired, match="2026-01-08"):
        office.apply(invitation, make_or_load_keys(tmp_path))


def test_keys_of_another_community_are_refused(office: FakeOffice, tmp_path: Path) -> None:
    member = office.admit("A", tmp_path)
    with pytest.raises(ApplicationUnusable, match="another community"):
        office.apply(office.invitation("B"), member.keys)


def test_an_address_that_passes_for_ours_is_refused(office: FakeOffice, tmp_path: Path) -> None:
    with pytest.raises(ApplicationUnusable, match="not a host"):
        office.apply(office.invitation("A"), make_or_load_keys(tmp_path), peer="office.linli:1")


def test_ids_that_a_certificate_cannot_carry_are_refused(office: FakeOffice) -> None:
    office.invitation("NYCC01")
    for wrong in ("", "a b", "-a", "x" * 41, "社区", "nycc01"):
        with pytest.raises(CommunityIdUnusable):
            office.invitation(wrong)


def test_nobody_is_approved_before_the_request_came(office: FakeOffice) -> None:
    office.invitation("A")
    with pytest.raises(NothingToApprove):
        office.approve("A")


def test_revoked_means_certificates_invitations_and_for_good(
    office: FakeOffice, tmp_path: Path
) -> None:
    office.admit("A", tmp_path)
    (kept,) = certificates(office, "A")
    before = office.database.do(directory.version)
    office.database.do(lambda session: enrolment.revoke(session, office.clock, community_id="A"))
    with pytest.raises(CommunityRevoked):
        require(office, kept.serial)
    with pytest.raises(CommunityRevoked):
        office.invitation("A", secret="again")
    assert office.database.do(directory.version) == before + 1
    listed = office.database.do(directory.listing).members
    assert [one.state for one in listed] == [CommunityState.REVOKED]


def test_new_keys_by_a_new_invitation_end_the_old_certificate(
    office: FakeOffice, tmp_path: Path
) -> None:
    office.admit("A", tmp_path)
    office.apply(office.invitation("A", secret="second"), make_or_load_keys(tmp_path / "new"))
    assert office.approve("A").number == 1
    old, new = sorted(certificates(office, "A"), key=lambda one: one.revoked_at is None)
    require(office, new.serial)
    with pytest.raises(CertificateUnknown):
        require(office, old.serial)


def test_a_community_on_the_chain_keeps_its_settlement_key(
    office: FakeOffice, tmp_path: Path
) -> None:
    office.admit("A", tmp_path)

    def note(session: Session) -> None:
        session.get_one(Community, "A").on_chain_at = office.clock.now()

    office.database.do(note)
    office.apply(office.invitation("A", secret="second"), make_or_load_keys(tmp_path / "new"))
    with pytest.raises(SettlementKeyChanged):
        office.approve("A")


def require(office: FakeOffice, serial: str) -> Community:
    """As the servicer does for every call of A."""
    return office.database.do(
        lambda session: enrolment.require_member(
            session, office.clock, community_id="A", serial=serial
        )
    )
