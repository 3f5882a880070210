"""A run as pictures: SVG whose text stays text and whose colours follow the page, light or dark."""

import html
import io
import logging
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Each colour stands for a variable of the page's style sheet and is replaced by it in the SVG.
INK, SOFT, LINE, SHEET = "#010101", "#020202", "#030303", "#fefefe"
ACCENT, GOOD, BAD, BLUE, BAND = "#010203", "#010204", "#010205", "#010206", "#010207"
VARIABLES = {
    INK: "ink",
    SOFT: "soft",
    LINE: "line",
    SHEET: "sheet",
    ACCENT: "accent",
    GOOD: "good",
    BAD: "bad",
    BLUE: "blue",
    BAND: "band",
}
ARMS = {
    "mean8": ("8 周均值 8-week mean", SOFT, "s"),
    "local": ("仅本地 local only", BLUE, "^"),
    "federated": ("联合 federated", ACCENT, "o"),
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "linli",
    "text.parse_math": False,  # a community's name may hold a dollar sign
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.labelcolor": INK,
}
WIDTH_INCHES = 8.4
REST = "其余 the rest"

_FONT = re.compile(r"font-family: [^;\"]+")
_ID = re.compile(r'(id="|url\(#|href="#)')


def errors_by_community(details: Mapping[str, Any]) -> str:
    """A row per community, a mark per arm; the adopted one is ringed. Further left is better."""
    names = [place["name"] for place in details["communities"]]

    def draw(axes: Axes) -> None:
        for row, name in enumerate(reversed(names)):
            forecast = details["forecasts"][name]
            found = {arm: _mae(forecast, arm) for arm in ARMS}
            known = [error for error in found.values() if error is not None]
            axes.plot([min(known), max(known)], [row, row], color=LINE, linewidth=3, zorder=1)
            for arm, error in found.items():
                if error is None:
                    continue
                _, colour, marker = ARMS[arm]
                axes.plot(error, row, marker, color=colour, markersize=9, zorder=3)
                if arm == forecast["adopted"]:
                    axes.plot(error, row, "o", markersize=17, mfc="none", mec=GOOD, mew=2, zorder=4)
                    axes.annotate(
                        f"{error:.2f}",
                        (error, row),
                        xytext=(0, 13),
                        textcoords="offset points",
                        ha="center",
                        color=GOOD,
                        weight="bold",
                    )
        axes.set_yticks(range(len(names)), list(reversed(names)))
        axes.set_ylim(-0.6, len(names) - 0.3)
        axes.margins(x=0.08)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("平均每日误差（件） mean absolute error, requests a day")
        for label, colour, marker in ARMS.values():
            axes.plot([], [], marker, color=colour, markersize=9, label=label)
        axes.plot([], [], "o", mfc="none", mec=GOOD, mew=2, markersize=12, label="已采用 adopted")
        axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=4, handletextpad=0.3)

    title = "各社区三种预测的误差 / errors of the three arms by community"
    return _picture("errors", title, draw, height_inches=0.62 * len(names) + 1.3)


