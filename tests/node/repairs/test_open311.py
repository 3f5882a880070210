"""Open311 GeoReport v2 as a foreign program meets it, in XML and JSON, right and wrong."""

from datetime import timedelta
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest

from node.kernel.ids import new_id
from node.repairs.plan import Plan, Route, Team
from node.repairs.rules import CATEGORIES, Status
from node.residents.rules import Role
from tests.node.repairs.desk import DONE, Desk, picture
from tests.node.web.client import ClientHouse

BASE = "/api/open311/v2"
FIELDS = {  # of GET requests, in the standard's words
    *("service_request_id", "status", "status_notes", "service_name", "service_code"),
    *("description", "agency_responsible", "service_notice", "requested_datetime"),
    *("updated_datetime", "expected_datetime", "address", "address_id", "zipcode"),
    *("lat", "long", "media_url"),
}
LIFT = {"service_code": "lift", "attribute[INSIDE]": "0", "address_string": "Building 7"}


@pytest.fixture
def program(house: ClientHouse) -> str:
    """The api_key of another city's program, held by the desk."""
    return house.bearer(Role.CLERK)["Authorization"].removeprefix("Bearer ")


def post(house: ClientHouse, api_key: str | None, ending: str = "json", **change: Any) -> Any:
    fields = LIFT | ({"api_key": api_key} if api_key else {}) | change
    return house.client.post(f"{BASE}/requests.{ending}", data=fields)


