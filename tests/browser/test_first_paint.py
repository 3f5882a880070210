"""The home page on a slow telephone, cold: how much is sent, and when its largest part is there."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.village import READERS, Village, visit

pytestmark = pytest.mark.browser
BYTES_MAX = 50_000  # headers and bodies of all that the page loads
PAINT_SECONDS_MAX = 1.5  # prints what it was; a busy machine is slower than a quiet one
SLOWER = 4  # times; Chromium's own throttle of the processor
TRIES = 5
LARGEST = """() => new Promise((done) => new PerformanceObserver(
  (list) => done(list.getEntries().at(-1).startTime)
).observe({type: 'largest-contentful-paint', buffered: true}))"""


def open_cold(browser: Any, site: str, cookies: dict[str, str]) -> tuple[int, float]:
    """Bytes over the wire and seconds to the largest contentful paint, in a window of its own."""
    context = visit(browser, site, cookies)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    sent: list[int] = []
    session.on("Network.loadingFinished", lambda one: sent.append(int(one["encodedDataLength"])))
    page.goto(site + "/", wait_until="load")
    paint_seconds = page.evaluate(LARGEST) / 1_000
    context.close()
    return sum(sent), paint_seconds


@pytest.mark.parametrize("role", ["guest", *READERS])
def test_the_home_page_is_small_and_soon_there(
    place: Village,
    site: str,
    browser: Any,
    role: str,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    cookies = place.cookies(role)
    tries = [open_cold(browser, site, cookies) for _ in range(TRIES)]
    sent, soonest = max(size for size, _ in tries), min(paint for _, paint in tries)
    median = sorted(paint for _, paint in tries)[TRIES // 2]
    record_property("bytes", sent)
    record_property("largest_paint_seconds_median", round(median, 3))
    line = f"{role}: {sent} bytes, largest paint {median:.2f} s (median of {TRIES})\n"
    with capsys.disabled():
        sys.stdout.write(line)
    assert sent <= BYTES_MAX
    assert soonest <= PAINT_SECONDS_MAX, "the best try: other work on the machine is noise"
