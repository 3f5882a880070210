"""Photos: judged by their content, made anew without metadata, limited, and seen by few."""

import io
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from node.kernel.ids import new_id
from node.repairs import photos
from node.residents.rules import Role
from tests.node.repairs.desk import Desk, picture
from tests.node.web.client import ClientHouse, key


@pytest.fixture
def me(house: ClientHouse, desk: Desk) -> UUID:
    me = house.resident("Li")
    desk.report(me)
    return me


def send(house: ClientHouse, headers: dict[str, str], content: bytes, number: int = 1) -> Any:
    return house.client.post(
        f"/api/repairs/{number}/photos", content=content, headers=key() | headers
    )


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_made_anew_without_its_metadata(form: str) -> None:
    sent = picture(form)
    assert b"SecretCamera" in sent
    made = photos.make(sent)
    for content in (made.content, made.preview):
        assert b"SecretCamera" not in content
        with Image.open(io.BytesIO(content)) as opened:
            assert (opened.format, opened.size) == ("JPEG", (64, 48))
            assert not opened.getexif()
            assert set(opened.info) <= {"jfif", "jfif_version", "jfif_density", "jfif_unit"}


def test_a_large_photo_is_made_smaller_and_stands_upright() -> None:
    image, exif, out = Image.new("RGB", (3000, 1000), "white"), Image.Exif(), io.BytesIO()
    exif[0x0112] = 6  # the camera was held upright
    image.save(out, "JPEG", exif=exif)
    made = photos.make(out.getvalue())
    assert made.height == photos.SIDE_PIXELS_MAX
    assert made.width < made.height


def test_see_through_becomes_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(out, "PNG")
    with Image.open(io.BytesIO(photos.make(out.getvalue()).content)) as opened:
        assert opened.getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"GIF89a" + bytes(100),
        picture()[:300],
        b"%PDF-1.7",
    ],
)
def test_what_is_no_photo_is_refused(house: ClientHouse, me: UUID, content: bytes) -> None:
    headers = house.signed_in(me) | {"Content-Type": "image/jpeg"}  # the claim is not looked at
    answer = send(house, headers, content)
    assert (answer.status_code, answer.json()["code"]) == (400, "repairs.photo_unreadable")


def test_a_small_file_that_claims_to_be_huge_is_refused_before_decoding() -> None:
    out = io.BytesIO()
    Image.new("1", (10_000, 5_001)).save(out, "PNG")
    assert len(out.getvalue()) < 50_000
    with pytest.raises(photos.PhotoTooLarge):
        photos.make(out.getvalue())


def test_too_many_bytes_are_refused(house: ClientHouse, me: UUID) -> None:
    answer = send(house, house.signed_in(me), picture() + bytes(photos.SENT_BYTES_MAX))
    assert answer.status_code == 413


def test_the_reporter_adds_and_sees_them(house: ClientHouse, me: UUID) -> None:
    mine = house.signed_in(me)
    made = send(house, mine, picture())
    assert made.status_code == 201, made.text
    path = f"/api/repairs/1/photos/{made.json()['id']}"
    shown = house.client.get(path, headers=mine)
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["cache-control"].startswith("private")
    assert shown.headers["cross-origin-resource-policy"] == "same-origin"
    assert house.client.get(path + "?preview=true", headers=mine).status_code == 200
    listed = house.client.get("/api/repairs/1/photos", headers=mine).json()["data"]
    assert [one["id"] for one in listed] == [made.json()["id"]]


def test_strangers_and_followers_see_none(house: ClientHouse, desk: Desk, me: UUID) -> None:
    shared = desk.report(me, is_shared=True).id
    photo = send(house, house.signed_in(me), picture(), shared).json()["id"]
    follower = house.signed_in(house.resident("Wu"))
    assert house.client.put(f"/api/repairs/{shared}/follow", headers=follower).status_code == 200
    path = f"/api/repairs/{shared}/photos"
    for headers in (follower, house.signed_in(house.resident("Qian"))):
        assert house.client.get(f"{path}/{photo}", headers=headers).status_code == 403
        assert house.client.get(path, headers=headers).status_code == 403
        assert send(house, headers, picture(), shared).status_code == 403
    staff = house.bearer(Role.PROPERTY)
    assert house.client.get(f"{path}/{photo}", headers=staff).status_code == 200
    assert house.client.get(f"/api/repairs/1/photos/{photo}", headers=staff).status_code == 404
    assert house.client.get(f"{path}/{new_id()}", headers=staff).status_code == 404
    assert house.client.get(f"{path}/{photo}").status_code == 401


def test_sending_twice_keeps_one_and_twelve_are_enough(house: ClientHouse, me: UUID) -> None:
    headers = house.signed_in(me) | key()
    answers = [send(house, headers, picture()) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert send(house, headers, picture(size=(9, 9))).status_code == 409
    for number in range(1, photos.PHOTOS_MAX):
        size = (20 + number, 20)
        assert send(house, house.signed_in(me), picture(size=size)).status_code == 201
    full = send(house, house.signed_in(me), picture(size=(99, 9)))
    assert (full.status_code, full.json()["code"]) == (409, "repairs.too_many_photos")


def test_the_schema_says_what_to_send(house: ClientHouse) -> None:
    paths = house.client.get("/api/schema/openapi.json").json()["paths"]
    sent = paths["/api/repairs/{request_id}/photos"]["post"]["requestBody"]
    assert set(sent["content"]) == {"image/jpeg", "image/png", "image/webp"}
    assert "200" in paths["/api/repairs"]["get"]["responses"]
    assert not [path for path in paths if "open311" in path], "it documents itself, by discovery"