def next_week(name: str, details: Mapping[str, Any], *, number: int) -> str:
    """What came in the last four weeks and what is expected next, with the 80 % band."""
    forecast = details["forecasts"][name]
    past = _total(forecast["actual"])
    ahead = _total(forecast["days"])
    days = [date.fromisoformat(day["date"]) for day in [*past, *ahead]]
    labels = [f"{day.month}/{day.day}" for day in days]
    at = range(len(past), len(days))

    def draw(axes: Axes) -> None:
        axes.bar(range(len(past)), [day["count"] for day in past], color=LINE, width=0.72)
        axes.bar(
            at,
            [day["q90"] - day["q10"] for day in ahead],
            bottom=[day["q10"] for day in ahead],
            color=BAND,
            width=0.9,
        )
        axes.plot(at, [day["mean"] for day in ahead], "o-", color=ACCENT, markersize=5, lw=1.6)
        axes.axvline(len(past) - 0.5, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
        mondays = [index for index, day in enumerate(days) if day.weekday() == 0]
        axes.set_xticks(mondays, [labels[index] for index in mondays])
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.grid(axis="x", visible=False)

    title = f"{name}: 下周预测 / next week's forecast"
    return _picture(f"week{number}", title, draw, width_inches=5.4, height_inches=2.5)


def time_line(details: Mapping[str, Any]) -> str:
    """Two houses, one exchange, and where the power went off. Evenly spaced; the seconds below."""
    moments = details["story"]["moments"]
    lanes = {"A": 1, "B": 0}
    kill = next(index for index, one in enumerate(moments) if one["kind"] == "kill")
    start = next(index for index, one in enumerate(moments) if one["kind"] == "start")

    def draw(axes: Axes) -> None:
        last = len(moments) - 1
        for house, height in lanes.items():
            axes.plot([-0.4, last + 0.4], [height] * 2, color=LINE, linewidth=6, zorder=1)
            axes.text(-0.7, height, house, ha="right", va="center", weight="bold", fontsize=14)
        axes.plot([kill, start], [0, 0], color=SHEET, linewidth=7, zorder=2)
        axes.plot([kill, start], [0, 0], color=BAD, linewidth=2, linestyle=(0, (2, 2)), zorder=3)
        way = [lanes[one["house"]] for one in moments]
        axes.plot(range(len(moments)), way, color=SOFT, linewidth=1, zorder=2)
        for index, one in enumerate(moments):
            colour = {"kill": BAD, "start": GOOD}.get(one["kind"], ACCENT)
            height = lanes[one["house"]]
            axes.plot(index, height, "o", color=colour, markersize=17, zorder=4)
            axes.text(
                index, height, str(index + 1), color=SHEET, weight="bold", ha="center",
                va="center_baseline", zorder=5,
            )  # fmt: skip
            axes.text(index, -0.55, f"{one['seconds']:.2f} s", color=SOFT, ha="center", va="top")
        axes.text((kill + start) / 2, -0.2, "断电 no power", color=BAD, ha="center", va="top")
        axes.set_ylim(-0.9, 1.4)
        axes.set_xlim(-1, last + 0.5)
        axes.axis("off")

    title = "兑换的时间线 / time line of the redemption"
    return _picture("story", title, draw, height_inches=2.3)


def net_positions(details: Mapping[str, Any]) -> str:
    """On the chain: who is owed hours by the others (right) and who owes them (left)."""
    positions = details["positions"]
    names = list(reversed(list(positions)))

    def draw(axes: Axes) -> None:
        minutes = [positions[name] for name in names]
        colours = [GOOD if amount > 0 else ACCENT for amount in minutes]
        axes.barh(range(len(names)), minutes, color=colours, height=0.55)
        widest = max(map(abs, minutes)) or 1
        for row, amount in enumerate(minutes):
            text = f"{amount:+d}" if amount else "0"
            side = "left" if amount >= 0 else "right"
            shift = widest * (0.02 if amount >= 0 else -0.02)
            axes.text(amount + shift, row, text, va="center", ha=side, weight="bold")
        axes.axvline(0, color=SOFT, linewidth=1)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(-1.25 * widest, 1.25 * widest)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("分钟，合计为零 minutes on the chain, they sum to zero")

    title = "结算后的净头寸 / net positions after settlement"
    return _picture("net", title, draw, height_inches=0.5 * len(names) + 0.9)


def bytes_that_left(summary: Mapping[str, Any]) -> str:
    """How much left each house, by kind."""
    left = summary["left"]
    names = list(reversed(list(left)))
    kinds = sorted(
        {kind for house in left.values() for kind in house},
        key=lambda kind: -sum(house.get(kind, {"bytes": 0})["bytes"] for house in left.values()),
    )
    shades = [ACCENT, BLUE, GOOD, SOFT, INK]

    def draw(axes: Axes) -> None:
        starts = [0.0] * len(names)
        for index, kind in enumerate(kinds):
            sizes = [left[name].get(kind, {"bytes": 0})["bytes"] / 1000 for name in names]
            label = (
                kind if index < len(shades) - 1 else (REST if index == len(shades) - 1 else None)
            )
            axes.barh(
                range(len(names)),
                sizes,
                left=starts,
                height=0.55,
                color=shades[min(index, len(shades) - 1)],
                label=label,
            )
            starts = [start + size for start, size in zip(starts, sizes, strict=True)]
        for row, total in enumerate(starts):
            _beside(axes, total, row, f"{total:.1f} kB")
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(0, (max(starts) or 1) * 1.14)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("千字节 kB")
        if kinds:
            axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=5, handlelength=1)

    title = "离开各节点的数据 / what left each house"
    return _picture("left", title, draw, height_inches=0.5 * len(names) + 1.3)


def seconds_by_step(details: Mapping[str, Any]) -> str:
    """Where the time went."""
    steps = list(reversed(details["steps"]))

    def draw(axes: Axes) -> None:
        seconds = [step["seconds"] for step in steps]
        axes.barh(range(len(steps)), seconds, color=BLUE, height=0.6)
        for row, value in enumerate(seconds):
            _beside(axes, value, row, f"{value:.1f} s")
        axes.set_yticks(range(len(steps)), [f"{one['zh']} {one['en']}" for one in steps])
        axes.set_xlim(0, max(seconds) * 1.15)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("秒 seconds")

    title = "每一步用时 / seconds by step"
    return _picture("steps", title, draw, height_inches=0.38 * len(steps) + 0.9)


def _picture(
    name: str,
    title: str,
    draw: Callable[[Axes], None],
    *,
    height_inches: float,
    width_inches: float = WIDTH_INCHES,
) -> str:
    """Draw, and turn what matplotlib wrote into a part of a page."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # The reader's own fonts show the Chinese labels; ours need not have them.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
        draw(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    svg = _FONT.sub("font-family: var(--sans)", svg)
    svg = _ID.sub(rf"\g<1>{name}-", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" ', 1)


def _beside(axes: Axes, x: float, y: float, words: str) -> None:
    """Words at a bar's end, a little away from it."""
    axes.annotate(words, (x, y), xytext=(5, 0), textcoords="offset points", va="center", color=SOFT)


def _mae(forecast: Mapping[str, Any], arm: str) -> float | None:
    found = forecast["arms"].get(arm)
    return None if found is None else float(found["total_mae"])


def _total(days: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [day for day in days if day["category"] == "total"]
