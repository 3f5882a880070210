"""The operator's telephone at two in the morning: every alarm is read without a sideways scroll.

Method: a page with each alarm of the chain at its longest, 360 pixels, both languages and sizes.
"""

from typing import Any

import pytest

from node.health import checks, pages
from node.health.checks import Health
from node.settlement import alarms
from node.settlement.alarms import Alarm
from node.settlement.model import ChainAlarm
from node.settlement.rules import BatchWrong
from tests.browser.test_every_page import SIDEWAYS, WIDTH
from tests.browser.village import BEGAN, Village, visit

pytestmark = pytest.mark.browser

SIGNER = "0x" + "Ab3" * 13 + "9"
RAISED: dict[Alarm, alarms.Figures] = {
    Alarm.RECOVERY_ANNOUNCED: {"signer": SIGNER, "from_when": "2027-01-15 08:00 UTC"},
    Alarm.SIGNER_CHANGED: {"number": 17, "signer": SIGNER},
    Alarm.WATCH_STUCK: alarms.why_stuck(BatchWrong("chain_has_another"), b"\xfe" * 32),
}


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every alarm beside what the village's checks say."""
    look = pages.look

    def with_alarms(request: Any) -> tuple[list[Health], dict[str, int]]:
        found, figures = look(request)
        for kind, about in RAISED.items():
            row = ChainAlarm(kind=kind.value, detail=alarms.kept(about), since=BEGAN)
            said = alarms.words(row)
            found.append(checks.Health("chain", False, said.message, said.places))
        return found, figures

    monkeypatch.setattr(pages, "look", with_alarms)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("is_big", [False, True], ids=["plain", "big"])
@pytest.mark.usefixtures("raised")
def test_nothing_scrolls_sideways(
    place: Village, site: str, browser: Any, language: str, is_big: bool
) -> None:
    context = visit(browser, site, place.cookies("operator"), language=language, is_big=is_big)
    page = context.new_page()
    page.goto(f"{site}/health", wait_until="load")
    assert page.locator(".state.late").count() > len(RAISED), "the alarms, and no backup yet"
    assert page.evaluate("document.documentElement.scrollWidth") == WIDTH
    assert page.evaluate(SIDEWAYS) == []
    assert page.locator("main .table").count() == 0
    context.close()
