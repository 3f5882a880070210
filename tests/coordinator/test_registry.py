"""The district's models: cards, the way back from a bad one, and trainings on their own."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from coordinator import registry, schedule, training
from coordinator.refusals import ModelUnknown
from node.kernel.errors import BadInput
from tests.coordinator.fakes import FakeOffice
from tests.coordinator.test_training import FakeTrainer, ask, run_of, work


class Sculptor(FakeTrainer):
    """A trainer whose every model is another one."""

    async def run_training(self, plan: Any) -> Any:
        result = await super().run_training(plan)
        result.model.write_bytes(b"weights %d" % len(self.plans))
        return result


def trained(office: FakeOffice, folder: Path, *, times: int) -> list[str]:
    """So many models, the oldest first."""
    sculptor, hashes = Sculptor(folder), []
    for _ in range(times):
        run = ask(office)
        work(office, sculptor)
        hashes.append(run_of(office, run.id).sha256 or "")
    return hashes


def latest(office: FakeOffice) -> str:
    return office.database.do(training.latest_model)


def test_a_withdrawn_model_gives_way_to_the_one_before_it(
    district: FakeOffice, tmp_path: Path
) -> None:
    first, second, third = trained(district, tmp_path, times=3)
    assert latest(district) == third

    def withdraw(sha256: str, reason: str = "bad for everybody") -> str:
        return district.database.do(
            lambda session: registry.withdraw(session, district.clock, sha256=sha256, reason=reason)
        )

    assert withdraw(third[:8]) == third
    assert latest(district) == second
    withdraw(second)
    withdraw(second)  # said twice
    assert latest(district) == first
    district.database.do(lambda session: registry.restore(session, sha256=third))
    assert latest(district) == third
    for unknown in ("", "0" * 64, third[:7], "x"):
        with pytest.raises(ModelUnknown):
            withdraw(unknown)
    with pytest.raises(BadInput):
        withdraw(first, reason=" ")
    found = district.database.do(registry.models)
    assert [one["sha256"] for one in found] == [third, second, first]
    assert [one["is_latest"] for one in found] == [True, False, False]
    assert [one["withdrawn"] for one in found] == [None, "bad for everybody", None]
    assert (district.place.models / second).exists()  # what was is kept


def test_a_card_says_what_a_model_was_made_of(district: FakeOffice, tmp_path: Path) -> None:
    (model,) = trained(district, tmp_path, times=1)
    card = district.database.do(registry.models)[0]["card"]
    assert card["rounds"] == 3
    assert card["sha256"] == model
    assert card["communities"] == sorted(district.members)
    assert card["privacy"] == {"unit": None, "epsilon": None, "delta": None}
    assert (card["errors"], card["data_window"]) == ({}, None)


def test_errors_are_on_the_card_where_a_community_told_them(
    district: FakeOffice, tmp_path: Path
) -> None:
    (model,) = trained(district, tmp_path, times=1)
    days = ("2026-01-01", "2026-06-30")

    def tell(community_id: str, days: tuple[str, str] = days, **errors: float) -> None:
        district.database.do(
            lambda session: registry.note_errors(
                session,
                district.clock,
                community_id=community_id,
                model_sha256=model,
                errors=errors,
                days=days,
            )
        )

    tell("A", mean8=5.0, federated=4.0)
    tell("A", mean8=5.0, federated=4.5)
    tell("B", ("", ""), federated=3.0)
    tell("C", mean8=float("nan"), local=-1.0, nonsense=1.0)
    tell("C", ("yesterday", "2026-06-30"), mean8=1.0)
    card = district.database.do(registry.models)[0]["card"]
    assert card["errors"] == {"A": {"mean8": 5.0, "federated": 4.5}, "B": {"federated": 3.0}}
    assert card["data_window"] == list(days)
    with district.database.read() as session:
        about = {"community_id": "A", "model_sha256": model}
        assert registry.are_known(session, **about, errors={"federated": 4.5})
        assert not registry.are_known(session, **about, errors={"federated": 4.0})


def agree(office: FakeOffice, **changes: Any) -> None:
    terms = {
        "every_days": 7,
        "first_at": None,
        "rounds": 2,
        "min_nodes": 0,
        "local_steps": 5,
        **changes,
    }
    office.database.do(lambda session: schedule.set_schedule(session, office.clock, **terms))


def test_a_training_begins_every_week_and_what_was_missed_is_not_made_up(
    district: FakeOffice, tmp_path: Path
) -> None:
    trainer = FakeTrainer(tmp_path)
    agree(district)
    work(district, trainer)
    assert not trainer.plans
    district.clock.advance(timedelta(days=7))
    work(district, trainer)
    work(district, trainer)
    assert len(trainer.plans) == 1
    assert trainer.plans[0].min_nodes == 2  # more than half of three
    district.clock.advance(timedelta(days=30))  # the office was away for four of them
    work(district, trainer)
    work(district, trainer)
    assert len(trainer.plans) == 2
    assert trainer.plans[0].seed != trainer.plans[1].seed
    with district.database.read() as session:
        agreed = schedule.as_json(session)
    assert agreed is not None
    assert agreed["next_at"] > district.clock.now().isoformat()
    district.database.do(schedule.end_schedule)
    district.clock.advance(timedelta(days=30))
    work(district, trainer)
    assert len(trainer.plans) == 2


def test_a_schedule_waits_for_a_run_that_was_asked_for(
    district: FakeOffice, tmp_path: Path
) -> None:
    agree(district, first_at=district.clock.now() + timedelta(hours=1))
    district.clock.advance(timedelta(hours=2))
    ask(district)
    with district.database.read() as session:
        assert not schedule.is_due(session, district.clock)
    trainer = FakeTrainer(tmp_path)
    work(district, trainer)
    work(district, trainer)
    assert [plan.rounds for plan in trainer.plans] == [3, 2]
    with pytest.raises(BadInput):
        agree(district, first_at=district.clock.now())


def test_a_published_bundle_is_the_one_that_nodes_would_run(tmp_path: Path) -> None:
    """Built by a program of its own; the hash is that of the guard's own installed sources."""
    from coordinator.bundle import build_bundle, bundle_path, is_hash, publish
    from federation.bundle import own_sha256

    bundle = asyncio.run(build_bundle(tmp_path / "superlink"))
    publish(bundle, tmp_path / "bundles")
    publish(bundle, tmp_path / "bundles")
    assert bundle.sha256 == own_sha256()
    assert (bundle.folder / "federation" / "client_app.py").exists()
    assert bundle_path(tmp_path / "bundles", bundle.sha256).read_bytes() == bundle.file.read_bytes()
    assert not any(is_hash(name) for name in ("", "../ca", "A" * 64, "0" * 63, "0" * 64 + "\n"))
