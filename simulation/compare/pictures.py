"""The comparison as pictures, in the colours of the report's page."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter

from simulation.compare.study import Arm, Findings, private_name
from simulation.plots import ACCENT, BAD, BAND, BLUE, GOOD, INK, LINE, SOFT, _picture

WIDE_RANGE = 8  # from the smallest error to the largest: beyond it, on a logarithmic scale
ROWS_MAX = 48  # communities by name; with more, a cloud of points says it better
MARKERS = {
    "lag7": ("上周同日 lag 7", LINE, "v"),
    "mean8": ("8 周均值 8-week mean", SOFT, "s"),
    "seed_forest": ("原随机森林 seed's forest", BAD, "x"),
    "local": ("仅本地 local only", BLUE, "^"),
    "local_half": ("仅本地，半数步 local, half steps", BLUE, "<"),
    "local_early": ("仅本地，最佳 local at its best", BLUE, "v"),
    "centralised": ("集中 centralised", INK, "D"),
    "federated": ("联合 federated", ACCENT, "o"),
    "federated_private": ("联合加噪 federated, private", GOOD, "P"),
    "zero_shot": ("零样本 zero-shot", GOOD, "*"),
    "zero_shot_plain": ("零样本原样 zero-shot, plain", GOOD, "1"),
}
ERROR = "总量平均绝对误差（件/日） total MAE, requests a day"


def drawn(findings: Findings) -> dict[str, str]:
    """Every picture that this comparison has something to show in, by name."""
    pictures = {
        "community": by_community(findings),
        "round": by_round(findings),
        "origin": by_origin(findings),
        "epsilon": by_epsilon(findings),
        "cold": cold_start(findings),
        "calibration": calibration(findings),
        "example": example(findings),
    }
    return {name: svg for name, svg in pictures.items() if svg}


def _shown(findings: Findings, names: Sequence[str]) -> list[tuple[str, Arm]]:
    found = ((name, findings.arm(name)) for name in names if name in findings.request.arms)
    return [(name, arm) for name, arm in found if arm]


def _mae(arm: Arm) -> float:
    return float(np.mean([one.figures["total_mae"] for one in arm.judged]))


def _place(arm: Arm, place: str) -> float:
    return float(np.mean([one.by_community[place]["total_mae"] for one in arm.judged]))


def by_community(findings: Findings) -> str:
    """A row per community, a mark per arm; beyond ROWS_MAX, federated against the mean."""
    arms = _shown(findings, ("mean8", "local", "federated"))
    places = list(findings.panel.communities)
    if not arms:
        return ""
    if len(places) > ROWS_MAX:
        return _cloud(findings)
    title = "各社区的误差 / error by community"
    by_size = sorted(places, key=lambda place: _place(arms[-1][1], place))

    def draw(axes: Axes) -> None:
        for row, place in enumerate(by_size):
            errors = [_place(arm, place) for _, arm in arms]
            axes.plot([min(errors), max(errors)], [row, row], color=LINE, linewidth=3, zorder=1)
            for (name, _), error in zip(arms, errors, strict=True):
                _, colour, marker = MARKERS[name]
                axes.plot(error, row, marker, color=colour, markersize=7, zorder=3)
        axes.set_yticks(range(len(places)), by_size)
        axes.set_ylim(-0.8, len(places) - 0.2)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(ERROR)
        for name, _ in arms:
            label, colour, marker = MARKERS[name]
            axes.plot([], [], marker, color=colour, markersize=7, label=label)
        found = [_place(arm, place) for _, arm in arms for place in places]
        if 0 < WIDE_RANGE * min(found) < max(found):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        _legend(axes)

    return _picture("community", title, draw, height_inches=0.27 * len(places) + 1.3)


def _cloud(findings: Findings) -> str:
    arms = dict(_shown(findings, ("mean8", "federated")))
    if len(arms) < 2:
        return ""
    pairs = np.array(
        [[_place(arm, place) for arm in arms.values()] for place in findings.panel.communities]
    )

    def draw(axes: Axes) -> None:
        top = float(pairs.max()) * 1.05
        axes.plot([0, top], [0, top], color=LINE, linewidth=1)
        axes.plot(pairs[:, 0], pairs[:, 1], ".", color=ACCENT, markersize=4)
        axes.set_xlabel("8 周均值的误差 error of the 8-week mean")
        axes.set_ylabel("联合的误差 error, federated")

    return _picture("community", "各社区 / each community a point", draw, height_inches=4.2)


def _legend(axes: Axes) -> None:
    """Above the picture, where it hides no line."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=3,
        handletextpad=0.4,
        columnspacing=1.4,
    )


