"""The page and the table of a run: whole, escaped, and plain about what is generated."""

import io
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter

import pytest
from rich.console import Console

from simulation.plots import VARIABLES
from simulation.report import render, terminal_table
from tests.simulation import example


@pytest.fixture(scope="module")
def page() -> str:
    return render(example.summary(), example.details())


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    assert not re.search(r"<(script|link|img|iframe)\b", page)
    assert "url(http" not in page
    assert page.startswith('<!doctype html>\n<html lang="zh-CN">')


def test_every_picture_is_sound_svg_with_text_as_text(page: str) -> None:
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(pictures) == 9
    for picture in pictures:
        ElementTree.fromstring(picture)  # noqa: S314 (our own output)
        assert "<text" in picture
        assert set(re.findall(r"font-family: ([^;\"]+)", picture)) == {"var(--sans)"}
        assert not any(colour in picture for colour in VARIABLES)
    assert "联合 federated" in "".join(pictures)


def test_ids_are_distinct_so_that_no_picture_borrows_from_another(page: str) -> None:
    seen = Counter(re.findall(r' id="([^"]+)"', page))
    assert [name for name, count in seen.items() if count > 1] == []


def test_names_are_shown_as_they_are_and_never_as_markup(page: str) -> None:
    assert "charlie <&>" not in page
    assert "charlie &lt;&amp;&gt;" in page
    assert "$delta$" in page


def test_it_says_plainly_what_is_generated_and_what_is_real() -> None:
    summary, details = example.summary(), example.details()
    assert "The history is generated, not real people." in render(summary, details)
    details["panel"] |= {"is_generated": False, "label": "city.csv", "seed": None}
    real = render(summary, details)
    assert "The history comes from the file city.csv" in real
    assert "not real people" in real  # the residents still are not


def test_the_table_fits_a_terminal_and_marks_what_was_adopted() -> None:
    words = io.StringIO()
    Console(file=words, width=80).print(terminal_table(example.summary(), example.details()))
    shown = words.getvalue()
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "2.300 *" in shown
    assert "generated from seed 7" in shown
    assert "$delta$" in shown
