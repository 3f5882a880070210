"""The district's side of a Flower run: rounds over one model, and a run that fails when it must.

Flower itself calls a run without a single result "completed". Here a round with fewer results than
agreed ends the run with a reason, and only a whole run leaves a model behind. From four communities
on the office is given sums only (secure_rounds.py); there is no quiet way back to single updates.
"""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from federation import privacy
from federation import weights as weights_of
from federation.asking import Asking
from federation.errors import ForecastError
from federation.plain_rounds import PlainRounds
from federation.plan import AUTO, MEAN, SECURE, Gathered, Plan
from federation.secagg.adverts import MEMBERS_MIN
from federation.secure_rounds import SecureRounds
from federation.weights import Weights

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds, then write model.npz and card.json; or failure.json, and raise."""
    plan = Plan.from_run(context)
    started = time.time()
    try:
        done = _run(grid, context, plan)
    except ForecastError as error:
        _write_json(plan.directory / "failure.json", {"code": error.code, "message": str(error)})
        raise
    sha256 = weights_of.save(done.weights, plan.directory / "model.npz")
    ended = time.time()
    card = {
        "run_id": str(context.run_id),
        "rounds": plan.rounds,
        "results_per_round": [each.took_part for each in done.rounds],
        "nodes": max(each.asked for each in done.rounds),
        "train_loss": [each.loss for each in done.rounds],
        "bytes": done.received_bytes,
        "seconds": round(ended - started, 2),
        "sha256": sha256,
        "started_at": _moment(started),
        "finished_at": _moment(ended),
        "protection": done.protection,
        "privacy": privacy.card_entry(
            count_epsilon=plan.count_epsilon,
            noise_multiplier=plan.noise_multiplier,
            rounds=plan.rounds,
            communities=max(each.asked for each in done.rounds),
        ),
    }
    _write_json(plan.directory / "card.json", card)  # last: a card vouches for a whole run


@dataclass(frozen=True)
class Done:
    """A whole run."""

    weights: Weights
    rounds: list[Gathered]
    received_bytes: int
    protection: dict[str, object]  # for the card: what was on, in figures


def _run(grid: Grid, context: Context, plan: Plan) -> Done:
    asking = Asking(grid, grace_seconds=plan.grace_seconds)
    gatherer: SecureRounds | PlainRounds
    if _is_secure(asking, plan):
        gatherer = SecureRounds(asking, plan, context.run_config)
        gatherer.agree()
    else:
        strategy = MEAN if plan.protection == AUTO else plan.protection
        gatherer = PlainRounds(asking, plan, strategy)
    weights = weights_of.initial_weights(plan.seed)
    rounds: list[Gathered] = []
    for number in range(1, plan.rounds + 1):
        gathered = gatherer.gather(number, weights)
        weights = gathered.weights
        rounds.append(gathered)
    return Done(weights, rounds, asking.received_bytes, _protection(gatherer, rounds))


def _is_secure(asking: Asking, plan: Plan) -> bool:
    """Sums only, wherever there are enough communities for a sum to hide one of them."""
    if plan.protection != AUTO:
        return plan.protection == SECURE
    nodes = asking.wait_for_nodes(
        plan.min_nodes, limit_seconds=plan.wait_timeout_seconds, round_number=1
    )
    return len(nodes) >= MEMBERS_MIN


def _protection(gatherer: SecureRounds | PlainRounds, rounds: list[Gathered]) -> dict[str, object]:
    if isinstance(gatherer, PlainRounds):
        return {
            "aggregation": gatherer.strategy,
            "secure_aggregation": False,
            "members": None,
            "quorum": None,
            "update_norm_max_per_round": None,
            "clipped_per_round": None,
        }
    return {
        "aggregation": MEAN,
        "secure_aggregation": True,
        "members": gatherer.members,
        "quorum": gatherer.quorum,
        "update_norm_max_per_round": [each.norm_max for each in rounds],
        "clipped_per_round": [each.clipped for each in rounds],
    }


def _write_json(path: Path, content: dict[str, object]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
