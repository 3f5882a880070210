"""On the telephone's home screen, without a net, read aloud, on paper."""

from typing import Any

import pytest

from tests.browser.village import Village, visit, wait_until

pytestmark = pytest.mark.browser
KEPT = """async () => (await (await caches.open('linli-1')).keys())
  .map(one => new URL(one.url).pathname)"""
MANIFEST = """async () =>
  (await fetch(document.querySelector('link[rel=manifest]').href)).json()"""
LISTENING = """window.said = [];
Object.defineProperty(window, 'speechSynthesis', {value: {
  speaking: false, cancel() {}, speak(words) { window.said.push([words.lang, words.text]); }
}});"""


def test_without_a_net_a_page_says_where_help_is(place: Village, site: str, browser: Any) -> None:
    context = visit(browser, site, place.cookies("resident"), language="en")
    page = context.new_page()
    page.goto(site + "/")
    wait_until(page, "navigator.serviceWorker.controller !== null")
    context.set_offline(True)
    page.goto(site + "/repairs")
    assert page.locator("h1").inner_text() in ("No connection", "没有网络")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(251, 247, 240)", "the stylesheet is there too"
    kept = page.evaluate(KEPT)
    assert set(kept) == {"/offline", "/static/linli.css", "/static/linli.js", "/static/icon.svg"}
    context.set_offline(False)
    page.goto(site + "/repairs")
    assert page.locator("h1").inner_text() != "No connection"
    context.close()


def test_a_telephone_can_install_it(place: Village, site: str, browser: Any) -> None:
    context = visit(browser, site, {}, language="zh")
    page = context.new_page()
    page.goto(site + "/")
    manifest = page.evaluate(
        "fetch(document.querySelector('link[rel=manifest]').href).then(r => r.json())"
    )
    assert (manifest["name"], manifest["display"]) == ("梅园社区", "standalone")
    for icon in manifest["icons"]:
        assert page.request.get(site + icon["src"]).status == 200
    session = context.new_cdp_session(page)
    problems = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [one["errorId"] for one in problems] in ([], ["in-incognito"])
    context.close()


def test_it_reads_aloud_in_the_pages_language(place: Village, site: str, browser: Any) -> None:
    context = visit(browser, site, {}, language="zh")
    page = context.new_page()
    page.add_init_script(LISTENING)
    page.goto(site + "/")
    page.click("#read-aloud")
    [[language, text]] = page.evaluate("window.said")
    assert language == "zh-CN"
    assert "怎样得到帮助" in text
    assert page.get_attribute("#read-aloud", "aria-pressed") == "true"
    context.close()


def test_on_paper_stands_the_content_alone(place: Village, site: str, browser: Any) -> None:
    context = visit(browser, site, place.cookies("resident"))
    page = context.new_page()
    page.goto(site + "/timebank/statement")
    page.emulate_media(media="print")
    for hidden in (".ways", ".tools", "footer"):
        assert not page.locator(hidden).first.is_visible()
    assert page.locator("main h1").is_visible()
    assert len(page.pdf()) > 5_000
    context.close()
