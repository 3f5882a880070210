"""An invitation is taken whole or not at all, and the operator hears what is wrong with it."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.authority import create_authority
from node.enrolment.invitation import is_address, parse_invitation, require_address
from node.enrolment.refusals import InvitationUnreadable, PeerAddressUnusable


@pytest.fixture
def content(tmp_path: Path) -> dict[str, str]:
    root = tmp_path / "ca.pem"
    now = datetime.now(UTC)
    create_authority(key_path=tmp_path / "ca.key", certificate_path=root, name="D", now=now)
    return {
        "address": "127.0.0.1:7400",
        "ca": root.read_text(),
        "secret": "s",
        "community": "A",
        "district": "示范区",
    }


def packed(content: object) -> str:
    encoded = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
    return "linli1." + encoded.rstrip("=")


def test_a_whole_invitation_reads_also_when_mail_wrapped_it(content: dict[str, str]) -> None:
    text = packed(content)
    wrapped = "\n  ".join(text[start : start + 60] for start in range(0, len(text), 60))
    assert parse_invitation(wrapped) == parse_invitation(text)
    assert parse_invitation(text).district == "示范区"


def test_nonsense_is_refused_with_its_reason(content: dict[str, str]) -> None:
    text = packed(content)
    missing = {name: value for name, value in content.items() if name != "secret"}
    reasons = {
        "": "start",
        "hello": "start",
        text[:-20]: "cut off",
        text.replace("linli1.", "linli1.!"): "cut off",
        packed([1, 2]): "missing",
        packed(missing): "missing",
        packed({**content, "secret": 7}): "missing",
        packed({**content, "ca": "no certificate"}): "certificate",
        packed({**content, "address": "nowhere"}): "address",
        "linli1." + "A" * 20_000: "too long",
    }
    for wrong, reason in reasons.items():
        with pytest.raises(InvitationUnreadable, match=reason):
            parse_invitation(wrong)


def test_addresses_that_nobody_could_reach_are_refused() -> None:
    for good in ("127.0.0.1:1", "node.example:8443", "[::1]:8443"):
        assert require_address(good) == good
    for wrong in ("", "host", "host:0", "host:70000", "0.0.0.0:1", "a b:1", ":1", "社区:1"):
        assert not is_address(wrong)
        with pytest.raises(PeerAddressUnusable):
            require_address(wrong)
