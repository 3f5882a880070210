"""A small community with some life in it, served on loopback, and a Chromium to visit it with.

with village(directory) as place, served(place) as site, chromium() as browser: …
"""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import uvicorn
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy.orm import Session

from node import migrations, settings
from node.app import Node
from node.kernel.clock import VirtualClock
from node.kernel.ids import new_id
from node.residents import proxies
from node.residents import service as residents
from node.residents.rules import Evidence, Role, Scope
from node.web.session import ACTING_COOKIE, SIGN_IN_COOKIE

BEGAN = datetime(2026, 11, 2, 1, 30, tzinfo=UTC)
PIN = "804217"
PEOPLE: tuple[tuple[str, str, int, tuple[Role, ...]], ...] = (
    ("李秀英", "7-2-301", 1946, ()),
    ("王建国", "7-2-302", 1958, ()),
    ("李小梅", "3-1-602", 1975, ()),
    ("周敏", "1-1-101", 1988, (Role.CLERK,)),
    ("陈志强", "2-1-201", 1980, (Role.PROPERTY,)),
    ("何静", "4-1-402", 1985, (Role.SOCIAL_WORKER,)),
    ("吴怀远", "5-2-501", 1964, (Role.SECRETARY,)),
    ("孙立", "6-1-302", 1979, (Role.OPERATOR,)),
)
READERS = {
    "resident": "李秀英",
    "clerk": "周敏",
    "property": "陈志强",
    "social_worker": "何静",
    "secretary": "吴怀远",
    "operator": "孙立",
}
"""One reader for each role; `guest` is nobody, `acting` is the clerk at work for an elder."""

WAIT_STEPS, WAIT_STEP_MS = 100, 100
CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


@dataclass
class Village:
    """The node, whom it knows, and what happened there."""

    node: Node
    clock: VirtualClock
    client: TestClient[Litestar]
    people: dict[str, UUID] = field(default_factory=dict)

    def cookies(self, role: str) -> dict[str, str]:
        """What the browser of somebody with this role holds."""
        if role == "guest":
            return {}
        found = {SIGN_IN_COOKIE: self.sign_in("周敏" if role == "acting" else READERS[role])}
        if role == "acting":
            found[ACTING_COOKIE] = str(self.people["李秀英"])
        return found

    def sign_in(self, name: str) -> str:
        """The secret of a fresh sign-in of this resident."""

        def command(session: Session) -> str:
            phone = residents.resident(session, self.people[name]).phone
            assert phone is not None
            secret = residents.sign_in(
                session,
                self.clock,
                token_id=new_id(),
                phone=phone,
                resident_id=self.people[name],
            )
            assert secret is not None
            return secret

        return self.node.database.do(command)

    def say(self, name: str, method: str, path: str, **body: Any) -> Any:
        """What this resident's own program asks of the API, and its answer."""
        headers = {
            "Authorization": f"Bearer {self.sign_in(name)}",
            "Idempotency-Key": str(new_id()),
        }
        answer = self.client.request(method, f"/api{path}", json=body, headers=headers)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer.json()


@contextmanager
def village(directory: Path) -> Iterator[Village]:
    """A node with eight people, repairs at every step, points, an hour given, and two motions."""
    made = settings.create(directory, name="梅园社区", database="")
    migrations.migrate(made.database_url)
    clock = VirtualClock(BEGAN)
    node = Node(made, clock=clock)
    try:
        with TestClient(node.web()) as client:
            place = Village(node, clock, client)
            _move_in(place)
            _live(place)
            yield place
    finally:
        node.close()


def _move_in(place: Village) -> None:
    def command(session: Session) -> None:
        for number, (name, household, birth_year, roles) in enumerate(PEOPLE, 1):
            place.people[name] = resident_id = new_id()
            residents.join(
                session,
                place.clock,
                resident_id=resident_id,
                name=name,
                phone=f"1390000{number:04}",
                building=household.partition("-")[0],
                household=household,
                is_owner=True,
                floor_area_dm2=8_000 + 353 * number,
                birth_year=birth_year,
                pin_hash=pin_hash if not roles else None,
            )
            for role in roles:
                residents.grant(session, place.clock, resident_id=resident_id, role=role)
        proxies.agree_proxy(
            session,
            place.clock,
            proxy_id=new_id(),
            elder_id=place.people["李秀英"],
            helper_id=place.people["李小梅"],
            scope=Scope.REPAIRS,
            ends_at=place.clock.now() + timedelta(days=180),
            recorded_by=place.people["周敏"],
            evidence=Evidence.IN_PERSON,
        )

    pin_hash = residents.hash_pin(PIN)
    place.node.database.do(command)


