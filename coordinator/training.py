"""Trainings of the forecaster: asked for, run, their models kept; and what nodes tell of them."""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.model import Community, CommunityState, ModelWithdrawn, TrainingRun, TrainingState
from coordinator.refusals import ModelUnknown, TrainingBusy
from node.kernel.files import write_file
from node.kernel.ports import Clock

ATTEMPTS_MAX = 3  # starts of one run: the office may be killed in the middle
SEEN_STEP = timedelta(seconds=10)  # how exactly it is known when a node was last here
NODES_MIN = 2  # fewer would not be a federation
ARMS = frozenset({"mean8", "local", "federated"})
Card = Mapping[str, Any]
UNFINISHED = (TrainingState.REQUESTED, TrainingState.RUNNING)


def request_training(
    session: Session, clock: Clock, *, rounds: int, min_nodes: int, local_steps: int, seed: int
) -> TrainingRun:
    """Ask the serving office for a training; one at a time."""
    unfinished = next_run(session)
    if unfinished is not None:
        raise TrainingBusy(run=unfinished.id)
    run = TrainingRun(
        state=TrainingState.REQUESTED,
        rounds=rounds,
        min_nodes=min_nodes,
        local_steps=local_steps,
        seed=seed,
        attempt=0,
        requested_at=clock.now(),
    )
    session.add(run)
    session.flush()
    return run


def next_run(session: Session) -> TrainingRun | None:
    """The run that is to be done, or was being done when the office stopped."""
    return session.scalars(
        select(TrainingRun).where(TrainingRun.state.in_(UNFINISHED)).order_by(TrainingRun.id)
    ).first()


def begin(session: Session, clock: Clock, *, run_id: int) -> TrainingRun | None:
    """Note that a run starts; None if it was begun too often and is given up."""
    run = session.get_one(TrainingRun, run_id)
    if run.attempt >= ATTEMPTS_MAX:
        fail(session, clock, run_id=run_id, reason="The office was stopped in the middle of it.")
        return None
    run.state = TrainingState.RUNNING
    run.attempt += 1
    return run


def keep_model(
    session: Session,
    clock: Clock,
    *,
    run_id: int,
    flower_run: str,
    sha256: str,
    card: Card,
) -> None:
    """A run succeeded: its model, already in the models folder, is the district's latest."""
    run = session.get_one(TrainingRun, run_id)
    run.state = TrainingState.DONE
    run.ended_at = clock.now()
    run.flower_run = flower_run
    run.sha256 = sha256
    communities = session.scalars(
        select(Community.id).where(Community.in_training_at.is_not(None)).order_by(Community.id)
    ).all()
    card = {**card, "sha256": sha256, "communities": list(communities)}
    run.card_json = json.dumps(card, ensure_ascii=False, sort_keys=True)


def fail(session: Session, clock: Clock, *, run_id: int, reason: str) -> None:
    """A run did not come to a model, and why."""
    run = session.get_one(TrainingRun, run_id)
    run.state = TrainingState.FAILED
    run.ended_at = clock.now()
    run.failure = reason


def store_model(models: Path, model: bytes) -> str:
    """Put a model into the folder under its hash; returns the hash."""
    sha256 = hashlib.sha256(model).hexdigest()
    models.mkdir(exist_ok=True)
    write_file(models / sha256, model)
    return sha256


def latest_model(session: Session) -> str:
    """The hash of the district's latest model that stands, empty if there is none."""
    return (
        session.scalars(
            select(TrainingRun.sha256)
            .where(
                TrainingRun.state == TrainingState.DONE,
                TrainingRun.sha256.not_in(select(ModelWithdrawn.sha256)),
            )
            .order_by(TrainingRun.id.desc())
            .limit(1)
        ).first()
        or ""
    )


def model_file(session: Session, *, sha256: str) -> str:
    """The card of a model that is in the models folder."""
    card_json = session.scalars(
        select(TrainingRun.card_json).where(TrainingRun.sha256 == sha256)
    ).first()
    if card_json is None:
        raise ModelUnknown(sha256=sha256[:64])
    return card_json


def member_keys(session: Session) -> dict[str, bytes]:
    """The active communities' signing keys: by them a training tells members from others."""
    active = session.scalars(select(Community).where(Community.state == CommunityState.ACTIVE))
    return {one.id: one.signing_public_key for one in active if one.signing_public_key}


def is_news(
    session: Session, clock: Clock, *, community_id: str, adopted_arm: str, model_sha256: str
) -> bool:
    """Whether a heartbeat is worth a write: it says something new, or the last is a while ago."""
    community = session.get_one(Community, community_id)
    known = (community.adopted_arm or "", community.model_sha256 or "")
    is_recent = community.seen_at is not None and clock.now() - community.seen_at < SEEN_STEP
    return not is_recent or known != (adopted_arm, model_sha256)


def note_report(
    session: Session, clock: Clock, *, community_id: str, adopted_arm: str, model_sha256: str
) -> None:
    """A node was here, and told what it chose to tell."""
    community = session.get_one(Community, community_id)
    community.seen_at = clock.now()
    if adopted_arm in ARMS:
        community.adopted_arm = adopted_arm
    if len(model_sha256) == 64:
        community.model_sha256 = model_sha256