def get(house: ClientHouse, path: str, **query: Any) -> Any:
    answer = house.client.get(f"{BASE}/{path}.json", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbers(house: ClientHouse, **query: Any) -> list[int]:
    return [int(one["service_request_id"]) for one in get(house, "requests", **query)]


def xml(house: ClientHouse, path: str) -> ET.Element:
    answer = house.client.get(f"{BASE}/{path}.xml")
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.text.startswith('<?xml version="1.0" encoding="utf-8"?>')
    return parsed(answer.text)


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 (our own answer)


def test_discovery(house: ClientHouse) -> None:
    found = house.client.get("/api/open311/discovery.json").json()
    assert {"changeset", "contact", "key_service", "endpoints"} == set(found)
    [endpoint] = found["endpoints"]
    assert endpoint["specification"] == "http://wiki.open311.org/GeoReport_v2"
    assert endpoint["formats"] == ["text/xml", "application/json"]
    assert endpoint["type"] == "production"
    assert house.client.get(endpoint["url"] + "/services.xml").status_code == 200
    root = xml(house, "discovery")
    assert root.find("endpoints/endpoint/formats/format") is not None


def test_services_and_their_definitions(house: ClientHouse) -> None:
    services = get(house, "services")
    assert [one["service_code"] for one in services] == list(CATEGORIES)
    for one in services:
        assert set(one) == {
            *("service_code", "service_name", "description"),
            *("metadata", "type", "keywords", "group"),
        }
        definition = get(house, f"services/{one['service_code']}")
        assert bool(definition["attributes"]) is one["metadata"]
        orders = [attribute["order"] for attribute in definition["attributes"]]
        assert orders == list(range(1, len(orders) + 1))
    assert {one["type"] for one in services} == {"realtime", "batch"}
    root = xml(house, "services")
    assert root.tag == "services"
    assert root[0].findtext("metadata") == "true"
    power = xml(house, "services/water_power")
    keys = [one.text for one in power.findall("attributes/attribute/values/value/key")]
    assert keys[:3] == ["water", "power", "gas"]


def test_report_and_follow_it(house: ClientHouse, program: str, desk: Desk) -> None:
    desk.plan(Plan(teams=(Team("crew", "Crew"),), routes=(Route("crew"),)))
    reported = post(house, program, description="It stands still\nsince noon", phone="13900001111")
    assert reported.status_code == 200
    [made] = reported.json()
    assert set(made) == {"service_request_id", "service_notice", "account_id"}
    desk.move(1, Status.DISPATCHED)
    [seen] = get(house, f"requests/{made['service_request_id']}")
    assert set(seen) == FIELDS
    assert (seen["status"], seen["agency_responsible"]) == ("open", "Crew")
    assert seen["requested_datetime"].endswith("+00:00")
    desk.move(1, Status.PROCESSING, Status.COMPLETED)
    root = xml(house, "requests/1")
    assert (root.tag, root[0].tag, root[0].findtext("status")) == (
        "service_requests",
        "request",
        "closed",
    )


def test_strangers_learn_where_it_stands_and_nothing_else(
    house: ClientHouse, program: str, desk: Desk
) -> None:
    private = {"description": "SECRET", "address_string": "SECRET", "phone": "1390000SECRET"}
    private |= {"media_url": "https://example.org/SECRET.jpg", "first_name": "SECRET"}
    code = {"service_code": "welfare", "lat": "31.2", "long": "121.4"}
    answer = house.client.post(f"{BASE}/requests.json", data={"api_key": program} | private | code)
    assert answer.status_code == 200, answer.text
    for ending in ("json", "xml"):
        public = house.client.get(f"{BASE}/requests.{ending}").text
        assert "SECRET" not in public
        assert "31.2" not in public
        assert "SECRET" in house.client.get(f"{BASE}/requests.{ending}?api_key={program}").text
    stranger = house.signed_in(house.resident())["Authorization"].removeprefix("Bearer ")
    assert get(house, "requests/1", api_key=stranger)[0]["description"] is None
    mine = house.resident()
    secret = house.signed_in(mine)["Authorization"].removeprefix("Bearer ")
    made = post(house, secret, description="my own").json()
    assert made[0]["account_id"] == str(mine)
    assert get(house, "requests/2", api_key=secret)[0]["description"] == "my own"


def test_a_token_until_somebody_has_looked(house: ClientHouse, program: str, desk: Desk) -> None:
    other = {"api_key": program, "service_code": "other", "address_string": "yard"}
    [made] = house.client.post(f"{BASE}/requests.json", data=other).json()
    assert "service_request_id" not in made
    path = f"tokens/{made['token']}"
    assert get(house, path) == [{"service_request_id": None, "token": made["token"]}]
    assert house.client.get(f"{BASE}/requests/1.json").status_code == 404
    assert numbers(house) == []
    assert numbers(house, api_key=program) == [1], "staff see it"
    desk.move(1, Status.DISPATCHED)
    assert get(house, path)[0]["service_request_id"] == "1"
    assert numbers(house) == [1]
    assert xml(house, path).findtext("request/service_request_id") == "1"


def test_filters(house: ClientHouse, program: str, desk: Desk) -> None:
    for code in ("lift", "transport", "lift"):
        desk.report(house.resident(), category=code)
        desk.clock.advance(timedelta(days=1))
    desk.move(1, *DONE)
    assert numbers(house) == [3, 2, 1]
    assert numbers(house, status="open") == [3, 2]
    assert numbers(house, status="closed") == [1]
    assert numbers(house, status="open,closed") == [3, 2, 1]
    assert numbers(house, service_code="lift") == [3, 1]
    assert numbers(house, service_code="lift,transport") == [3, 2, 1]
    assert numbers(house, service_request_id="1, 3,99", status="open") == [3, 1], "ids override"
    assert numbers(house, service_code="", status="") == [3, 2, 1], "empty is not said"
    assert numbers(house, start_date="2026-01-02T00:00:00Z") == [3, 2]
    assert numbers(house, end_date="2026-01-01T12:00:00Z") == [1]
    assert numbers(
        house, start_date="2026-01-02T08:00:00+08:00", end_date="2026-01-02T12:00:00Z"
    ) == [2]
    unquoted = f"{BASE}/requests.json?start_date=2026-01-03T08:00:00+08:00"
    assert len(house.client.get(unquoted).json()) == 1
    desk.clock.advance(timedelta(days=87, hours=12))
    assert numbers(house) == [3, 2], "90 days back"
    assert numbers(house, start_date="2026-01-01T00:00:00Z") == [3, 2, 1]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("status=lost", 400),
        ("service_code=nothing", 404),
        ("service_request_id=x", 400),
        ("start_date=yesterday", 400),
        ("start_date=2026-01-01", 400),
        ("start_date=2026-01-01T00:00:00", 400),
        ("start_date=2026-01-02T00:00:00Z&end_date=2026-01-01T00:00:00Z", 400),
        ("start_date=2025-01-01T00:00:00Z&end_date=2025-06-01T00:00:00Z", 400),
        ("jurisdiction_id=elsewhere.gov", 404),
        ("api_key=wrong", 403),
    ],
)
def test_questions_that_are_refused(house: ClientHouse, query: str, status: int) -> None:
    for ending in ("json", "xml"):
        answer = house.client.get(f"{BASE}/requests.{ending}?{query}")
        assert answer.status_code == status
        if ending == "json":
            [problem] = answer.json()
            assert problem["code"] == status
            assert problem["description"]
        else:
            root = parsed(answer.text)
            assert root.findtext("error/code") == str(status)
            assert root.tag == "errors"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"api_key": ""}, 403),
        ({"api_key": "wrong"}, 403),
        ({"service_code": ""}, 400),
        ({"service_code": "nothing"}, 404),
        ({"jurisdiction_id": "elsewhere.gov"}, 404),
        ({"address_string": ""}, 400),
        ({"lat": "31.2"}, 400),
        ({"lat": "91", "long": "0"}, 400),
        ({"lat": "nan", "long": "0"}, 400),
        ({"attribute[INSIDE]": ""}, 400),
        ({"attribute[INSIDE]": "many"}, 400),
        ({"attribute[WHAT]": "x"}, 400),
        ({"description": "x" * 4_001}, 400),
        ({"description": "a\x00b"}, 400),
        ({"media_url": "javascript:alert(1)"}, 400),
        ({"account_id": "nobody"}, 400),
        ({"account_id": str(new_id())}, 404),
    ],
)
def test_reports_that_are_refused(
    house: ClientHouse, program: str, change: dict[str, str], status: int
) -> None:
    answer = house.client.post(f"{BASE}/requests.json", data=LIFT | {"api_key": program} | change)
    assert answer.status_code == status, answer.text
    assert answer.json()[0]["code"] == status
    assert numbers(house, api_key=program) == []