def _live(place: Village) -> None:
    _vote(place)
    _repair(place)
    _give_an_hour(place)
    _earn(place)


def _repair(place: Village) -> None:
    reports = (
        ("李秀英", "楼道灯不亮", "三楼楼道的灯坏了两天，晚上看不清台阶。", "water_power", 3),
        ("王建国", "单元门关不严", "门锁松了，风一吹就响。", "housing_repair", 2),
        ("李秀英", "厨房水龙头滴水", "拧紧了还是滴，接了一盆水。", "water_power", 1),
        ("李小梅", "花园里垃圾桶满了", "三号楼前的垃圾桶两天没有清。", "sanitation_parks", 0),
    )
    for name, title, text, category, steps in reports:
        body = {"title": title, "description": text, "location": "7 号楼 2 单元"}
        made = place.say(name, "POST", "/repairs", category=category, **body)
        for status in ("dispatched", "processing", "completed")[:steps]:
            place.clock.advance(timedelta(hours=2))
            changed = {"status": status, "assignee": "陈志强"}
            place.say("陈志强", "PUT", f"/repairs/{made['id']}", **changed)


def _give_an_hour(place: Village) -> None:
    ids = {"provider_id": str(place.people["王建国"]), "receiver_id": str(place.people["李秀英"])}
    path = "/timebank/exchanges"
    done = place.say("李秀英", "POST", path, service="companionship", minutes=90, **ids)["id"]
    place.say("王建国", "POST", f"{path}/{done}/accept")
    place.say("王建国", "POST", f"{path}/{done}/deliver", minutes=90)
    for name in ("王建国", "李秀英"):
        place.say(name, "POST", f"{path}/{done}/confirm")
    place.say("李秀英", "POST", path, service="companionship", minutes=60, **ids)


def _earn(place: Village) -> None:
    for day in range(3):
        place.clock.advance(timedelta(days=1 if day else 0))
        for name, activity, minutes in (
            ("李秀英", "council_session", None),
            ("李秀英", "volunteering", 120),
            ("王建国", "volunteering", 60),
        ):
            place.say(
                "周敏",
                "POST",
                "/points/awards",
                resident_id=str(place.people[name]),
                activity=activity,
                evidence={"kind": "attendance", "reference": str(new_id())},
                minutes=minutes,
            )


def _vote(place: Village) -> None:
    text = "在北门内侧装十个电动自行车充电位，楼道里不再充电。"
    path = "/council/motions"
    voted = place.say("王建国", "POST", path, title="北门装充电位", text=text)["id"]
    for step in ("screening", "publicity"):
        place.say("吴怀远", "POST", f"{path}/{voted}/step", to=step)
    place.clock.advance(timedelta(days=8))
    place.say("吴怀远", "POST", f"{path}/{voted}/step", to="assembly")
    public = place.say("李小梅", "POST", path, title="花园加长椅", text="荷花池边加三张长椅。")[
        "id"
    ]
    for step in ("screening", "publicity"):
        place.say("吴怀远", "POST", f"{path}/{public}/step", to=step)


@contextmanager
def served(place: Village) -> Iterator[str]:
    """The village's pages on a loopback port of their own."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(place.client.app, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's Chromium, or a skip that names what is missing."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed here")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, args=[*CHROMIUM, "--no-proxy-server"]
        )
        try:
            yield browser
        finally:
            browser.close()


def visit(
    browser: Any,
    site: str,
    cookies: dict[str, str],
    *,
    language: str = "zh",
    is_big: bool = False,
    **options: Any,
) -> Any:
    """A browser's own window for one reader, with what the reader chose."""
    calm = {"viewport": {"width": 360, "height": 740}, "reduced_motion": "reduce"}
    context = browser.new_context(**(calm | options))
    chosen = {"linli_language": language, "linli_big": "1" if is_big else "0"} | cookies
    context.add_cookies([{"name": k, "value": v, "url": site} for k, v in chosen.items()])
    return context


def wait_until(page: Any, expression: str) -> None:
    """Until this is true on the page. Playwright's own way needs eval, which our pages forbid."""
    for _ in range(WAIT_STEPS):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(WAIT_STEP_MS)
    raise AssertionError(f"never true: {expression}")
