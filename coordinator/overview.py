"""The district at a glance, for the dashboard, `status` and whoever watches the office."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import directory, registry, schedule, settlement, wire
from coordinator.enrolment import waiting
from coordinator.model import (
    BatchSeen,
    Certificate,
    Community,
    ModelWithdrawn,
    Round,
    TrainingRun,
)
from coordinator.rules import RoundState

ROUNDS_SHOWN = 10
RUNS_SHOWN = 10
SEEN_RECENTLY_SECONDS = 60


def overview(session: Session, *, district: str, now: datetime) -> dict[str, Any]:
    """Everything the office shows; JSON values only, and nothing about any resident."""
    return {
        "district": district,
        "at": now.isoformat(timespec="seconds"),
        "contract": directory.fact(session, directory.CONTRACT_ADDRESS) or None,
        "directory_version": directory.version(session),
        "waiting": waiting(session),
        "communities": communities(session, now=now),
        "bundle_sha256": directory.fact(session, directory.BUNDLE_SHA256) or None,
        "schedule": schedule.as_json(session),
        "trainings": trainings(session),
        "rounds": rounds(session),
        "batches": batches(session),
    }


def communities(session: Session, *, now: datetime) -> list[dict[str, Any]]:
    """Each community: membership, chain, training, health, and its minutes settled so far."""
    lives = (
        select(Certificate.community_id, func.max(Certificate.expires_at))
        .where(Certificate.revoked_at.is_(None))
        .group_by(Certificate.community_id)
    )
    expiries = {community: until for community, until in session.execute(lives)}
    settled = settled_minutes(session)
    return [
        {
            "id": one.id,
            "name": one.name,
            "state": one.state.value,
            "number": one.number,
            "signing_key": (one.signing_public_key or b"").hex() or None,
            "on_chain": one.on_chain_at is not None,
            "in_training": one.in_training_at is not None,
            "seen_at": _text(one.seen_at),
            "is_here": one.seen_at is not None
            and (now - one.seen_at).total_seconds() <= SEEN_RECENTLY_SECONDS,
            "certificate_until": _text(expiries.get(one.id)),
            "adopted_arm": one.adopted_arm,
            "model_sha256": one.model_sha256,
            "settled_minutes": settled.get(one.number or 0, 0),
        }
        for one in session.scalars(
            select(Community).order_by(Community.number.is_(None), Community.number, Community.id)
        )
    ]


def settled_minutes(session: Session) -> dict[int, int]:
    """Chain number to minutes gained (+) or owed (-) in all settled batches."""
    sums: dict[int, int] = {}
    for kept in session.scalars(select(Round.batch).where(Round.state == RoundState.SETTLED)):
        for entry in wire.proposal(kept or b"").entries:
            sums[entry.number] = sums.get(entry.number, 0) + entry.delta_minutes
    return sums


def trainings(session: Session) -> list[dict[str, Any]]:
    """The latest training runs, newest first, with what is known of their models."""
    runs = session.scalars(select(TrainingRun).order_by(TrainingRun.id.desc()).limit(RUNS_SHOWN))
    withdrawn = {one.sha256: one.reason for one in session.scalars(select(ModelWithdrawn))}
    return [
        {
            "run": one.id,
            "state": one.state.value,
            "rounds": one.rounds,
            "requested_at": _text(one.requested_at),
            "ended_at": _text(one.ended_at),
            "sha256": one.sha256,
            "failure": one.failure,
            "withdrawn": withdrawn.get(one.sha256 or ""),
            **_of_card(registry.card(session, one)),
        }
        for one in runs
    ]


def _of_card(card: Mapping[str, Any]) -> dict[str, Any]:
    """Of a model's card what fits a line; told errors where communities chose to tell them."""
    told = [errors for errors in card["errors"].values() if {"mean8", "federated"} <= set(errors)]
    return {
        "epsilon": (card["privacy"] or {}).get("epsilon"),
        "is_secure": (card.get("protection") or {}).get("secure_aggregation"),
        "told": len(told),
        "better_for": sum(errors["federated"] <= errors["mean8"] for errors in told),
    }


def rounds(session: Session) -> list[dict[str, Any]]:
    """The latest settlement rounds, newest first."""
    found = session.scalars(select(Round).order_by(Round.number.desc()).limit(ROUNDS_SHOWN))
    return [round_row(one) for one in found]


def round_row(one: Round) -> dict[str, Any]:
    """A settlement round as people and programs read it."""
    entries = wire.proposal(one.batch).entries if one.batch else ()
    return {
        "round": one.number,
        "state": one.state.value,
        "attempt": one.attempt,
        "opened_at": _text(one.opened_at),
        "ended_at": _text(one.ended_at),
        "communities": len(entries),
        "minutes": one.minutes,
        "sum": sum(entry.delta_minutes for entry in entries),
        "entries": {str(entry.number): entry.delta_minutes for entry in entries},
        "left_out": settlement.left_out_of(one),
        "transaction": "0x" + one.transaction_hash.hex() if one.transaction_hash else None,
        "failure": one.failure,
    }


def batches(session: Session) -> list[dict[str, Any]]:
    """The latest batches as the chain told them, newest first."""
    found = session.scalars(
        select(BatchSeen).order_by(BatchSeen.block_number.desc()).limit(ROUNDS_SHOWN)
    )
    return [
        {
            "transaction": "0x" + one.transaction_hash.hex(),
            "block": one.block_number,
            "communities": one.communities,
            "minutes": one.minutes,
            "seen_at": _text(one.seen_at),
        }
        for one in found
    ]


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
