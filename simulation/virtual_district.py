"""`linli-sim district`: one seeded history of a whole district under a virtual clock."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from simulation.faults import Faults
from simulation.scenario import COMMUNITIES_MAX, DAYS_MAX, Scenario

if TYPE_CHECKING:
    from simulation.world import Outcome

FAILED = 1
TRIES = 150


def district(
    seed: Annotated[int, typer.Option(min=0, help="Everything random comes from it.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=DAYS_MAX, help="Virtual days.")] = 30,
    communities: Annotated[
        int, typer.Option(min=2, max=COMMUNITIES_MAX, help="Honest communities.")
    ] = 5,
    faults: Annotated[
        str,
        typer.Option(
            help="Probabilities: drop=…,delay=…,duplicate=…,reorder=…,partition=…,crash=…,chain=…,"
            "lie=…; left out: nothing goes wrong."
        ),
    ] = "",
    tries: Annotated[
        int, typer.Option(min=0, max=10_000, help="Shorter histories to try after a failure.")
    ] = TRIES,
    story: Annotated[bool, typer.Option("--story", help="Tell every event on stderr.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Live a district's days with real node code, a virtual clock and whatever goes wrong."""
    from simulation.shrinking import shorten, told  # node, office and keys: one second
    from simulation.world import simulate

    scenario = Scenario(seed, days=days, communities=communities, faults=Faults.parse(faults))
    outcome = simulate(scenario)
    if story and outcome.is_good:
        for event in outcome.history.events:
            typer.echo(str(event), err=True)
    if not outcome.is_good:
        words = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
        words.print(f"An invariant broke. Looking for the shortest story, {tries} tries at most.")
        words.print(told(shorten(outcome, runs=tries)))
    if as_json:
        sys.stdout.write(json.dumps(outcome.as_row()) + "\n")
    else:
        typer.echo(_in_words(outcome))
    if not outcome.is_good:
        raise typer.Exit(FAILED)


def _in_words(outcome: "Outcome") -> str:
    row, scenario = outcome.as_row(), outcome.scenario
    happened = ", ".join(f"{kind} {count}" for kind, count in row["faults"].items()) or "none"
    verdict = "every invariant held" if outcome.is_good else "an invariant broke"
    return (
        f"Seed {scenario.seed}, {scenario.days} days, {scenario.communities} communities: "
        f"{row['exchanges']} exchanges in {row['steps']} steps, {verdict}.\n"
        f"Faults that happened: {happened}.\nDigest {row['digest']}"
    )
