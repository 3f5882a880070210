"""`linli-sim compare` and `linli-sim city`: what people type, and where the answers go."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from node.kernel.files import write_file
from simulation.city import write_city
from simulation.refusals import ArmImpossible, OutUnusable

if TYPE_CHECKING:
    from simulation.compare.arms import Federate

ARM_NAMES = (
    "lag7",
    "mean8",
    "seed_forest",
    "local",
    "local_half",
    "local_early",
    "centralised",
    "federated",
    "federated_private",
    "zero_shot",
    "zero_shot_plain",
)
ENGINES = ("fast", "flower")
SEEDS_MAX = 100
EPSILON_MIN, EPSILON_MAX = 0.01, 100.0
COMMUNITIES_MAX = 10_000
DAYS_MAX = 7_305
TABLE_WIDTH = 150  # columns, where the output goes to a file or a pipe


def compare(
    panel: Annotated[
        Path,
        typer.Option(
            help="CSV or CSV.GZ: date, community, category, count; any number of communities "
            "and categories.",
        ),
    ],
    arms: Annotated[
        str | None,
        typer.Option(help=f"Some of {', '.join(ARM_NAMES)}, with commas. Left out: all."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=SEEDS_MAX, help="How many, from 0 on.")] = 3,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(
            min=EPSILON_MIN,
            max=EPSILON_MAX,
            help="Of the noise on the counts, per event; may be repeated. The first one is the "
            "figure of federated_private itself. Left out: 1, 2 and 0.5.",
        ),
    ] = None,
    weather: Annotated[
        Path | None,
        typer.Option(help="date, temperature (or tavg_c), is_holiday: for the seed's forest."),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(help="fast, or flower: the federated arm under Flower's simulation on Ray."),
    ] = "fast",
    out: Annotated[Path, typer.Option(help="Where report.html and summary.json go.")] = Path(
        "comparison"
    ),
    as_json: Annotated[
        bool, typer.Option("--json", help="End with the figures as one JSON object.")
    ] = False,
) -> None:
    """Compare forecasts on a panel: naive, local, pooled, federated, private, zero-shot."""
    from simulation.compare.report import render, terminal_table  # torch-sized imports: only here
    from simulation.compare.study import Request, steps_of, summary
    from simulation.compare.study import compare as run
    from simulation.compare.tables import read_table
    from simulation.compare.weather import Weather

    words = Console(stderr=True, highlight=False, soft_wrap=True)
    chosen = _chosen(arms)
    folder = _folder(out)
    table = read_table(panel)
    for note in table.notes:
        words.print(f"[yellow]{escape(str(note))}[/]")
    request = Request(
        _possible(chosen, arms, len(table.communities), words),
        seeds,
        tuple(dict.fromkeys(epsilon or (1.0, 2.0, 0.5))),
    )
    with _bar(words) as bar:
        task = bar.add_task("", total=steps_of(request))

        def step(name: str) -> None:
            bar.update(task, advance=1, description=escape(name))

        findings = run(
            table,
            request,
            weather=Weather.read(weather) if weather else None,
            federate=_engine(engine),
            step=step,
        )
    figures = json.dumps(summary(findings), ensure_ascii=False)
    _show(terminal_table(findings))
    write_file(folder / "summary.json", (figures + "\n").encode())
    write_file(folder / "report.html", render(findings).encode())
    words.print(f"报告 Report: {escape((folder / 'report.html').as_uri())}")
    if as_json:
        sys.stdout.write(figures + "\n")
        sys.stdout.flush()


def _show(table: RenderableType) -> None:
    sheet = Console()
    sheet.width = max(sheet.width, TABLE_WIDTH if not sheet.is_terminal else 0)
    sheet.print(table)


def _chosen(arms: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in arms.split(",")) if arms else ARM_NAMES
    for name in names:
        if name not in ARM_NAMES:
            raise ArmImpossible(arm=name, reason=f"the arms are {', '.join(ARM_NAMES)}")
    return names


def _possible(
    chosen: tuple[str, ...], asked: str | None, communities: int, words: Console
) -> tuple[str, ...]:
    """With one community there is nobody to federate with: said, or refused if asked for."""
    from simulation.compare.arms import TOGETHER

    if communities > 1 or asked:
        return chosen
    words.print("[yellow]only one community: the arms that need others are left out[/]")
    return tuple(name for name in chosen if name not in TOGETHER)


def _folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or "it cannot be made"
        raise OutUnusable(directory=str(out), reason=reason) from error
    return out.resolve()


def _engine(name: str) -> "Federate | None":
    if name not in ENGINES:
        raise ArmImpossible(arm="federated", reason=f"the engines are {', '.join(ENGINES)}")
    if name == "fast":
        return None
    from simulation.compare.flower_app import federate

    return federate


def _bar(words: Console) -> Progress:
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=words,
    )


def city(
    communities: Annotated[
        int, typer.Option(min=1, max=COMMUNITIES_MAX, help="How many communities.")
    ],
    out: Annotated[Path, typer.Option(help="The panel to write; .gz packs it.")] = Path(
        "city.csv.gz"
    ),
    days: Annotated[int, typer.Option(min=1, max=DAYS_MAX, help="How many days.")] = 1461,
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same bytes.")] = 7,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with what was written as one JSON object.")
    ] = False,
) -> None:
    """Write a generated panel whose truth is known: shared rhythm, levels, shifts, batch entry."""
    facts = write_city(out, communities=communities, days=days, seed=seed)
    words = Console(stderr=True, highlight=False, soft_wrap=True)
    words.print(
        f"{facts['communities']} communities, {facts['days']} days, {facts['requests']} requests: "
        f"{escape(str(out))}; generated from seed {seed}, not real people."
    )
    if as_json:
        sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
