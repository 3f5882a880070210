"""The office on loopback over real TLS: who comes in, who does not, and what members get."""

import asyncio
import json
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import grpc
import grpc.aio
import pytest

from coordinator import training
from coordinator.app import OfficeServer
from coordinator.authority import create_authority, load_authority, pem_of
from coordinator.refusals import AddressUnusable, OfficeServing
from coordinator.settings import Place
from node.enrolment.client import MembershipClient
from node.enrolment.directory import Membership, load_membership
from node.enrolment.join import join
from node.enrolment.loop import MembershipLoop
from node.enrolment.refusals import (
    AlreadyEnrolled,
    ApprovalPending,
    CertificateExpired,
    DirectoryForged,
    DirectoryOutdated,
    OfficeRefused,
    OfficeUnreachable,
)
from node.enrolment.rounds import Model, Report
from node.kernel.clock import SystemClock, VirtualClock
from protos import enrolment_pb2 as pb
from tests.coordinator.serving import ANY_PORT, PEER, ServedOffice, packed, serving, unpacked

T = TypeVar("T")
Story = Callable[[ServedOffice], Awaitable[T]]


def tell(folder: Path, story: Story[T]) -> T:
    """Run a story against a serving office."""

    async def told() -> T:
        async with serving(folder) as office:
            return await story(office)

    return asyncio.run(told())


async def refusal(call: Awaitable[object]) -> str:
    """The reason that the office gave."""
    with pytest.raises(OfficeRefused) as refused:
        await call
    return str(refused.value.details["reason"])


