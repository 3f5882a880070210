"""`linli-district train | schedule | privacy | bundle | models`: the forecast that we share."""

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from coordinator.folder import Directory, Json, opened
from coordinator.settings import read_office
from coordinator.superlink import TrainingPlan
from node.kernel.clock import SystemClock
from node.kernel.errors import BadInput
from node.kernel.terminal import say

WAIT_SECONDS = 7_200
ROUNDS, STEPS = TrainingPlan.rounds, TrainingPlan.local_steps

models_app = typer.Typer(
    no_args_is_help=True,
    help="The district's models: what each was made of, and the way back from a bad one.",
)
Sha256 = Annotated[
    str, typer.Argument(metavar="SHA256", help="The model's hash, or its first 8 signs or more.")
]


def add_to(app: typer.Typer) -> None:
    """Offer these commands beside the others."""
    for command in (train, schedule, privacy, bundle):
        app.command()(command)
    app.add_typer(models_app, name="models")


def train(
    directory: Directory,
    rounds: Annotated[int, typer.Option(help="How often models are averaged.", min=1)] = ROUNDS,
    min_nodes: Annotated[
        int, typer.Option(help="Wait for so many communities; 0: more than half.", min=0)
    ] = 0,
    local_steps: Annotated[int, typer.Option(help="Steps at each node a round.", min=1)] = STEPS,
    seed: Annotated[int, typer.Option(help="The same seed starts from the same model.")] = 0,
    wait_seconds: Annotated[int, typer.Option(help="How long to wait here.", min=1)] = (
        WAIT_SECONDS
    ),
    as_json: Json = False,
) -> None:
    """Train the forecast with all communities that are here, and keep the model for them."""
    from coordinator.waiting import train as train_and_wait

    with opened(directory) as (place, _, database):
        done = train_and_wait(
            database,
            SystemClock(),
            place,
            rounds=rounds,
            min_nodes=min_nodes or None,
            local_steps=local_steps,
            seed=seed,
            wait_seconds=wait_seconds,
        )
    card = json.loads(done.card_json or "{}")
    made = {
        "run": done.id,
        "engine": "flower",
        "flower_run": done.flower_run,
        "rounds": done.rounds,
        "model_sha256": done.sha256,
        "bundle_sha256": card.get("bundle_sha256"),
        "card": card,
    }
    sentence = (
        f"Run {done.id} is done; model {(done.sha256 or '')[:12]} is ready for the nodes.\n"
        f"They ran the bundle {made['bundle_sha256']}; its sources: {place.superlink / 'app'}"
    )
    say(made, as_json=as_json, sentence=sentence)


def schedule(
    directory: Directory,
    every_days: Annotated[
        int, typer.Option(help="Train every so many days; 7: weekly.", min=0, max=365)
    ] = 0,
    first: Annotated[
        str, typer.Option(metavar="MOMENT", help="Such as 2030-01-06T03:00+08:00; else in N days.")
    ] = "",
    rounds: Annotated[int, typer.Option(help="How often models are averaged.", min=1)] = ROUNDS,
    min_nodes: Annotated[int, typer.Option(help="As for train; 0: more than half.", min=0)] = 0,
    local_steps: Annotated[int, typer.Option(help="Steps at each node a round.", min=1)] = STEPS,
    off: Annotated[bool, typer.Option("--off", help="No training by itself any more.")] = False,
    as_json: Json = False,
) -> None:
    """Show when trainings begin by themselves; agree on it with --every-days, end it with --off.

    The serving office begins them. One that was missed is not made up; train does one now.
    """
    from coordinator import schedule as schedules

    if off and every_days:
        raise BadInput(field="--off", problem="it does not go with --every-days")
    with opened(directory) as (_, _, database):
        if off:
            database.do(schedules.end_schedule)
        elif every_days:
            database.do(
                lambda session: schedules.set_schedule(
                    session,
                    SystemClock(),
                    every_days=every_days,
                    first_at=_moment(first) if first else None,
                    rounds=rounds,
                    min_nodes=min_nodes,
                    local_steps=local_steps,
                )
            )
        with database.read() as session:
            agreed = schedules.as_json(session)
    sentence = "No training begins by itself."
    if agreed is not None:
        sentence = f"Every {agreed['every_days']} days; the next at {agreed['next_at']}."
    say({"schedule": agreed}, as_json=as_json, sentence=sentence)


