"""One line per step for the person who waits, on standard error, with the seconds it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape


@dataclass
class Note:
    """What a step found out, for the end of its line."""

    words: str = ""


@dataclass
class Progress:
    """Tells and measures; `steps` is the measured run, for the report."""

    console: Console
    steps_in_all: int
    steps: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def step(self, zh: str, en: str) -> Iterator[Note]:
        """A step: its line appears when it is over, a spinner before that on a terminal."""
        note, began, number = Note(), time.monotonic(), len(self.steps) + 1
        label = f"[bold]{number}/{self.steps_in_all}[/] {escape(zh)} {escape(en)}"
        with self.console.status(label):
            yield note
        seconds = round(time.monotonic() - began, 2)
        self.steps.append({"number": number, "zh": zh, "en": en, "seconds": seconds})
        words = f"  [dim]{escape(note.words)}[/]" if note.words else ""
        self.console.print(f"{label}  [green]{seconds:.1f} s[/]{words}")