def test_a_node_joins_and_is_a_member(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> Membership:
        membership = await office.admit("A")
        client = MembershipClient(membership)
        news = await client.heartbeat(Report(adopted_arm="local"), directory_version=1)
        signed = await client.directory()
        await client.close()
        assert news.round is None
        assert membership.with_directory(signed).directory.active("A") is not None
        return membership

    membership = tell(tmp_path, story)
    kept = load_membership(tmp_path / "A")  # with the office switched off
    assert kept is not None
    assert kept.community == membership.community == "A"
    for key in ("peer.key", "signing.key", "settlement.key", "flower.key"):
        assert (tmp_path / "A" / "keys" / key).stat().st_mode & 0o777 == 0o600


def test_joining_goes_on_after_an_interruption(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> None:
        text = office.invitation("A")
        with pytest.raises(ApprovalPending):
            await join(tmp_path / "A", text, PEER, patience_seconds=0.1)
        sent = (tmp_path / "A/enrolment/application.bin").read_bytes()
        office.approve("A")
        membership = await join(tmp_path / "A", text, PEER, patience_seconds=5)
        assert (tmp_path / "A/enrolment/application.bin").read_bytes() == sent
        again = await join(tmp_path / "A", text, PEER)
        assert again.certificate_pem == membership.certificate_pem
        with pytest.raises(AlreadyEnrolled):
            await join(tmp_path / "A", office.invitation("B"), PEER)

    tell(tmp_path, story)


def test_invitations_that_are_wrong_used_or_expired(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> None:
        content = json.loads(unpacked(office.invitation("C")))
        guess = packed({**content, "secret": "guessed"})
        assert await refusal(join(tmp_path / "x", guess, PEER)) == "office.invitation_unknown"
        assert not (tmp_path / "x/keys").exists()  # nothing half done
        late = office.invitation("A", days=0)
        assert await refusal(join(tmp_path / "x", late, PEER)) == "office.invitation_expired"
        assert not (tmp_path / "x/keys").exists()
        text = office.invitation("B")
        with pytest.raises(ApprovalPending):
            await join(tmp_path / "B", text, PEER, patience_seconds=0.05)
        assert await refusal(join(tmp_path / "thief", text, PEER)) == "office.invitation_used"
        assert not (tmp_path / "thief/enrolment/application.bin").exists()

    tell(tmp_path, story)


def test_an_office_that_is_away_is_said_so(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> str:
        return office.invitation("A")

    text = tell(tmp_path, story)
    with pytest.raises(OfficeUnreachable):
        asyncio.run(join(tmp_path / "A", text, PEER, office_patience_seconds=0.1))
    assert not (tmp_path / "A").exists()


def test_strangers_do_not_reach_the_member_port(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> None:
        membership = await office.admit("A")
        forged = foreign_certificate(tmp_path, membership)
        stranger = MembershipClient(replace(membership, certificate_pem=forged))
        with pytest.raises(OfficeUnreachable):
            await stranger.directory()
        await stranger.close()
        unknown = office.authority.issue_member(  # by our root, but never handed out
            membership.keys.peer.public_key(),
            community_id="A",
            peer_address=PEER,
            now=datetime.now(UTC),
        )
        pem = pem_of(unknown).encode()
        client = MembershipClient(replace(membership, certificate_pem=pem))
        assert await refusal(client.directory()) == "office.certificate_unknown"
        await client.close()

    tell(tmp_path, story)


def test_a_member_cannot_pass_for_the_office(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> None:
        membership = await office.admit("A")
        pretender = grpc.aio.server()
        pair = (membership.keys.peer_pem, membership.certificate_pem)
        port = pretender.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        await pretender.start()
        listing = replace(membership.directory, member_address=f"127.0.0.1:{port}")
        client = MembershipClient(replace(membership, directory=listing))
        with pytest.raises(OfficeUnreachable):
            await client.directory()
        await client.close()
        await pretender.stop(None)

    tell(tmp_path, story)


def test_revoked_members_are_refused(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> None:
        client = MembershipClient(await office.admit("A"))
        await client.directory()
        office.revoke("A")
        assert await refusal(client.directory()) == "office.community_revoked"
        await client.close()

    tell(tmp_path, story)


def test_the_certificate_is_renewed_from_half_of_its_life_on(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> None:
        membership = await office.admit("A")
        heard: list[Membership] = []

        async def hear(one: Membership) -> None:
            heard.append(one)

        clock = VirtualClock(datetime.now(UTC) + timedelta(days=14))
        loop = MembershipLoop(membership, clock=clock, on_membership=hear)
        await loop.beat()
        assert not heard
        clock.advance(timedelta(days=2))
        await loop.beat()
        assert heard[-1].certificate_pem != membership.certificate_pem
        kept = load_membership(tmp_path / "A")
        assert kept is not None
        assert kept.certificate_pem == heard[-1].certificate_pem
        clock.advance(timedelta(days=30))
        with pytest.raises(CertificateExpired, match="join again"):
            await loop.beat()

    tell(tmp_path, story)


def test_after_an_expiry_a_new_invitation_lets_the_same_keys_in(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> None:
        before = await office.admit("A")
        text = office.invitation("A", secret="another")
        with pytest.raises(AlreadyEnrolled):
            await join(tmp_path / "A", text, PEER)
        later = VirtualClock(datetime.now(UTC) + timedelta(days=31))
        after = await join(
            tmp_path / "A", text, PEER, clock=later, on_waiting=lambda: office.approve("A")
        )
        assert after.keys.settlement_address == before.keys.settlement_address
        assert after.certificate_pem != before.certificate_pem
        client = MembershipClient(before)
        assert await refusal(client.directory()) == "office.certificate_unknown"
        await client.close()

    tell(tmp_path, story)


def test_directories_that_are_forged_or_old_are_refused(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> None:
        membership = await office.admit("A")
        client = MembershipClient(membership)
        older = await client.directory()
        await office.admit("B")
        newer = membership.with_directory(await client.directory())
        await client.close()
        assert newer.directory.active("B") is not None
        with pytest.raises(DirectoryOutdated):
            newer.with_directory(older)
        content = pb.Directory.FromString(older.payload)
        content.members[0].signing_public_key = b"\1" * 32
        forged = pb.SignedDirectory(payload=content.SerializeToString(), signature=older.signature)
        with pytest.raises(DirectoryForged):
            membership.with_directory(forged)

    tell(tmp_path, story)


def test_a_new_model_reaches_the_nodes(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> None:
        membership = await office.admit("A")
        models = Place(tmp_path / "office").models
        sha256 = training.store_model(models, b"weights")
        run = office.database.do(
            lambda session: training.request_training(
                session, office.clock, rounds=3, min_nodes=2, local_steps=1, seed=0
            )
        )
        office.database.do(
            lambda session: training.keep_model(
                session, office.clock, run_id=run.id, flower_run="7", sha256=sha256, card={"a": 1}
            )
        )
        arrived: list[Model] = []

        async def take(model: Model) -> None:
            arrived.append(model)

        def report() -> Report:
            return Report(model_sha256=arrived[-1].sha256 if arrived else "")

        loop = MembershipLoop(membership, clock=SystemClock(), report=report, on_model=take)
        await loop.beat()
        await loop.beat()
        assert [(one.content, json.loads(one.card_json)) for one in arrived] == [
            (b"weights", {"a": 1, "communities": [], "sha256": sha256})
        ]

    tell(tmp_path, story)


def test_the_dashboard_speaks_chinese_first_and_english(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> None:
        await office.admit("A")
        assert office.server is not None
        address = office.server.addresses()["http"]

        def fetch(path: str) -> tuple[str, str]:
            with urllib.request.urlopen(f"{address}{path}", timeout=5) as answer:  # noqa: S310 (loopback)
                policy = answer.headers.get("Content-Security-Policy", "")
                return answer.read().decode(), policy

        chinese, policy = await asyncio.to_thread(fetch, "/")
        english, _ = await asyncio.to_thread(fetch, "/?lang=en")
        status, _ = await asyncio.to_thread(fetch, "/api/status")
        assert "Village A" in chinese
        assert "社区" in chinese
        assert "结算轮次" in chinese
        assert "Settlement rounds" in english
        assert "社区" not in english.replace("邻里", "")
        assert "unsafe-inline" not in policy
        assert "default-src 'none'" in policy
        assert json.loads(status)["communities"][0]["id"] == "A"
        for path in ("/livez", "/readyz", "/office.css"):
            await asyncio.to_thread(fetch, path)

    tell(tmp_path, story)


def test_an_office_is_served_once_and_on_free_ports(tmp_path: Path) -> None:
    async def story(office: ServedOffice) -> None:
        assert office.server is not None
        settings = office.server.settings
        twin = OfficeServer(settings, clock=office.clock, open_chain=None)
        with pytest.raises(OfficeServing):
            await twin.start()
        await twin.stop()
        async with serving(tmp_path / "other") as other:
            assert other.server is not None
            free = replace(other.server.settings, enrol=ANY_PORT, member=ANY_PORT, http=ANY_PORT)
        clashes = {
            "enrol": replace(free, enrol=settings.enrol),
            "member": replace(free, member=settings.member),
            "http": replace(free, http=settings.http),
        }
        for taken, clash in clashes.items():
            clashing = OfficeServer(clash, clock=office.clock, open_chain=None)
            with pytest.raises(AddressUnusable, match=taken):
                await clashing.start()
            await clashing.stop()

    tell(tmp_path, story)


def foreign_certificate(folder: Path, membership: Membership) -> bytes:
    """A certificate for the same community and key, by somebody else's root."""
    paths = {"key_path": folder / "foreign.key", "certificate_path": folder / "foreign.pem"}
    now = datetime.now(UTC)
    create_authority(**paths, name="Foreign", now=now)
    issued = load_authority(**paths).issue_member(
        membership.keys.peer.public_key(), community_id="A", peer_address=PEER, now=now
    )
    return pem_of(issued).encode()
