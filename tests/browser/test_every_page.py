"""Every page, for every reader, in both languages, sizes and lights: axe, 360 pixels, targets.

The pages come from the site's own routes, so that a new page is covered by itself. A page that
reads the same for two readers is looked at once.
"""

from typing import Any

import pytest

from tests.browser.village import READERS, Village, visit
from tests.browser.ways import pages, patterns

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = pytest.mark.browser

WIDTH = 360
SMALL_TARGETS = """(least) => [...document.querySelectorAll(
    'nav a, .tools a, button, .button, summary, select, input:not([type=checkbox], [type=radio])')]
  .filter(one => one.checkVisibility({visibilityProperty: true}))
  .filter(one => one.getBoundingClientRect().height < least)
  .map(one => one.outerHTML.slice(0, 90))"""
SMALL_TEXT = """(least) => [...document.querySelectorAll('main *, header *, nav *')]
  .filter(one => one.checkVisibility() && [...one.childNodes].some(
      node => node.nodeType === 3 && node.textContent.trim()))
  .filter(one => parseFloat(getComputedStyle(one).fontSize) < least && !one.closest('svg'))
  .map(one => one.outerHTML.slice(0, 90))"""
SIDEWAYS = """() => [...document.querySelectorAll('body *')]
  .filter(one => one.scrollWidth > one.clientWidth && !one.matches('.table, .hidden, textarea'))
  .filter(one => ['auto', 'scroll'].includes(getComputedStyle(one).overflowX))
  .map(one => one.outerHTML.slice(0, 90))"""
"""What scrolls sideways and is no table of figures, which says so to a screen reader."""
TARGET_MIN, BIG_TARGET_MIN, BIG_TEXT_MIN = 24, 48, 24  # CSS pixels
ROUTES_MIN = 50  # that show a page to somebody in this village

_seen: set[tuple[str, str, bool]] = set()


def complaints(page: Any, options: dict[str, Any] | None = None) -> list[str]:
    found = axe_playwright.Axe().run(page, options=options).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary'][:200]}"
        for one in found
        for node in one["nodes"]
    ]


def look_at(page: Any, *, is_big: bool) -> list[str]:
    """All that is wrong with the page as it stands, in light and dark."""
    found = complaints(page)
    page.emulate_media(color_scheme="dark")
    only_contrast = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
    found += [f"dark {one}" for one in complaints(page, only_contrast)]
    page.emulate_media(color_scheme="light")
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > WIDTH:
        found.append(f"{wide} pixels wide")
    found += [f"scrolls sideways {one}" for one in page.evaluate(SIDEWAYS)]
    least = BIG_TARGET_MIN if is_big else TARGET_MIN
    found += [f"small target {one}" for one in page.evaluate(SMALL_TARGETS, least)]
    if is_big:
        found += [f"small text {one}" for one in page.evaluate(SMALL_TEXT, BIG_TEXT_MIN)]
    return found


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("role", ["guest", *READERS, "acting"])
def test_nothing_is_wrong_with_any_page(
    place: Village, site: str, browser: Any, role: str, language: str
) -> None:
    found, cookies = list(pages(place, role)), place.cookies(role)
    wrong: dict[str, str] = {}  # what is wrong, and where first
    for is_big in (False, True):
        viewport = {"width": WIDTH, "height": 740}
        context = visit(browser, site, cookies, language=language, is_big=is_big, viewport=viewport)
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda one, said=said: said.append(one.text))
        for path, text in found:
            if (text, language, is_big) in _seen:
                continue
            _seen.add((text, language, is_big))
            page.goto(site + path, wait_until="load")
            for one in look_at(page, is_big=is_big):
                wrong.setdefault(one.replace(path, ""), f"{path} big={is_big}")
        wrong |= {one: "console" for one in said if "Content Security" in one or "rror" in one}
        context.close()
    assert not wrong, "\n".join(f"{where}: {one}" for one, where in wrong.items())


def test_the_readers_reach_every_page(place: Village) -> None:
    """Routes without an object are all looked at; of those with one, most have one here."""
    known = patterns(place)
    reached = {path for role in (*READERS, "acting") for path, _ in pages(place, role)}
    routes = {name for name, shape in known.items() if any(map(shape.fullmatch, reached))}
    assert len(routes) >= ROUTES_MIN, sorted(known.keys() - routes)