def privacy(
    directory: Directory,
    epsilon: Annotated[
        float | None, typer.Option(help="Of the noise on each count; smaller protects more.")
    ] = None,
    protection: Annotated[
        str | None,
        typer.Option(help="Of the updates: auto, secure, mean, trimmed-mean or median."),
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="summary.json of linli-sim compare on your own data."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what trainings promise each resident and what it costs; choose with --epsilon.

    A node whose own noise is weaker than the promise takes no part. With --protection auto the
    office sees sums only, from four communities on; below, single updates.
    """
    from coordinator import protection as protecting

    with opened(directory) as (place, _, _):
        if any(value is not None for value in (epsilon, protection, measured)):
            protecting.choose(place, epsilon=epsilon, protection=protection, comparison=measured)
        office, table = read_office(place), protecting.measured(place)
    lines = [f"Error by epsilon, requests a day, measured on {table['measured_on']}:"]
    for row in table["accuracy_by_epsilon"]:
        name = "no noise" if row["epsilon"] is None else f"{row['epsilon']:g}"
        mark = "  <- chosen" if row["epsilon"] == office.count_epsilon else ""
        lines.append(f"{name:>10}  {row['total_mae']:.3f}{mark}")
    lines.append(f"Epsilon is {office.count_epsilon:g}; updates: {office.protection}.")
    facts = {"epsilon": office.count_epsilon, "protection": office.protection, **table}
    say(facts, as_json=as_json, sentence="\n".join(lines))


def bundle(directory: Directory, as_json: Json = False) -> None:
    """Build the training app, name its hash, and where its sources can be read.

    Hand the hash to operators: a node runs nothing else. Nodes that are on line have its bytes
    already and read them with linli-node bundles read.
    """
    from coordinator.bundle import build_bundle, publish

    with opened(directory) as (place, _, _):
        built = asyncio.run(build_bundle(place.bundles))
        publish(built, place.bundles)
    facts = {"sha256": built.sha256, "sources": str(built.folder), "file": str(built.file)}
    say(facts, as_json=as_json, sentence=f"{built.sha256}\nIts sources are in {built.folder}.")


@models_app.command(name="list")
def list_models(directory: Directory, as_json: Json = False) -> None:
    """List all models, the newest first, with their cards."""
    from coordinator.registry import models

    with opened(directory) as (_, _, database), database.read() as session:
        found = models(session)
    lines = [
        f"{one['sha256'][:16]}  run {one['run']:4}  {one['made_at']}  held by {one['held_by']:3}"
        f"{'  latest' if one['is_latest'] else ''}"
        f"{'  withdrawn: ' + one['withdrawn'] if one['withdrawn'] else ''}"
        for one in found
    ]
    say({"models": found}, as_json=as_json, sentence="\n".join(lines) or "There is no model yet.")


@models_app.command()
def withdraw(
    directory: Directory,
    sha256: Sha256,
    reason: Annotated[str, typer.Option(help="Why; officers of later years will ask.")],
    as_json: Json = False,
) -> None:
    """Offer a model no longer: nodes go back to the one before it, at their next sign of life.

    A node whose operator chose a model by hand keeps it. Before any other model there was none to
    go back to: then nodes keep what they have, and judge it by their own guard as ever.
    """
    from coordinator.registry import withdraw as withdraw_model
    from coordinator.training import latest_model

    with opened(directory) as (_, _, database):
        chosen = database.do(
            lambda session: withdraw_model(session, SystemClock(), sha256=sha256, reason=reason)
        )
        with database.read() as session:
            latest = latest_model(session)
    sentence = f"{chosen} is withdrawn. The latest is {latest or 'none'} now."
    say({"withdrawn": chosen, "latest": latest or None}, as_json=as_json, sentence=sentence)


@models_app.command()
def restore(directory: Directory, sha256: Sha256, as_json: Json = False) -> None:
    """Offer a withdrawn model again."""
    from coordinator.registry import restore as restore_model

    with opened(directory) as (_, _, database):
        chosen = database.do(lambda session: restore_model(session, sha256=sha256))
    say({"restored": chosen}, as_json=as_json, sentence=f"{chosen} is offered again.")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(field="--first", problem=f"no moment: {text[:40]}") from error
