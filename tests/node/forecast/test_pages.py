"""The forecast as JSON, as a page and as pictures, and the order to compare anew."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from node.forecast import api, counting, drawing, pages, registry, service
from node.forecast.panel import DayCount
from node.kernel.ids import new_id
from node.residents import pages as residents_pages
from node.residents.rules import Role
from tests.node.forecast.answer import answer
from tests.node.web.client import ClientHouse, house_at, key


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    routes = [*api.routes, *pages.routes, *residents_pages.routes]
    with house_at(tmp_path, routes, [pages.card]) as house:
        yield house


@pytest.fixture
def calls(house: ClientHouse) -> list[Sequence[str]]:
    """A history of 150 days, and a comparison that answers at once."""
    start = date(2025, 8, 1)
    rows = [DayCount(start + timedelta(days=day), "lift", day % 4) for day in range(150)]
    house.database.do(lambda session: counting.import_history(session, rows))
    calls: list[Sequence[str]] = []

    async def runner(arguments: Sequence[str], log: Path) -> int:
        calls.append(arguments)
        Path(arguments[3]).write_text(json.dumps(answer()), encoding="utf-8")
        return 0

    house.client.app.state.forecast_runner = runner
    return calls


def adopt(house: ClientHouse, arm: str = "federated") -> None:
    house.database.do(
        lambda session: service.record_evaluation(
            session, house.clock, evaluation_id=new_id(), result=answer(arm)
        )
    )


def test_without_a_forecast_it_says_so(house: ClientHouse) -> None:
    me = house.resident("Li")
    answered = house.client.get("/api/forecast", headers=house.signed_in(me))
    assert (answered.status_code, answered.json()["code"]) == (404, "forecast.not_found")
    house.open_browser(me)
    assert "There is no forecast yet" in house.client.get("/forecast").text
    assert house.client.get("/forecast/total/plot.svg").status_code == 404


def test_the_forecast_as_json(house: ClientHouse) -> None:
    adopt(house)
    mine = house.signed_in(house.resident("Li"))
    body = house.client.get("/api/forecast", headers=mine).json()
    assert set(body["arms"]) == {"mean8", "local", "federated"}
    assert (body["adopted"], len(body["days"])) == ("federated", 21)
    assert body["evaluated_at"].startswith("2026-01-01T00:00:00")
    assert house.client.get("/api/forecast").status_code == 401


def test_the_operator_lets_them_compete(house: ClientHouse, calls: list[Sequence[str]]) -> None:
    path, operator = "/api/forecast/evaluate", house.bearer(Role.OPERATOR)
    assert house.client.post(path, headers=house.bearer(Role.CLERK) | key()).status_code == 403
    assert house.client.post(path, headers=operator).status_code == 400
    headers = operator | key()
    answers = [house.client.post(path, headers=headers) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert len(calls) == 1
    assert "--model" not in calls[0]
    folder = house.settings.directory / "forecast"
    sha256 = registry.keep_file(folder, b"weights")
    house.database.do(lambda s: registry.record(s, house.clock, sha256=sha256, card_json="{}"))
    house.client.post(path, headers=operator | key())
    assert calls[1][4:] == ["--model", str(registry.path_of(folder, sha256))]


def test_a_comparison_that_fails_changes_nothing(
    house: ClientHouse, calls: list[Sequence[str]]
) -> None:
    async def broken(arguments: Sequence[str], log: Path) -> int:
        log.write_text("forecast.history_too_short: 40 days\n")
        return 2

    house.client.app.state.forecast_runner = broken
    operator = house.bearer(Role.OPERATOR)
    failed = house.client.post("/api/forecast/evaluate", headers=operator | key())
    assert (failed.status_code, failed.json()["code"]) == (409, "forecast.evaluation_failed")
    assert "40 days" in failed.json()["detail"]
    with house.database.read() as session:
        assert service.latest(session) is None


def test_the_page_shows_errors_reason_and_pictures(house: ClientHouse) -> None:
    adopt(house)
    house.open_browser(house.resident("Zhao", Role.OPERATOR))
    text = house.client.get("/forecast").text
    assert "missed by 11 percent less" in text
    assert "Nothing. This forecast was made here." in text
    assert "Compare the forecasts anew" in text
    source = text.split('<img src="/forecast/')[1].split('"')[0]
    picture = house.client.get(f"/forecast/{source}")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "style=" not in picture.text
    drawn = ElementTree.fromstring(picture.text)  # noqa: S314 (our own picture, no stranger's)
    assert drawn.tag.endswith("svg")
    assert house.client.get("/forecast/none/plot.svg").status_code == 404
    assert "Next week&#39;s requests" in house.client.get("/").text


def test_the_simple_forecast_may_win(house: ClientHouse) -> None:
    adopt(house, "mean8")
    house.open_browser(house.resident("Li"))
    assert "No learned forecast did better here" in house.client.get("/forecast").text


def test_the_operator_compares_from_the_page(
    house: ClientHouse, calls: list[Sequence[str]]
) -> None:
    house.open_browser(house.resident("Zhao", Role.OPERATOR))
    fields = {"form_id": str(UUID(int=7))}
    done = house.post_form("/forecast/evaluate", page="/forecast", **fields)
    assert (done.status_code, done.headers["location"]) == (303, "/forecast")
    house.open_browser(house.resident("Li"))
    assert house.post_form("/forecast/evaluate", page="/forecast").status_code == 403


@pytest.mark.parametrize(("top", "step"), [(1, 1), (4, 1), (5, 2), (8, 2), (9, 5), (39, 10)])
def test_the_grid_counts_in_round_steps(top: float, step: int) -> None:
    assert drawing.grid_step(top) == step


def test_every_mark_lies_inside_the_picture() -> None:
    past = [drawing.Past(date(2026, 1, 1), count) for count in (0, 3, 743)]
    coming = [drawing.Coming(date(2026, 1, 4), 2.5, 0, 900.0)]
    drawn = drawing.draw(past, coming, names=["Sun"])
    for bar in [*drawn.past, *drawn.bands, *drawn.means]:
        assert 0 <= bar.x <= bar.x + bar.width <= drawn.width
        assert 0 <= bar.y <= bar.y + bar.height <= drawn.base + 2
