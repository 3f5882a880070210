"""Two communities whose people come to a desk: pages and API over two real nodes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient

from node.exchange import api, pages
from node.kernel.db import Database
from node.kernel.messages import Sealer
from node.peer.book import PeerBook
from node.residents import service as residents
from node.residents.pages import routes as residents_routes
from node.residents.rules import Role
from node.web import layout
from tests.node.two_nodes import (
    DEBT_LIMIT_MINUTES,
    ELDER,
    HOST,
    VOLUNTEER,
    District,
    Side,
    two_nodes,
)
from tests.node.web.client import ClientHouse, HouseSettingsForTests


@dataclass
class TradingClientHouse(ClientHouse):
    """A node with neighbours, as handlers see it."""

    sealer: Sealer | None = None
    book: PeerBook = field(default_factory=PeerBook)
    debt_limit_minutes: int = DEBT_LIMIT_MINUTES

    def neighbours(self) -> list[tuple[str, str]]:
        return [(peer.community, f"{peer.community} house") for peer in self.book.all()]


@dataclass
class Town:
    """The district, and a client at each side's door."""

    district: District
    home: TradingClientHouse
    host: TradingClientHouse


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with two_nodes(tmp_path) as district:
        home = _house(tmp_path, district.home, ELDER)
        host = _house(tmp_path, district.host, VOLUNTEER)
        with TestClient(_site(home), raise_server_exceptions=False) as client:
            home.client = client
            with TestClient(_site(host), raise_server_exceptions=False) as other:
                host.client = other
                yield Town(district, home, host)


def _site(house: TradingClientHouse) -> Any:
    return layout.app(house, [*api.routes, *pages.routes, *residents_routes], [pages.card])


def _house(folder: Path, side: Side, resident_id: UUID) -> TradingClientHouse:
    database: Database = side.database
    house = TradingClientHouse(
        database,
        side.clock,
        HouseSettingsForTests(folder),
        community=side.community,
        sealer=side.sealer,
        book=side.book,
    )

    def join(session: Any) -> None:
        residents.join(
            session,
            side.clock,
            resident_id=resident_id,
            name="Elder" if side.community != HOST else "Volunteer",
            phone="13800009999",
        )

    database.do(join)
    return house


def desk(house: TradingClientHouse, role: Role = Role.CLERK) -> dict[str, str]:
    """Headers of the desk's program."""
    return house.bearer(role)
