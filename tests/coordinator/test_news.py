"""What a node hears by its heartbeat of models and training code, over the real wire."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from coordinator import directory, registry, training
from coordinator.bundle import bundle_path
from coordinator.settings import Place
from node.enrolment.client import MembershipClient
from node.enrolment.loop import MembershipLoop
from node.enrolment.rounds import Model, Report
from node.forecast import bundles
from node.kernel.clock import SystemClock
from node.kernel.errors import DomainError
from node.kernel.files import private_folder
from tests.coordinator.serving import ServedOffice, serving


@dataclass
class Node:
    """The part of a node that keeps models and bundles."""

    folder: Path
    models: list[str] = field(default_factory=list)
    errors: Mapping[str, float] = field(default_factory=dict)

    def report(self) -> Report:
        days = ("2026-01-01", "2026-06-30") if self.errors else ("", "")
        newest = self.models[-1] if self.models else ""
        return Report(newest, "federated", self.errors, *days)

    async def on_model(self, model: Model) -> None:
        self.models.append(model.sha256)

    async def on_bundle(self, sha: str, content: bytes) -> None:
        bundles.keep_announced(self.folder, sha256=sha, content=content)


def make_model(office: ServedOffice, weights: bytes) -> str:
    """A training that has come to its end."""
    models, clock = Place(office.folder / "office").models, office.clock
    model = training.store_model(models, weights)
    run = office.database.do(
        lambda session: training.request_training(
            session, clock, rounds=3, min_nodes=2, local_steps=5, seed=1
        )
    )
    office.database.do(
        lambda session: training.keep_model(
            session, clock, run_id=run.id, flower_run="1", sha256=model, card={"rounds": 3}
        )
    )
    return model


def test_a_withdrawn_model_leaves_the_nodes_and_errors_come_to_the_card(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path) as office:
            node = Node(tmp_path / "bundles")
            membership = await office.admit("A")
            loop = MembershipLoop(
                membership, clock=SystemClock(), report=node.report, on_model=node.on_model
            )
            first, second = make_model(office, b"first"), make_model(office, b"second")
            await loop.beat()
            assert node.models == [second]
            office.database.do(
                lambda session: registry.withdraw(
                    session, office.clock, sha256=second, reason="worse for all"
                )
            )
            await loop.beat()
            await loop.beat()
            assert node.models == [second, first]  # fetched once
            node.errors = {"mean8": 5.0, "federated": 4.25, "nonsense": 1.0}
            await loop.beat()
            with office.database.read() as session:
                card = registry.models(session)[1]["card"]
            assert card["errors"] == {"A": {"mean8": 5.0, "federated": 4.25}}
            assert card["data_window"] == ["2026-01-01", "2026-06-30"]

    asyncio.run(story())


def test_training_code_can_be_read_before_it_is_asked_for(tmp_path: Path) -> None:
    """Announced by its hash, fetched once, checked against it, and not approved by that."""

    async def story() -> None:
        async with serving(tmp_path) as office:
            node = Node(tmp_path / "bundles")
            membership = await office.admit("A")
            loop = MembershipLoop(
                membership,
                clock=SystemClock(),
                has_bundle=lambda sha: bundles.is_here(node.folder, sha),
                on_bundle=node.on_bundle,
            )
            content = b"sources of the next app"
            sha = sha256(content).hexdigest()
            published = private_folder(Place(office.folder / "office").bundles)
            bundle_path(published, sha).write_bytes(content)
            announce(office, sha)
            await loop.beat()
            (found,) = bundles.listed(node.folder, approves_own=True)
            assert (found.sha256, found.decision) == (sha, bundles.Decision.UNDECIDED)
            assert found.is_here
            bundle_path(published, sha).unlink()
            await loop.beat()  # it is here: not asked for again
            other = sha256(b"other").hexdigest()
            bundle_path(published, other).write_bytes(b"something else")
            announce(office, other)
            await loop.beat()
            assert len(bundles.listed(node.folder, approves_own=True)) == 1  # not of its hash
            client = MembershipClient(membership)
            for wrong in ("../keys/ca.key", "0" * 64):
                with pytest.raises(DomainError, match="no training app"):
                    await client.bundle(wrong)
            await client.close()

    asyncio.run(story())


def announce(office: ServedOffice, sha: str) -> None:
    facts = {directory.BUNDLE_SHA256: sha}
    office.database.do(lambda session: directory.learn(session, **facts))
