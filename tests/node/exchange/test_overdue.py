"""A visit whose time is over, as the desk sees it: before the sweep has ended it, and after."""

import pytest

from node.exchange import rules
from node.residents.rules import Role
from tests.node.exchange.conftest import Town, desk
from tests.node.two_nodes import exchange_id
from tests.node.web.client import key

PATH = f"/exchange/visits/{exchange_id()}"
SAID = {
    "en": "The time to confirm this help is over: the minutes are free again at home.",
    "zh": "这次帮助的确认时间已过，时间已退还给对方社区的居民。",
}


def overdue(town: Town) -> None:
    town.district.issue(minutes=60)
    town.district.present()
    town.district.drain()
    town.district.clock.advance(rules.CAPTURE_LIFETIME)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_says_that_it_is_too_late(town: Town, language: str) -> None:
    overdue(town)
    town.host.open_browser(town.host.resident("Staff", Role.CLERK), language=language)
    shown = town.host.client.get(PATH).text
    assert SAID[language] in shown
    assert 'name="minutes"' not in shown, "there is nothing to note any more"
    late = town.host.post_form(PATH, page=PATH, step="deliver", minutes="45")
    assert late.status_code == 422
    assert SAID[language] in late.text
    town.district.expire()
    swept = town.host.client.get(PATH).text
    assert SAID[language] in swept
    assert ("called off" if language == "en" else "已取消") in swept
    assert "visit_overdue" not in swept


def test_a_program_gets_the_code(town: Town) -> None:
    overdue(town)
    path, headers = f"/api/visits/{exchange_id()}", desk(town.host)
    late = town.host.client.post(f"{path}/complete", json={"minutes": 45}, headers=headers | key())
    assert (late.status_code, late.json()["code"]) == (409, "exchange.visit_overdue")
    town.district.expire()
    shown = town.host.client.get(path, headers=headers).json()
    assert (shown["state"], shown["refusal"]) == ("released", "exchange.visit_overdue")
