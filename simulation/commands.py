"""The commands of `linli-sim`: whole districts for newcomers and researchers."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from simulation import verify_proof
from simulation.compare.command import city, compare
from simulation.demo import (
    STEPS,
    Demo,
    Options,
    Run,
    prepare_panel,
    run_folder,
    shortfalls,
    write_results,
)
from simulation.processes import ProcessTree
from simulation.progress import Progress
from simulation.refusals import StepFailed
from simulation.report import terminal_table
from simulation.virtual_district import district

FAILED = 1
INTERRUPTED = 130
ROUNDS_MAX = 100

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Whole districts on this machine: real processes, or the same code under virtual time.",
)


@app.callback()
def _commands() -> None:
    """Keeps `demo` a command of its own while it is the only one."""


app.command()(district)
app.command()(compare)
app.command()(city)


@app.command(
    name=verify_proof.COMMAND,
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def check_proof(context: typer.Context) -> None:
    """Check that an hour is in a settled batch; it trusts the chain and no node's code."""
    raise typer.Exit(verify_proof.main(context.args))  # cli.py goes there without this module


@app.command()
def demo(
    panel: Annotated[
        Path | None,
        typer.Option(
            help="History as CSV or CSV.GZ: date, community, category, count; at least four "
            "communities. Left out: residents generated from the seed.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the generated residents.")] = 1,
    out: Annotated[Path, typer.Option(help="Where report, summary and the run go.")] = Path("demo"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the district running until Ctrl-C.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with the summary as one JSON object.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, max=ROUNDS_MAX, help="Of the training.")] = 3,
) -> None:
    """Run a whole district once: chain, office, four nodes, training, a kill, settlement, audit."""
    options = Options(out.resolve(), panel, seed, rounds)
    words = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        status = asyncio.run(_demo(options, words, keep=keep, as_json=as_json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        words.print("Stopped; nothing is left running.")
        status = INTERRUPTED
    if status:
        raise typer.Exit(status)


async def _demo(options: Options, words: Console, *, keep: bool, as_json: bool) -> int:
    task: asyncio.Task[int] | None = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with run_folder(options.out) as home:
        panel = prepare_panel(options, home)
        words.print(f"邻里 Linli demo. History: {escape(panel.label)}.")
        progress, status = Progress(words, STEPS), FAILED
        try:
            async with ProcessTree(home) as tree:
                demonstration = Demo(options, panel, tree, progress)
                try:
                    run = await demonstration.run()
                    status = _finish(options, run, words, as_json=as_json)
                    if keep and status == 0:
                        _tell_addresses(run, words)
                        await _until_told_to_stop(task)
                finally:
                    await demonstration.district.close()
        except* StepFailed as failures:
            failure = _first(failures)
            words.print(f"[bold red]{escape(str(failure))}[/] ({failure.code})")
    return status


async def _until_told_to_stop(task: "asyncio.Task[int]") -> None:
    """Wait for Ctrl-C or SIGTERM: after a good run, being stopped is its good end."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        task.uncancel()


def _finish(options: Options, run: Run, words: Console, *, as_json: bool) -> int:
    write_results(options.out, run)
    Console().print(terminal_table(run.summary, run.details))
    page = options.out / "report.html"
    words.print(f"报告 Report: {escape(page.as_uri())}")
    missed = shortfalls(run.summary, rounds=options.rounds)
    if missed:
        words.print(f"[bold red]Not shown: {escape(', '.join(missed))}.[/]")
    if as_json:
        sys.stdout.write(json.dumps(run.summary, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    return FAILED if missed else 0


def _tell_addresses(run: Run, words: Console) -> None:
    """Where to look, and how to come in."""
    words.print(f"\n片区办公室 Office: {run.district.office_url}")
    for house, who in zip(run.district.houses, run.people, strict=True):
        words.print(f"{escape(house.name)}: {house.url}")
        for part, sign_in in (("staff", who.staff_sign_in), ("elder", who.elder_sign_in)):
            words.print(f"  {part}: phone {sign_in.phone}, PIN {sign_in.pin}")
    words.print("Ctrl-C ends all of it.")


def _first(failures: BaseExceptionGroup[StepFailed]) -> StepFailed:
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, StepFailed)
    return found
