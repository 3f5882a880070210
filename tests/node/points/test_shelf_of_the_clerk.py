"""The shelf: its clerk's stock with reasons, and fifty people who race for the last coupon."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn

from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.errors import BadInput, IdReused, NotFound
from node.kernel.ids import derived_id, new_id
from node.ledger.audit import audit_ledger
from node.points import api, refusals, service, shelf, stock
from node.points.model import CatalogueItem
from node.points.rules import EvidenceKind, StockReason
from node.points.service import Evidence
from tests.node.points.conftest import CLERK
from tests.node.points.test_service import award, reserve
from tests.node.web.client import ClientHouse, house_at

RACERS = 50
TEA = "tea"


def put(database: Database, *, points: int = 40, title: str = "Tea") -> CatalogueItem:
    return database.do(
        lambda session: stock.put_item(session, code=TEA, title=title, points=points)
    )


def change(
    database: Database,
    clock: VirtualClock,
    name: str,
    count: int,
    *,
    reason: StockReason = StockReason.DELIVERED,
) -> int:
    return database.do(
        lambda session: (
            stock.change_stock(
                session,
                clock,
                change_id=derived_id("stock", name),
                item_code=TEA,
                change=count,
                reason=reason,
                done_by=CLERK,
            ).stock
        )
    )


def test_every_change_of_the_stock_says_why(database: Database, clock: VirtualClock) -> None:
    put(database)
    assert [change(database, clock, "a", 10) for _ in range(2)] == [10, 10]
    assert change(database, clock, "b", -3, reason=StockReason.BROKEN) == 7
    with pytest.raises(IdReused):
        change(database, clock, "a", 11)
    with pytest.raises(refusals.StockTooSmall, match="There are 7"):
        change(database, clock, "c", -8)
    with pytest.raises(BadInput):
        change(database, clock, "c", 0)
    with database.read() as session:
        kept = [(row.change, row.reason, row.done_by) for row in stock.changes(session, TEA)]
    assert sorted(kept) == [(-3, "broken", CLERK), (10, "delivered", CLERK)]


def test_a_new_price_is_for_whoever_comes_next(database: Database, clock: VirtualClock) -> None:
    award(database, clock, "a", minutes=240)
    row = reserve(database, clock, "r")
    database.do(
        lambda session: stock.put_item(
            session, code="market_voucher_10", title="Voucher", points=110
        )
    )
    with database.read() as session:
        assert shelf.redemption(session, row.id).points == 100
        assert {item.code: item.points for item in shelf.catalogue(session)}[row.item_code] == 110


def test_what_is_not_on_offer_cannot_be_put_aside(database: Database, clock: VirtualClock) -> None:
    award(database, clock, "a", minutes=240)
    waiting = reserve(database, clock, "r")
    database.do(
        lambda session: stock.offer(session, item_code="market_voucher_10", is_offered=False)
    )
    with pytest.raises(refusals.NotOffered):
        reserve(database, clock, "s")
    database.do(
        lambda session: shelf.collect(session, clock, redemption_id=waiting.id, code=waiting.code)
    )
    with database.read() as session:
        assert "market_voucher_10" not in {item.code for item in shelf.catalogue(session)}


@pytest.mark.parametrize(
    ("code", "title", "points"), [("a b", "Tea", 1), ("tea", "", 1), ("tea", "Tea", 0)]
)
def test_what_cannot_stand_on_the_shelf(
    database: Database, code: str, title: str, points: int
) -> None:
    with pytest.raises(BadInput):
        database.do(lambda session: stock.put_item(session, code=code, title=title, points=points))
    with pytest.raises(NotFound):
        database.do(lambda session: stock.offer(session, item_code=TEA, is_offered=False))


@contextmanager
def served(house: ClientHouse) -> Iterator[str]:
    """The house on a loopback port of its own, for many clients at once."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(house.client.app, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def rich(house: ClientHouse) -> tuple[UUID, dict[str, str]]:
    """A resident with 120 points, and the headers of their sign-in."""
    resident_id = house.resident()
    house.database.do(
        lambda session: service.award(
            session,
            house.clock,
            award_id=new_id(),
            resident_id=resident_id,
            activity="volunteering",
            evidence=Evidence(EvidenceKind.ATTENDANCE, new_id()),
            minutes=240,
        )
    )
    return resident_id, house.signed_in(resident_id)


def test_fifty_race_for_the_last_coupon_over_http(tmp_path: Path) -> None:
    """Real sockets and write path; each asks twice with one key, as an impatient phone does."""
    with house_at(tmp_path, api.routes) as house:
        house.database.do(lambda session: service.prepare(session, house.clock))
        house.database.do(
            lambda session: stock.change_stock(
                session,
                house.clock,
                change_id=new_id(),
                item_code="market_voucher_10",
                change=-99,
                reason=StockReason.COUNTED,
                done_by=None,
            )
        )
        racers = [rich(house) for _ in range(RACERS)]
        with served(house) as site:
            answers = asyncio.run(_race(site, racers))
        outcome = Counter((answer.status_code, answer.json().get("code")) for answer in answers)
        winners = [answer.json() for answer in answers if answer.status_code == 201]
        assert len(winners) == 2
        assert winners[0] == winners[1]  # one coupon, answered twice alike
        assert outcome[(409, "points.out_of_stock")] == 2 * (RACERS - 1)
        with house.database.read() as session:
            item = session.get_one(CatalogueItem, "market_voucher_10")
            available = Counter(service.own_points(session, racer)[1] for racer, _ in racers)
            assert (item.stock, available) == (0, Counter({120: RACERS - 1, 20: 1}))
            assert audit_ledger(session).ok


async def _race(site: str, racers: list[tuple[UUID, dict[str, str]]]) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=RACERS)
    async with httpx.AsyncClient(base_url=site, limits=limits, timeout=60, trust_env=False) as web:

        async def ask(racer: UUID, headers: dict[str, str], key: str) -> httpx.Response:
            body: dict[str, Any] = {"resident_id": str(racer), "item": "market_voucher_10"}
            return await web.post(
                "/api/points/redemptions",
                json=body,
                headers=headers | {"Idempotency-Key": key},
            )

        asked = [
            ask(racer, headers, key)
            for racer, headers in racers
            for key in [str(new_id())]
            for _ in range(2)
        ]
        return list(await asyncio.gather(*asked))