def by_round(findings: Findings) -> str:
    """The federated model after so many rounds; the other arms as lines to reach."""
    if not findings.by_round:
        return ""

    def draw(axes: Axes) -> None:
        rounds, errors = zip(*findings.by_round, strict=True)
        axes.plot(rounds, errors, "o-", color=ACCENT, markersize=4, label=MARKERS["federated"][0])
        _lines(axes, findings, ("mean8", "local", "centralised"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("轮 round")
        _legend(axes)

    return _picture("round", "每一轮之后 / after each round", draw, height_inches=3.2)


def _lines(axes: Axes, findings: Findings, names: Sequence[str]) -> None:
    for name, arm in _shown(findings, names):
        label, colour, _ = MARKERS[name]
        axes.axhline(_mae(arm), color=colour, linestyle=(0, (4, 3)), linewidth=1.3, label=label)


def by_origin(findings: Findings) -> str:
    """Week by week: where the batch entries and the holidays were."""
    arms = _shown(findings, ("mean8", "seed_forest", "local", "federated"))

    def draw(axes: Axes) -> None:
        first = findings.panel.histories[0].first_day.toordinal()
        days = [date.fromordinal(first + int(day) + 1) for day in findings.protocol.origins]
        for name, arm in arms:
            label, colour, marker = MARKERS[name]
            errors = np.mean([one.by_origin for one in arm.judged], axis=0)
            axes.plot(
                range(len(days)), errors, marker + "-", color=colour, ms=5, lw=1.3, label=label
            )
        axes.set_xticks(range(len(days)), [f"{day.month}/{day.day}" for day in days])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("测试周的第一天 first day of the week forecast")
        _legend(axes)

    return _picture("origin", "逐周误差 / error by week", draw, height_inches=3.2) if arms else ""


def by_epsilon(findings: Findings) -> str:
    """What protecting residents costs; no mark without an epsilon that was really used."""
    if "federated_private" not in findings.request.arms:
        return ""
    epsilons = sorted(findings.request.epsilons)

    def draw(axes: Axes) -> None:
        found = [
            [one.figures["total_mae"] for one in findings.arms[private_name(epsilon)].judged]
            for epsilon in epsilons
        ]
        label, colour, _ = MARKERS["federated_private"]
        axes.plot(epsilons, [np.mean(one) for one in found], "o-", color=colour, label=label)
        for epsilon, one in zip(epsilons, found, strict=True):
            axes.plot([epsilon, epsilon], [min(one), max(one)], color=colour, linewidth=1)
        _lines(axes, findings, ("mean8", "local", "federated"))
        axes.set_xscale("log")
        axes.set_xticks(epsilons, [f"{epsilon:g}" for epsilon in epsilons])
        axes.minorticks_off()
        axes.set_xlabel("每件事的 ε（越小保护越强） epsilon per event, smaller protects more")
        _legend(axes)

    return _picture("epsilon", "隐私的代价 / the price of privacy", draw, height_inches=3.2)


def cold_start(findings: Findings) -> str:
    """A newcomer's choice: wait for its own history, or take the federation's model today."""
    if not findings.cold_start:
        return ""

    def draw(axes: Axes) -> None:
        days, errors = zip(*findings.cold_start, strict=True)
        label, colour, marker = MARKERS["local_half"]
        axes.plot(days, errors, marker + "-", color=colour, label=label)
        _lines(axes, findings, ("mean8", "zero_shot"))
        axes.set_xlabel("自有历史（天） days of own history")
        axes.set_ylim(bottom=0)
        _legend(axes)

    return _picture("cold", "冷启动 / cold start", draw, height_inches=3.2)


def calibration(findings: Findings) -> str:
    """Share of days at or below each quantile; whole counts make low ones hold more than named."""
    arms = _shown(findings, ("mean8", "local", "centralised", "federated", "federated_private"))

    def draw(axes: Axes) -> None:
        named = np.array([10, 50, 90])
        axes.plot([5, 95], [5, 95], color=LINE, linewidth=1)
        for name, arm in arms:
            label, colour, marker = MARKERS[name]
            share = 100 * np.mean([one.coverage for one in arm.judged], axis=0)
            axes.plot(named, share, marker + "-", color=colour, markersize=6, lw=1, label=label)
        axes.set_xticks(named, ["10 %", "50 %", "90 %"])
        axes.set_xlabel("分位数 quantile")
        axes.set_ylabel("不超过它的天数 days at or below, %")
        _legend(axes)

    title = "校准 / calibration"
    return _picture("calibration", title, draw, height_inches=3.6) if arms else ""


def example(findings: Findings) -> str:
    """Three test weeks of a middling community: what came, what was said, the 80 % band."""
    shown = findings.example
    if not shown:
        return ""
    first = int(shown["first_day"])
    days = [date.fromordinal(first + index) for index in range(len(shown["came"]))]
    at = range(shown["forecast_from"], len(days))

    def draw(axes: Axes) -> None:
        axes.bar(range(len(days)), shown["came"], color=LINE, width=0.75, label="实际 came")
        edges = [index - 0.5 for index in (*at, len(days))]
        low, high = ([*shown[side], shown[side][-1]] for side in ("low", "high"))
        axes.fill_between(edges, low, high, step="post", color=BAND, alpha=0.7, lw=0, label="80 %")
        axes.plot(at, shown["mean"], "o-", color=ACCENT, ms=4, lw=1.4, label="预测 forecast")
        axes.axvline(at[0] - 0.5, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
        mondays = [index for index, day in enumerate(days) if day.weekday() == 0]
        axes.set_xticks(mondays, [f"{days[index].month}/{days[index].day}" for index in mondays])
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.grid(axis="x", visible=False)
        _legend(axes)

    title = f"{shown['community']}: 三周预测与实际 / three weeks, forecast and came"
    return _picture("example", title, draw, height_inches=3.0)
