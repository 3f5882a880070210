"""A training asked for is done once, also by an office that is killed in the middle of it."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from coordinator import training
from coordinator.model import TrainingRun, TrainingState
from coordinator.refusals import ModelUnknown, TrainingBusy
from coordinator.settings import LOOPBACK, Address, Office, Settings
from coordinator.superlink import (
    RegistrationRefused,
    TrainingFailed,
    TrainingPlan,
    TrainingResult,
)
from coordinator.working import TrainingWork
from tests.coordinator.fakes import FakeOffice, Killed


@dataclass
class FakeTrainer:
    """Trains at once, or fails as it is told."""

    folder: Path
    failure: Exception | None = None
    refuses: str = ""
    keys: list[str] = field(default_factory=list)
    plans: list[TrainingPlan] = field(default_factory=list)

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def register_supernode(self, public_key_path: Path) -> None:
        if public_key_path.stem == self.refuses:
            raise RegistrationRefused(reason="the test says so")
        self.keys.append(public_key_path.read_text().strip())

    async def run_training(self, plan: TrainingPlan) -> TrainingResult:
        self.plans.append(plan)
        if self.failure is not None:
            raise self.failure
        model = self.folder / "model.npz"
        model.write_bytes(b"weights")
        return TrainingResult(run_id="77", model=model, card={"rounds": plan.rounds})


def work(office: FakeOffice, trainer: FakeTrainer) -> None:
    """One look of a new office process."""
    anywhere = Address(LOOPBACK, 0)
    settings = Settings(
        place=office.place,
        office=Office(name="District"),
        enrol=anywhere,
        member=anywhere,
        http=anywhere,
        superlink=None,
    )
    asyncio.run(TrainingWork(settings, office.database, office.clock, trainer).step())


def ask(office: FakeOffice) -> TrainingRun:
    return office.database.do(
        lambda session: training.request_training(
            session, office.clock, rounds=3, min_nodes=2, local_steps=5, seed=1
        )
    )


def run_of(office: FakeOffice, run_id: int) -> TrainingRun:
    with office.database.read() as session:
        return session.get_one(TrainingRun, run_id)


def test_a_training_leaves_a_model_under_its_hash(district: FakeOffice, tmp_path: Path) -> None:
    asked = ask(district)
    trainer = FakeTrainer(tmp_path)
    work(district, trainer)
    done = run_of(district, asked.id)
    assert done.state is TrainingState.DONE
    assert done.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert (district.place.models / done.sha256).read_bytes() == b"weights"
    assert district.database.do(training.latest_model) == done.sha256
    assert (trainer.plans[0].rounds, trainer.plans[0].local_steps) == (3, 5)
    with pytest.raises(ModelUnknown):
        district.database.do(lambda session: training.model_file(session, sha256="../ca.pem"))


def test_every_member_is_made_known_to_flower_once(district: FakeOffice, tmp_path: Path) -> None:
    trainer = FakeTrainer(tmp_path, refuses="B")
    work(district, trainer)
    work(district, trainer)
    known = {district.members[one].keys.flower_public_key for one in ("A", "C")}
    assert set(trainer.keys) == known
    assert len(trainer.keys) == 2
    trainer.refuses = ""
    work(district, trainer)
    assert len(trainer.keys) == 3


def test_a_kill_in_the_middle_is_made_good_and_not_for_ever(
    district: FakeOffice, tmp_path: Path
) -> None:
    asked = ask(district)
    dying = FakeTrainer(tmp_path, failure=Killed())
    for attempt in range(1, training.ATTEMPTS_MAX + 1):
        with pytest.raises(Killed):
            work(district, dying)
        assert run_of(district, asked.id).attempt == attempt
        with pytest.raises(TrainingBusy):
            ask(district)
    work(district, dying)
    assert run_of(district, asked.id).state is TrainingState.FAILED
    again = ask(district)
    work(district, FakeTrainer(tmp_path))
    assert run_of(district, again.id).state is TrainingState.DONE


def test_a_failure_keeps_its_reason(district: FakeOffice, tmp_path: Path) -> None:
    asked = ask(district)
    work(district, FakeTrainer(tmp_path, failure=TrainingFailed(run="7", reason="nobody came")))
    failed = run_of(district, asked.id)
    assert failed.state is TrainingState.FAILED
    assert "nobody came" in (failed.failure or "")
    assert district.database.do(training.latest_model) == ""
