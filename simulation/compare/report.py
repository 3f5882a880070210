"""What a comparison leaves for people: a table on the terminal, and one page without network."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from rich.markup import escape
from rich.table import Table

from simulation.compare import pictures
from simulation.compare.arms import UNSEEDED
from simulation.compare.pictures import MARKERS
from simulation.compare.protocol import METRICS
from simulation.compare.study import Findings, summary

TEMPLATES = Path(__file__).parents[1] / "templates"
HEADINGS = {
    "total_mae": ("总量误差", "total MAE"),
    "total_mase": ("总量 MASE", "total MASE"),
    "total_pinball": ("总量分位损失", "total pinball"),
    "total_mae_trimmed": ("去掉批量日", "MAE trimmed"),
    "category_mae": ("类别误差", "category MAE"),
    "category_pinball": ("类别分位损失", "category pinball"),
    "bias": ("偏差", "bias"),
}


def rows_of(findings: Findings) -> list[dict[str, Any]]:
    """A line per arm, federated_private once per epsilon, as the table and the page show it."""
    rows = []
    for arm, figures in summary(findings)["arms"].items():
        label, _, _ = MARKERS[arm]
        for epsilon, one in figures.get("by_epsilon", {"": figures}).items():
            name = f"{label} ε={epsilon}" if epsilon else label
            rows.append({"arm": arm, "label": name, "is_seeded": arm not in UNSEEDED, **one})
    for metric in METRICS[:-1]:
        best = min(row[metric] for row in rows)
        for row in rows:
            row.setdefault("best", set())
            if row[metric] <= best:
                row["best"].add(metric)
    return rows


def terminal_table(findings: Findings) -> Table:
    table = Table(title=f"邻里 Linli compare: {escape(findings.panel.label)}", title_justify="left")
    table.add_column("", no_wrap=True)
    for zh, en in HEADINGS.values():
        table.add_column(f"{zh}\n{en}", justify="right")
    table.add_column("秒\nseconds", justify="right")
    table.add_column("千字节\nkB each", justify="right")
    for row in rows_of(findings):
        cells = [
            f"[bold green]{row[metric]:.4f}[/]" if metric in row["best"] else f"{row[metric]:.4f}"
            for metric in METRICS
        ]
        table.add_row(
            row["label"],
            *cells,
            f"{row['seconds']:.1f}",
            f"{row['bytes_per_community'] / 1000:.0f}",
        )
    table.caption_justify = "left"
    table.caption = "\n".join(_caption(findings))
    return table


def _caption(findings: Findings) -> list[str]:
    protocol = findings.protocol.as_json(findings.panel)
    lines = [
        f"{protocol['communities']} communities, {len(protocol['categories'])} categories, "
        f"{protocol['origins']} weeks from {protocol['first_test_day']}; means over "
        f"{findings.request.seeds} seeds. Smaller is better; requests a day."
    ]
    for mine, ratios in summary(findings)["ratios"].items():
        parts = [f"÷ {name} {ratio:.3f}" for name, ratio in ratios.items()]
        if parts:
            lines.append(f"{mine} " + ", ".join(parts))
    if guard := findings.guard:
        lines.append(
            f"After the guard {guard.no_worse_share:.0%} of communities are no worse than the "
            f"8-week mean ({guard.no_worse_unguarded_share:.0%} without it)."
        )
    lines += [f"Note: {escape(str(note))}." for note in findings.notes]
    return lines


def render(findings: Findings) -> str:
    """The whole report as one page."""
    pages = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    drawn = pictures.drawn(findings)
    return pages.get_template("compare.html").render(
        panel=findings.panel,
        protocol=findings.protocol.as_json(findings.panel),
        request=findings.request,
        notes=findings.notes,
        rows=rows_of(findings),
        headings=HEADINGS,
        ratios=summary(findings)["ratios"],
        guard=findings.guard,
        labels={name: label for name, (label, _, _) in MARKERS.items()},
        pictures={name: Markup(svg) for name, svg in drawn.items()},  # noqa: S704 # drawn by us
    )
