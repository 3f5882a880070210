"""Acting for an elder: granted by the elder or heard by the desk, within scope, ended at once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from node.residents import api, pages
from node.residents.model import Proxy
from node.residents.rules import Role
from node.web.language import LOCAL_TIME
from tests.node.web.client import ClientHouse, house_at, key


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*api.routes, *pages.routes]) as house:
        yield house


def grant(house: ClientHouse, **other: str) -> int:
    last = (house.clock.now() + timedelta(days=30)).astimezone(LOCAL_TIME).date().isoformat()
    fields = {"name": "Li Mei", "phone": house.phone(2), "scope": "repairs", "ends_on": last}
    return int(house.post_form("/proxies", page="/proxies", **(fields | other)).status_code)


def act_for(house: ClientHouse, elder: UUID) -> None:
    house.post_form("/acting", page="/", resident_id=str(elder))


def agreed(house: ClientHouse) -> list[Proxy]:
    with house.database.read() as session:
        return list(session.scalars(select(Proxy)))


def test_an_elder_grants_and_ends(house: ClientHouse) -> None:
    elder, daughter = house.resident("Li"), house.resident("Li Mei")
    house.open_browser(elder)
    assert grant(house) == 303
    [proxy] = agreed(house)
    assert (proxy.scope, proxy.evidence, proxy.recorded_by) == ("repairs", "self", elder)
    shown = house.client.get("/proxies").text
    assert "Li Mei" in shown
    assert "on their own page, signed in" in shown
    house.open_browser(daughter)
    act_for(house, elder)
    assert "You are acting for Li." in house.client.get("/").text
    house.post_form(f"/proxies/{proxy.id}/end", page="/")
    said = house.client.get("/")
    assert (said.status_code, "there is no agreement" in said.text) == (403, True)
    assert "You are acting for" not in house.client.get("/").text  # said once, then oneself again


def test_the_desk_writes_down_how_the_elder_agreed(house: ClientHouse) -> None:
    elder, _ = house.resident("Li"), house.resident("Li Mei")
    clerk = house.resident("Zhao", Role.CLERK)
    house.open_browser(clerk)
    act_for(house, elder)
    assert grant(house) == 422  # how did they agree?
    assert grant(house, evidence="self") == 422
    assert grant(house, evidence="paper") == 303
    [proxy] = agreed(house)
    assert (proxy.evidence, proxy.recorded_by, proxy.elder_id) == ("paper", clerk, elder)
    assert "written down by Zhao" in house.client.get("/proxies").text


def test_a_relative_cannot_widen_what_was_agreed(house: ClientHouse) -> None:
    elder, daughter = house.resident("Li"), house.resident("Li Mei")
    house.open_browser(elder)
    assert grant(house, scope="everything") == 303
    house.open_browser(daughter)
    act_for(house, elder)
    for path in ("/proxies", "/privacy", "/privacy/export"):
        assert house.client.get(path).status_code == 403, path
    assert house.post_form("/proxies", page="/", name="x", phone="12345").status_code == 403
    later = (house.clock.now() + timedelta(days=300)).isoformat()
    body = {"helper_id": str(daughter), "scope": "everything", "ends_at": later}
    headers = house.signed_in(daughter) | {"X-Acting-For": str(elder)} | key()
    answer = house.client.post(f"/api/residents/{elder}/proxies", json=body, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Li Mai"},
        {"phone": "13999999999"},
        {"phone": "x"},
        {"scope": "voting"},
        {"ends_on": ""},
        {"ends_on": "2025-12-01"},
        {"ends_on": "2027-06-01"},
    ],
)
def test_what_cannot_be_agreed(house: ClientHouse, wrong: dict[str, str]) -> None:
    elder, _ = house.resident("Li"), house.resident("Li Mei")
    house.open_browser(elder)
    assert grant(house, **wrong) == 422
    assert agreed(house) == []


def test_a_stranger_ends_nothing(house: ClientHouse) -> None:
    elder, _ = house.resident("Li"), house.resident("Li Mei")
    house.open_browser(elder)
    grant(house)
    [proxy] = agreed(house)
    house.open_browser(house.resident("Wu"))
    assert house.post_form(f"/proxies/{proxy.id}/end", page="/").status_code == 403
    assert agreed(house)[0].withdrawn_at is None


def test_a_wrong_name_and_a_wrong_number_are_told_alike(house: ClientHouse) -> None:
    elder, _ = house.resident("Li"), house.resident("Li Mei")
    house.open_browser(elder)
    answers = set()
    for wrong in ({"name": "Wu"}, {"phone": "13999999999"}):
        last = house.clock.now().date().isoformat()
        fields = {"name": "Li Mei", "phone": house.phone(2), "scope": "repairs", "ends_on": last}
        page = house.post_form("/proxies", page="/proxies", **(fields | wrong)).text
        answers.add(page.split('id="error-name">')[1].split("<")[0])
    assert answers == {"No resident has this name and this phone number."}
