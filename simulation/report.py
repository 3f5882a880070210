"""What a run leaves for people: one page with plots, one table on the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from rich.markup import escape
from rich.table import Table

from simulation import plots

TEMPLATES = Path(__file__).parent / "templates"

ARM_WORDS = {
    "mean8": "误差 error, 8-week mean",
    "local": "误差 error, local only",
    "federated": "误差 error, federated",
}

KIND_WORDS = {
    "GetBatch": "取结算批次",
    "GetModel": "取模型",
    "Heartbeat": "心跳",
    "PassAccepted": "接受凭证",
    "PassReleased": "退回凭证",
    "PresentPass": "出示凭证",
    "ProposeStatement": "提出对账单",
    "Receipt": "收据",
    "ReleasePass": "归还凭证",
    "RequestCapture": "请求入账",
    "StatementAgreed": "确认对账单",
    "SubmitPosition": "提交头寸",
    "SubmitSignature": "提交签名",
    "model_update": "模型更新",
    "training_keys": "训练密钥与份额",
    "training_refusal": "拒绝训练",
}
"""What the kinds of messages mean; a kind that is not here is shown by its own word."""

Json = Mapping[str, Any]


def render(summary: Json, details: Json) -> str:
    """The whole report as one page that needs no other file and no network."""
    pages = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    communities = details["communities"]
    weeks = [
        {
            "name": place["name"],
            "adopted": details["forecasts"][place["name"]]["adopted"],
            "svg": Markup(plots.next_week(place["name"], details, number=number)),  # noqa: S704 ours
        }
        for number, place in enumerate(communities)
    ]
    drawn = {
        "errors": plots.errors_by_community(details),
        "story": plots.time_line(details),
        "net": plots.net_positions(details),
        "left": plots.bytes_that_left(summary),
        "steps": plots.seconds_by_step(details),
    }
    return pages.get_template("report.html").render(
        summary=summary,
        details=details,
        communities=communities,
        mae=summary["training"]["mae"],
        arms={arm: label for arm, (label, _, _) in plots.ARMS.items()},
        errors=[_errors(place["name"], details) for place in communities],
        kinds={
            kind: KIND_WORDS.get(kind, "")
            for kind in sorted({kind for sent in summary["left"].values() for kind in sent})
        },
        audits_ok=all(audit["ok"] for audit in summary["audit"].values()),
        audited=sum(audit["entries"] for audit in summary["audit"].values()),
        plots={name: Markup(svg) for name, svg in drawn.items()} | {"weeks": weeks},  # noqa: S704 ours
    )


def terminal_table(summary: Json, details: Json) -> Table:
    """The run in one table: a column per community, a line per promise."""
    table = Table(title="邻里 Linli: what the district did", title_justify="left")
    table.add_column("", no_wrap=True)
    names = [place["name"] for place in details["communities"]]
    for letter, name in zip("ABCD", names, strict=True):
        table.add_column(f"{letter}\n{escape(name)}", justify="right")
    for arm, label in ARM_WORDS.items():
        cells = []
        for name in names:
            row = _errors(name, details)
            text = "-" if row[arm] is None else f"{row[arm]:.3f}"
            cells.append(f"[bold green]{text} *[/]" if arm == row["adopted"] else text)
        table.add_row(label, *cells)
    table.add_section()
    positions = details["positions"]
    table.add_row("链上分钟 minutes on chain", *(f"{positions[name]:+d}" for name in names))
    audits = [summary["audit"][name] for name in names]
    table.add_row("审计 audit", *(_audit(audit) for audit in audits))
    table.add_row("分录 journal entries", *(str(audit["entries"]) for audit in audits))
    left = [summary["left"][name].values() for name in names]
    table.add_row(
        "离开节点 left, kB",
        *(f"{sum(sent['bytes'] for sent in kinds) / 1000:.1f}" for kinds in left),
    )
    redeemed, settled = summary["redemption"], summary["settlement"]
    table.caption_justify = "left"
    table.caption = (
        f"* adopted by the community. History: {escape(details['panel']['label'])}.\n"
        f"{redeemed['minutes']} min of A's elder redeemed in B: {redeemed['state']}; "
        f"{redeemed['killed']} was killed in the middle and recovered.\n"
        f"Settled {settled['minutes']} min of {settled['communities']} communities in one "
        f"transaction; their balances sum to {settled['sum']}. {summary['seconds']:.0f} s in all."
    )
    return table


def _audit(audit: Json) -> str:
    return "[green]ok[/]" if audit["ok"] else "[bold red]NOT OK[/]"


def _errors(name: str, details: Json) -> dict[str, Any]:
    """One community's line: its error by arm, and what it adopted."""
    forecast = details["forecasts"][name]
    found = {arm: forecast["arms"].get(arm) for arm in plots.ARMS}
    errors = {arm: None if one is None else one["total_mae"] for arm, one in found.items()}
    return {"name": name, "adopted": forecast["adopted"], **errors}
