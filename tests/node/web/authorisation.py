"""One of everything that somebody owns, and who gets in where: for the matrix of routes and roles.

Nothing that a request writes is kept: its command runs and is undone, so that one house serves
every route and every caller, and an answer depends on nothing but who asks.
"""

import itertools
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid5

from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy.orm import Session

from node import migrations, settings
from node.app import Node
from node.council.model import Motion
from node.exchange.model import Dispute, Gift, GiftCode, Pass, ReceiptRecord, Reversal, Visit
from node.kernel.clock import VirtualClock
from node.kernel.db import Base
from node.kernel.ids import derived_id, new_id
from node.notices.model import Notice
from node.points.model import Redemption
from node.residents import service as residents
from node.residents.model import Proxy
from node.residents.rules import Role
from node.timebank.model import Exchange
from node.web.session import SIGN_IN_COOKIE, VISIT_COOKIE, form_token

CALLERS = ("nobody", "owner", "stranger", "clerk", "property", "social", "secretary", "operator")
ROLES: Mapping[str, Sequence[Role]] = {
    "clerk": (Role.CLERK,),
    "property": (Role.PROPERTY,),
    "social": (Role.SOCIAL_WORKER,),
    "secretary": (Role.SECRETARY,),
    "operator": (Role.OPERATOR,),
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWNER = derived_id("matrix", "owner")
OWNED: dict[str, object] = {
    "resident_id": OWNER,
    "request_id": 1,
    "kept_id": 1,
    "pass_id": derived_id("matrix", "pass"),
    "gift_id": derived_id("matrix", "gift"),
    "reversal_id": derived_id("matrix", "reversal"),
    "redemption_id": derived_id("matrix", "redemption"),
    "notice_id": derived_id("matrix", "notice"),
    "exchange_id": derived_id("matrix", "exchange"),
    "proxy_id": derived_id("matrix", "proxy"),
}
"""What the owner has, by its name in the routes."""

PARAMETERS: dict[str, object] = OWNED | {
    "motion_id": derived_id("matrix", "motion"),
    "dispute_id": derived_id("matrix", "dispute"),
    "code": "c01-ABCD2345",
    "day": "2026-01-02",
    "month": "2026-01",
    "category": "plumbing",
    "resource": "services.json",
    "kind": "requests",
    "act": "ask",
    "act_name": "accept",
    "answer": "sign",
    "path": "openapi.json",
    "file_path": "linli.css",
}


class _Undone(Exception):
    def __init__(self, result: Any) -> None:
        self.result = result


class ForgetfulDatabase:
    """A database whose commands run and are undone; `has_written` says that one ran to its end."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.has_written = False
        self.forgets = True

    async def run(self, command: Callable[[Session], Any], **needs: Any) -> Any:
        """The command's result, though nothing of it is kept."""
        if not self.forgets:
            return await self._real.run(command, **needs)

        def run_and_undo(session: Session) -> None:
            result = command(session)
            session.flush()
            raise _Undone(result)

        try:
            await cast(Awaitable[Any], self._real.run(run_and_undo))
        except _Undone as undone:
            self.has_written = True
            return undone.result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Doors:
    """A house with one of everything, at which each caller knocks."""

    def __init__(
        self, node: Node, client: TestClient[Litestar], roles: Mapping[str, Sequence[Role]]
    ) -> None:
        self.client = client
        self.database = ForgetfulDatabase(node.database)
        self.secrets = node.database.do(lambda session: _furnish(session, node, roles))
        self.schema = json.loads(client.get("/api/schema/openapi.json").content)
        node.database = self.database  # type: ignore[assignment]  # the same to those who use it

    def routes(self) -> list[tuple[str, str]]:
        """Every method and path pattern of the site."""
        pairs = [
            (method, route.path_format)
            for route in self.client.app.routes
            for method in METHODS
            if method in getattr(route, "methods", {"GET"})
        ]
        return sorted(set(pairs), key=lambda pair: (pair[1], pair[0]))

    def who_gets_in(self, method: str, path: str) -> list[str]:
        """The callers who are served, or refused for another reason than who they are."""
        return [caller for caller in CALLERS if self._opens(method, path, caller)]

    def _opens(self, method: str, path: str, caller: str) -> bool:
        self.database.has_written = False
        answer = self._ask(method, _filled(path), path, self.secrets.get(caller, ""))
        goes_to_sign_in = answer.headers.get("location", "").startswith("/sign-in")
        assert answer.status_code < 500, f"{method} {path} by {caller}: {answer.text[:300]}"
        return self.database.has_written or not (
            answer.status_code in (401, 403, 404) or (goes_to_sign_in and path != "/sign-out")
        )

    def _ask(self, method: str, where: str, path: str, secret: str) -> Any:
        self.client.cookies.clear()
        headers = {"Idempotency-Key": str(new_id())}
        if path.startswith("/api/"):
            if secret:
                headers["Authorization"] = f"Bearer {secret}"
            said = self.schema["paths"].get(path, {}).get(method.lower(), {})
            needed = [one for one in said.get("parameters", ()) if one.get("required")]
            query = {
                str(one["name"]): str(PARAMETERS.get(one["name"], self._value(one["schema"])))
                for one in needed
                if one["in"] == "query"
            }
            return self.client.request(
                method,
                where,
                params=query,
                json=self._example(said),
                headers=headers,
                follow_redirects=False,
            )
        self.client.cookies.set(VISIT_COOKIE, "visit")
        if secret:
            self.client.cookies.set(SIGN_IN_COOKIE, secret)
        form = {"csrf": form_token(visit="visit", sign_in=secret)} if method != "GET" else None
        return self.client.request(method, where, data=form, follow_redirects=False)

    def _example(self, said: Mapping[str, Any]) -> Any:
        """The smallest body that the API's own description allows."""
        media = said.get("requestBody", {}).get("content", {}).get("application/json")
        return None if media is None else self._value(media["schema"])

    def _value(self, schema: Mapping[str, Any]) -> Any:
        if "$ref" in schema:
            return self._value(self.schema["components"]["schemas"][schema["$ref"].split("/")[-1]])
        for several in ("oneOf", "anyOf", "allOf"):
            if several in schema:
                return self._value(schema[several][0])
        if "enum" in schema or "const" in schema:
            return schema["const"] if "const" in schema else schema["enum"][0]
        kind = str(schema.get("type"))
        if kind == "object":
            needed = schema.get("required", ())
            return {name: self._value(schema["properties"][name]) for name in needed}
        if kind == "array":
            return [self._value(schema["items"])] if schema.get("minItems") else []
        if kind == "string":
            formats = {"uuid": str(OWNER), "date-time": "2026-02-01T00:00:00Z"}
            formats |= {"date": "2026-02-01"}
            return formats.get(schema.get("format", ""), "x" * schema.get("minLength", 1))
        plain = {"integer": schema.get("minimum", 1), "number": 1.0, "boolean": True}
        return plain.get(kind)


@contextmanager
def doors(directory: Path, roles: Mapping[str, Sequence[Role]] = ROLES) -> Iterator[Doors]:
    """The whole site over a furnished house; `roles` by the caller's name."""
    made = settings.create(directory, name="梅园", database="")
    migrations.migrate(made.database_url)
    node = Node(made, clock=VirtualClock(NOW))
    real, times = node.database, itertools.count()
    site = node.web()
    site.state.limiter.seconds = lambda: next(times) * 3_600.0  # nobody knocks too often here
    try:
        with TestClient(site, raise_server_exceptions=False) as client:
            yield Doors(node, client, roles)
    finally:
        real.close()


def _furnish(session: Session, node: Node, roles: Mapping[str, Sequence[Role]]) -> dict[str, str]:
    """Callers who are signed in, and one of everything for the owner; their secrets by name."""
    ids = {name: OWNER if name == "owner" else derived_id("matrix", name) for name in CALLERS[1:]}
    secrets = {}
    for number, (name, resident_id) in enumerate(ids.items()):
        phone = f"1390000{number:04}"
        residents.join(session, node.clock, resident_id=resident_id, name=name, phone=phone)
        for role in roles.get(name, ()):
            residents.grant(session, node.clock, resident_id=resident_id, role=role)
        secret = residents.sign_in(
            session, node.clock, token_id=new_id(), phone=phone, resident_id=resident_id
        )
        assert secret is not None
        secrets[name] = secret
    _make_rows(session, node)
    return secrets


def _make_rows(session: Session, node: Node) -> None:
    from node.repairs import service as repairs

    repairs.report(
        session,
        node.clock,
        key=new_id(),
        reporter_id=OWNER,
        recorded_by=str(OWNER),
        title="tap",
        description="drips",
        location="3-2-501",
    )
    kept = PARAMETERS
    for model, values in (
        (Pass, {"id": kept["pass_id"], "state": "issued", "code": "PASS2345"}),
        (Gift, {"id": kept["gift_id"], "state": "sent"}),
        (GiftCode, {"code": "ABCD2345"}),
        (Reversal, {"id": kept["reversal_id"], "state": "asked"}),
        (
            Redemption,
            {"id": kept["redemption_id"], "state": "reserved", "item_code": "parking_month"},
        ),
        (Notice, {"id": kept["notice_id"], "resident_id": OWNER, "details": "{}"}),
        (
            Proxy,
            {
                "id": kept["proxy_id"],
                "elder_id": OWNER,
                "scope": "repairs",
                "evidence": "self",
                "helper_id": derived_id("matrix", "operator"),
            },
        ),
        (
            Exchange,
            {
                "id": kept["exchange_id"],
                "receiver_id": OWNER,
                "state": "requested",
                "service": "companionship",
                "provider_id": derived_id("matrix", "clerk"),
            },
        ),
        (Visit, {"id": kept["exchange_id"], "provider_id": OWNER, "state": "presented"}),
        (ReceiptRecord, {"exchange_id": kept["exchange_id"]}),
        (
            Dispute,
            {"id": kept["dispute_id"], "exchange_id": kept["exchange_id"], "state": "opened"},
        ),
        (Motion, {"id": kept["motion_id"], "step": "collecting", "matter": "residents_ordinary"}),
    ):
        session.add(_row(session, model, **values))
        session.flush()


def _row(session: Session, model: type[Base], **values: Any) -> Base:
    """A row with these values, the owner's, and anything that fits in all other columns."""
    for column in model.__table__.columns:
        name = column.name
        if name in values or column.nullable or column.default is not None:
            continue
        if name in ("resident_id", "author_id", "reporter_id"):
            values[name] = OWNER
        elif column.foreign_keys:
            [key] = column.foreign_keys
            values[name] = _any_id(session, key.column.table, key.column.name)
        elif not (column.primary_key and column.type.python_type is int):
            values[name] = _anything(name, column.type)
    return model(**values)


def _any_id(session: Session, table: Any, name: str) -> Any:
    """The id of a row there, made if there is none."""
    found = session.execute(table.select().limit(1)).mappings().first()
    if found is not None:
        return found[name]
    [model] = [one.class_ for one in Base.registry.mappers if one.local_table is table]
    row = _row(session, model)
    session.add(row)
    session.flush()
    return getattr(row, name)


def _anything(name: str, kind: Any) -> Any:
    plain = getattr(kind, "impl_instance", kind).python_type
    made: dict[type, Any] = {
        str: "open" if name in ("state", "status") else "x",
        int: 1,
        bool: False,
        bytes: b"x",
        float: 1.0,
        UUID: uuid5(OWNER, name),
        datetime: NOW + timedelta(days=1),
        dict: {},
        list: [],
    }
    return made.get(plain, (NOW + timedelta(days=1)).date())


def _filled(path: str) -> str:
    """The pattern with the furnished house's own ids in it."""
    parts = []
    for part in path.split("/"):
        name = part.strip("{}").partition(":")[0] if part.startswith("{") else ""
        known = PARAMETERS.get(name, derived_id("matrix", name))
        parts.append(str(known) if name else part)
    return "/".join(parts)
