"""Where each mark of the picture stands: four weeks that were, seven days to come. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

HEIGHT = 320
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 52, 40
BASE = HEIGHT - BOTTOM  # where zero stands
STEPS = (1, 2, 5)  # the grid counts in ones, twos or fives of a power of ten
GRID_LINES_MAX = 4


class Format(NamedTuple):
    """How wide the picture is and how much of the past it shows: text is never scaled away."""

    width: int
    past_days: int
    past_share: float  # of the width; a day to come is wider, for it carries its figure


WIDE = Format(width=760, past_days=28, past_share=0.45)
# for telephones, and where two pictures stand side by side
NARROW = Format(width=420, past_days=14, past_share=0.28)


class Past(NamedTuple):
    """A day that was."""

    date: date
    requests: int


class Coming(NamedTuple):
    """A day to come: what to expect, and between which figures four days of five fall."""

    date: date
    mean: float
    low: float
    high: float


class Bar(NamedTuple):
    x: float
    y: float
    width: float
    height: float


class Label(NamedTuple):
    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Picture:
    """Every mark, in the picture's own units."""

    past: Sequence[Bar]
    bands: Sequence[Bar]
    means: Sequence[Bar]
    figures: Sequence[Label]
    days: Sequence[Label]
    weeks: Sequence[Label]
    grid: Sequence[Label]
    divider: float
    width: int
    height: int = HEIGHT
    base: int = BASE
    left: int = LEFT

    @property
    def right(self) -> int:
        return self.width - RIGHT


class _Frame(NamedTuple):
    """Turns days and counts into places."""

    ceiling: float  # the count at the upper edge
    divider: float  # where the past ends and the coming week begins
    narrow: float  # width of a past day
    wide: float  # width of a coming day

    def y(self, value: float) -> float:
        return round(BASE - (BASE - TOP) * value / self.ceiling, 1)

    def past_bar(self, index: int, day: Past) -> Bar:
        top, x = self.y(day.requests), LEFT + self.narrow * index
        return Bar(round(x + 1, 1), top, round(self.narrow - 2, 1), round(BASE - top, 1))

    def band(self, index: int, day: Coming) -> Bar:
        high, low, x = self.y(day.high), self.y(day.low), self.divider + self.wide * index
        return Bar(round(x + 3, 1), high, round(self.wide - 6, 1), max(2.0, round(low - high, 1)))

    def mean(self, index: int, day: Coming) -> Bar:
        x, middle = self.divider + self.wide * index, self.y(day.mean)
        return Bar(round(x + 3, 1), round(middle - 2, 1), round(self.wide - 6, 1), 4)

    def figure(self, index: int, day: Coming) -> Label:
        above = min(self.y(day.high), self.y(day.mean)) - 7
        return Label(self.centre(index), round(above, 1), figure(day.mean))

    def centre(self, index: int) -> float:
        return round(self.divider + self.wide * (index + 0.5), 1)


def draw(
    past: Sequence[Past], coming: Sequence[Coming], *, names: Sequence[str], form: Format = WIDE
) -> Picture:
    """The picture; `names` are those of the coming days, in the reader's language."""
    past = past[-form.past_days :]
    top = max([1.0, *(day.requests for day in past), *(day.high for day in coming)])
    step = grid_step(top)
    divider = LEFT + (form.width - LEFT - RIGHT) * form.past_share
    frame = _Frame(
        ceiling=step * math.ceil(top / step),
        divider=round(divider, 1),
        narrow=(divider - LEFT) / max(1, len(past)),
        wide=(form.width - RIGHT - divider) / max(1, len(coming)),
    )
    lines = [step * number for number in range(math.ceil(top / step) + 1)]
    return Picture(
        past=[frame.past_bar(index, day) for index, day in enumerate(past)],
        bands=[frame.band(index, day) for index, day in enumerate(coming)],
        means=[frame.mean(index, day) for index, day in enumerate(coming)],
        figures=[frame.figure(index, day) for index, day in enumerate(coming)],
        days=[Label(frame.centre(index), BASE + 22, name) for index, name in enumerate(names)],
        weeks=[
            Label(frame.past_bar(index, day).x, BASE + 22, _short(day.date))
            for index, day in enumerate(past)
            if index % 7 == 0
        ],
        grid=[Label(LEFT - 8, frame.y(value), f"{value:g}") for value in lines],
        divider=frame.divider,
        width=form.width,
    )


def draw_kept(days: Sequence[tuple[Past, Coming]], *, form: Format = WIDE) -> Picture:
    """Days that were forecast and have come: a band and a line for each, and a bar of what came."""
    top = max([1.0, *(came.requests for came, _ in days), *(said.high for _, said in days)])
    step = grid_step(top)
    right = form.width - RIGHT
    frame = _Frame(
        ceiling=step * math.ceil(top / step),
        divider=LEFT,
        narrow=0,
        wide=(right - LEFT) / max(1, len(days)),
    )
    bars = []
    for index, (came, _) in enumerate(days):
        height = frame.y(came.requests)
        left = frame.centre(index) - frame.wide / 6
        bars.append(Bar(round(left, 1), height, round(frame.wide / 3, 1), round(BASE - height, 1)))
    lines = [step * number for number in range(math.ceil(top / step) + 1)]
    return Picture(
        past=bars,
        bands=[frame.band(index, said) for index, (_, said) in enumerate(days)],
        means=[frame.mean(index, said) for index, (_, said) in enumerate(days)],
        figures=[],
        days=[],
        weeks=[
            Label(round(LEFT + frame.wide * index, 1), BASE + 22, _short(came.date))
            for index, (came, _) in enumerate(days)
            if index % 7 == 0
        ],
        grid=[Label(LEFT - 8, frame.y(value), f"{value:g}") for value in lines],
        divider=right,
        width=form.width,
    )


def _short(day: date) -> str:
    return f"{day.month}/{day.day}"


def grid_step(top: float) -> int:
    """The smallest round step that needs at most GRID_LINES_MAX lines up to `top`."""
    unit = 1
    while True:
        for step in STEPS:
            if step * unit * GRID_LINES_MAX >= top:
                return step * unit
        unit *= 10


def figure(value: float) -> str:
    """A figure that is read at a glance: no decimals from ten on."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
