"""Commands that ask the serving office for work and wait for its end."""

import time
from collections.abc import Callable
from typing import TypeVar

from coordinator import directory, rules, settlement, training
from coordinator.app import is_served
from coordinator.model import Round, TrainingRun, TrainingState
from coordinator.refusals import (
    NoContract,
    OfficeNotServing,
    RoundFailed,
    RoundTooSlow,
    TrainingRunFailed,
    TrainingRunTooSlow,
)
from coordinator.rules import RoundState
from coordinator.settings import Place
from node.kernel.db import Database
from node.kernel.ports import Clock

POLL_SECONDS = 0.2

Found = TypeVar("Found")


def settle(
    database: Database,
    clock: Clock,
    place: Place,
    *,
    collect_seconds: int,
    signing_seconds: int,
    wait_seconds: int,
) -> Round:
    """Open a round and wait until it is settled or has nothing to settle."""
    _require_served(place)
    with database.read() as session:
        if not directory.fact(session, directory.CONTRACT_ADDRESS):
            raise NoContract(directory=str(place.directory))
    opened = database.do(
        lambda session: settlement.open_round(
            session, clock, collect_seconds=collect_seconds, signing_seconds=signing_seconds
        )
    )

    def look() -> Round:
        with database.read() as session:
            return session.get_one(Round, opened.number)

    current = _wait(look, lambda found: found.state in rules.ENDED, wait_seconds)
    if current.state not in rules.ENDED:
        raise RoundTooSlow(number=current.number, state=current.state, seconds=wait_seconds)
    if current.state is RoundState.FAILED:
        raise RoundFailed(number=current.number, reason=current.failure or "")
    return current


def train(
    database: Database,
    clock: Clock,
    place: Place,
    *,
    rounds: int,
    min_nodes: int | None,
    local_steps: int,
    seed: int,
    wait_seconds: int,
) -> TrainingRun:
    """Ask for a training and wait for its model."""
    _require_served(place)
    with database.read() as session:
        members = len(directory.active_members(session))
    requested = database.do(
        lambda session: training.request_training(
            session,
            clock,
            rounds=rounds,
            min_nodes=min_nodes or max(training.NODES_MIN, members // 2 + 1),
            local_steps=local_steps,
            seed=seed,
        )
    )

    def look() -> TrainingRun:
        with database.read() as session:
            return session.get_one(TrainingRun, requested.id)

    current = _wait(look, lambda found: found.state not in training.UNFINISHED, wait_seconds)
    if current.state in training.UNFINISHED:
        raise TrainingRunTooSlow(run=current.id, seconds=wait_seconds)
    if current.state is TrainingState.FAILED:
        raise TrainingRunFailed(run=current.id, reason=current.failure or "")
    return current


def _require_served(place: Place) -> None:
    if not is_served(place):
        raise OfficeNotServing(directory=str(place.directory))


def _wait(look: Callable[[], Found], is_done: Callable[[Found], bool], seconds: int) -> Found:
    give_up_at = time.monotonic() + seconds
    while not is_done(found := look()) and time.monotonic() < give_up_at:
        time.sleep(POLL_SECONDS)
    return found