def test_other_ways_to_say_where(house: ClientHouse, program: str) -> None:
    ways = [{"lat": "31.2304", "long": "121.4737"}, {"address_id": "7"}]
    for way in ways:
        made = post(house, program, **{"address_string": ""}, **way)
        assert made.status_code == 200, made.text
    by_id, by_place = get(house, "requests")
    assert (by_place["lat"], by_place["long"]) == (31.2304, 121.4737), "a lift is shared"
    assert (by_id["address"], by_id["address_id"]) == ("7", "7")


def test_several_answers_and_a_picture(house: ClientHouse, program: str) -> None:
    fields = {"api_key": program, "service_code": "housing_repair", "address_string": "7-2"}
    several = {**fields, "attribute[ROOMS][]": ["kitchen", "other"]}
    assert house.client.post(f"{BASE}/requests.json", data=several).status_code == 200
    wrong = {**fields, "attribute[PLACE][]": ["shared", "home"]}
    assert house.client.post(f"{BASE}/requests.json", data=wrong).status_code == 400
    sent = house.client.post(
        f"{BASE}/requests.json", data=fields, files={"media": ("x.gif", picture(), "image/gif")}
    )
    assert sent.status_code == 200
    headers = {"Authorization": f"Bearer {program}"}
    number = sent.json()[0]["service_request_id"]
    kept = house.client.get(f"/api/repairs/{number}/photos", headers=headers).json()
    assert len(kept["data"]) == 1


def test_a_desk_reports_for_a_resident_and_repeats_safely(house: ClientHouse, program: str) -> None:
    me = house.resident()
    headers = {"Idempotency-Key": str(new_id())}
    fields = LIFT | {"api_key": program, "account_id": str(me)}
    answers = [
        house.client.post(f"{BASE}/requests.json", data=fields, headers=headers) for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert UUID(answers[0].json()[0]["account_id"]) == me
    assert len(numbers(house)) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("requests", 400),
        ("requests.csv", 400),
        ("nothing.json", 404),
        ("services/nothing.xml", 404),
        ("requests/99.json", 404),
        ("requests/x.json", 404),
        ("requests/" + "9" * 40 + ".json", 404),
        ("tokens/123.json", 404),
        (f"tokens/{UUID(int=5)}.xml", 404),
        ("nothing/1.json", 404),
    ],
)
def test_what_does_not_exist(house: ClientHouse, path: str, status: int) -> None:
    answer = house.client.get(f"{BASE}/{path}")
    assert answer.status_code == status
    assert "description" in answer.text
    assert "problem" not in answer.headers["content-type"]


def test_text_stays_text_in_both_formats(house: ClientHouse, program: str) -> None:
    words = "<b>&amp; \x01\x0b ]]> 电梯"
    assert post(house, program, description=words, **{"address_string": words}).status_code == 200
    [seen] = get(house, "requests", api_key=program)
    assert seen["description"] == words
    root = parsed(house.client.get(f"{BASE}/requests.xml?api_key={program}").text)
    assert root.findtext("request/description") == words.replace("\x01\x0b", "")
