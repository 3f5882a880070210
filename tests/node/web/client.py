"""A house to knock at: the slices' own pages and API over a fresh SQLite file and a virtual clock.

def test_something(tmp_path): with house_at(tmp_path, [*api.routes]) as house: …
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from litestar import Litestar
from litestar.testing import TestClient
from litestar.types import ControllerRouterHandler

from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.events import Reactions
from node.kernel.ids import new_id
from node.residents import service as residents
from node.residents.rules import Role
from node.web import layout
from node.web.session import SIGN_IN_COOKIE, VISIT_COOKIE, form_token

PIN = "804217"


@dataclass(frozen=True)
class HouseSettingsForTests:
    """What slices read of the settings."""

    directory: Path
    credit_limit_minutes: int = 300
    training: bool = True
    count_epsilon: float = 1.0
    weekly_limit: int = 3
    requests_per_person: int = 8
    people_on_duty: int = 0

    @property
    def exports(self) -> Path:
        return self.directory / "training"


@dataclass
class ClientHouse:
    """A node as handlers see it, with a client that speaks to it."""

    database: Database
    clock: VirtualClock
    settings: HouseSettingsForTests
    community: str = "c01"
    name: str = "Lane House"
    client: TestClient[Litestar] = field(init=False)
    _phones: int = 0

    def resident(self, name: str = "Li", *roles: Role, pin: str | None = None) -> UUID:
        """A resident who has joined; `pin` (such as PIN) lets them sign in."""
        self._phones += 1
        resident_id, phone = new_id(), self.phone(self._phones)
        pin_hash = residents.hash_pin(pin) if pin else None

        def join(session: Any) -> None:
            residents.join(
                session,
                self.clock,
                resident_id=resident_id,
                name=name,
                phone=phone,
                pin_hash=pin_hash,
            )
            for role in roles:
                residents.grant(session, self.clock, resident_id=resident_id, role=role)

        self.database.do(join)
        return resident_id

    @staticmethod
    def phone(number: int) -> str:
        """The phone number of the n-th resident made here, from 1."""
        return f"1390000{number:04}"

    def bearer(self, role: Role, *, acting_for: UUID | None = None) -> dict[str, str]:
        """Headers of a program that holds `role`, acting for a resident if one is named."""
        secret = self.database.do(
            lambda s: residents.issue_token(s, self.clock, token_id=new_id(), role=role)
        )
        headers = {"Authorization": f"Bearer {secret}"}
        return headers | ({"X-Acting-For": str(acting_for)} if acting_for else {})

    def signed_in(self, resident_id: UUID) -> dict[str, str]:
        """Headers of a resident's own sign-in, for the API."""
        return {"Authorization": f"Bearer {self._sign_in(resident_id)}"}

    def open_browser(self, resident_id: UUID | None = None, *, language: str = "en") -> None:
        """Let the client be a browser: English pages, signed in as this resident."""
        self.client.cookies.clear()
        self.client.get(f"/sign-in?lang={language}")
        if resident_id is not None:
            self.client.cookies.set(SIGN_IN_COOKIE, self._sign_in(resident_id))

    def post_form(self, path: str, *, page: str, **fields: Any) -> Any:
        """Fill in the form shown at `page` and send it to `path`; redirects are not followed."""
        self.client.get(page)
        cookies = self.client.cookies
        visit, sign_in = cookies.get(VISIT_COOKIE) or "", cookies.get(SIGN_IN_COOKIE) or ""
        token = form_token(visit=visit, sign_in=sign_in)
        return self.client.post(path, data={"csrf": token, **fields}, follow_redirects=False)

    def _sign_in(self, resident_id: UUID) -> str:
        def command(session: Any) -> str:
            phone = residents.resident(session, resident_id).phone
            assert phone is not None, "erased residents do not sign in"
            secret = residents.sign_in(
                session, self.clock, token_id=new_id(), phone=phone, resident_id=resident_id
            )
            assert secret is not None
            return secret

        return self.database.do(command)


@contextmanager
def house_at(
    directory: Path,
    routes: Sequence[ControllerRouterHandler] = (),
    cards: Sequence[layout.HomeCard] = (),
    reactions: Reactions | None = None,
) -> Iterator[ClientHouse]:
    """A house over an empty database in `directory`, closed at the end."""
    url, clock = f"sqlite:///{directory / 'node.db'}", VirtualClock()
    engine = open_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    database = Database(url, clock=clock, reactions=reactions)
    house = ClientHouse(database, clock, HouseSettingsForTests(directory))
    try:
        with TestClient(layout.app(house, routes, cards), raise_server_exceptions=False) as client:
            house.client = client
            yield house
    finally:
        database.close()


def key() -> dict[str, str]:
    """A fresh Idempotency-Key header."""
    return {"Idempotency-Key": str(new_id())}
