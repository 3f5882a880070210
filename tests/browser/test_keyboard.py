"""Report, redeem and vote with nothing but a keyboard; and without script at all."""

from typing import Any

import pytest

from tests.browser.village import Village, visit, wait_until

pytestmark = pytest.mark.browser
TABS_MAX = 120  # more presses than that, and nobody would get there
IS_SEEN = """() => {
  const style = getComputedStyle(document.activeElement);
  return parseFloat(style.outlineWidth) >= 2 && style.outlineStyle !== 'none';
}"""


class Keyboard:
    """Somebody who has no mouse."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def tab_to(self, selector: str) -> None:
        """Press Tab until this has the focus, and see that it shows."""
        for _ in range(TABS_MAX):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("(s) => document.activeElement.matches(s)", selector):
                assert self.page.evaluate(IS_SEEN), f"no focus to be seen on {selector}"
                return
        raise AssertionError(f"{selector} cannot be reached with {TABS_MAX} tabs")

    def write(self, selector: str, text: str) -> None:
        self.tab_to(selector)
        self.page.keyboard.insert_text(text)

    def press(self, selector: str, key: str = "Enter") -> None:
        """Go there and press; the next page is loaded before this returns."""
        self.tab_to(selector)
        with self.page.expect_navigation():
            self.page.keyboard.press(key)


@pytest.fixture
def hands(place: Village, site: str, browser: Any) -> Any:
    context = visit(browser, site, place.cookies("resident"), language="en")
    yield Keyboard(context.new_page())
    context.close()


def test_report_a_repair(hands: Keyboard, site: str) -> None:
    hands.page.goto(site + "/")
    hands.press("a[href='/repairs/new']")
    hands.write("[name=title]", "The gate does not close")
    hands.tab_to("[name=category]")
    hands.page.keyboard.press("ArrowDown")
    hands.write("[name=location]", "North gate")
    hands.write("[name=description]", "It swings open in the wind.")
    hands.press("main form button[type=submit]")
    assert hands.page.locator("h1").inner_text() == "The gate does not close"


def test_a_mistake_is_said_where_the_focus_is(hands: Keyboard, site: str) -> None:
    hands.page.goto(site + "/repairs/new")
    hands.press("main form button[type=submit]")
    assert hands.page.evaluate("document.activeElement.id") == "errors"
    hands.tab_to("#errors a")
    hands.page.keyboard.press("Enter")
    wait_until(hands.page, "document.activeElement.tagName === 'INPUT'")


def test_redeem_points(hands: Keyboard, site: str) -> None:
    hands.page.goto(site + "/points")
    hands.press("form[action='/points/redemptions'] button")
    assert hands.page.locator(".code").first.inner_text().strip()


def test_vote(hands: Keyboard, site: str) -> None:
    hands.page.goto(site + "/council")
    links = hands.page.locator("main a[href*='/council/motions/']")
    open_vote = next(
        one.get_attribute("href") for one in links.all() if "充电位" in one.inner_text()
    )
    hands.press(f"main a[href='{open_vote}']")
    hands.press(f"main a[href='{open_vote}/ballot']")
    hands.tab_to("[name=choice]")
    hands.page.keyboard.press("Space")
    hands.press("main form button[type=submit]")
    hands.press("main form button[type=submit]")
    assert "Counted once, as: Yes" in hands.page.locator("main").inner_text()


def test_the_menu_opens_and_closes(hands: Keyboard, site: str) -> None:
    hands.page.goto(site + "/")
    hands.tab_to("details.more > summary")
    hands.page.keyboard.press("Enter")
    hands.tab_to("details.more a")
    hands.page.keyboard.press("Escape")
    assert not hands.page.evaluate("document.querySelector('details.more').open")


def test_all_of_it_without_script(place: Village, site: str, browser: Any) -> None:
    cookies = place.cookies("clerk")
    context = visit(browser, site, cookies, language="en", java_script_enabled=False)
    page = context.new_page()
    page.goto(site + "/")
    page.fill("[name=q]", "7-2-302")
    page.click("main form button[type=submit]")
    page.click("text=Act for 王建国")
    assert "You are acting for 王建国." in page.locator(".acting").inner_text()
    page.click("details.more > summary")
    page.click("details.more a[href='/inbox']")
    assert page.locator("h1").inner_text() == "Messages"
    page.click("text=Stop acting")
    assert page.locator(".acting").count() == 0
    assert not page.locator("#read-aloud").is_visible()
    context.close()
