"""A community's node as its residents and its operator know it: an address, tokens, commands."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from simulation.processes import Child, ProcessTree, endpoint

ANSWER_TIMEOUT_SECONDS = 30.0
PATIENCE_SECONDS = 60.0  # with a node that was killed and is being started again
PAUSE_SECONDS = 0.2
AGAIN = frozenset({429, 502, 503, 504})
OPERATOR, STAFF = "operator", "staff"
STEP = "requests"  # of a house nobody has given a step


@dataclass
class House:
    """One community: its folder, its process, and how to speak to it over HTTP."""

    id: str  # in the district: ASCII, lower case
    name: str  # in the panel, and on the pages
    directory: Path
    http_port: int
    peer_port: int
    child: Child
    tree: ProcessTree
    database: str = ""  # its URL; empty: a file in the folder
    tokens: dict[str, str] = field(default_factory=dict)
    _client: httpx.AsyncClient | None = None

    @property
    def url(self) -> str:
        return f"http://{endpoint(self.http_port)}"

    async def node(self, command: str, *arguments: str, step: str, **more: float) -> dict[str, Any]:
        """Run `linli-node COMMAND DIR …`."""
        return await self.tree.command(
            "linli-node", command, str(self.directory), *arguments, step=step, **more
        )

    async def start(self, *, step: str) -> None:
        """Serve, and make a token for its operator."""
        token, _ = await asyncio.gather(
            self.node("token", "--role", OPERATOR, "--json", step=step),
            self.child.start(step=step),
        )
        self.tokens[OPERATOR] = token["token"]

    async def sign_in(self, *, phone: str, pin: str, step: str) -> None:
        """From now on requests come from this member of staff, unless they name another role."""
        path, body = "/api/sessions", {"phone": phone, "pin": pin}
        self.tokens[STAFF] = (await self.post(path, body, role=OPERATOR, step=step))["token"]

    async def get(self, path: str, *, role: str = STAFF, step: str = STEP) -> Any:
        """Read something; waits for a node that is being started again."""
        return await self._ask("GET", path, role=role, step=step)

    async def post(
        self,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        role: str = STAFF,
        acting_for: str = "",
        key: UUID | None = None,
        step: str = STEP,
        timeout_seconds: float = ANSWER_TIMEOUT_SECONDS,
    ) -> Any:
        """Do something once, however often it takes to be heard: the key stays the same."""
        return await self._ask(
            "POST",
            path,
            role=role,
            acting_for=acting_for,
            body=body,
            key=key or uuid4(),
            step=step,
            timeout_seconds=timeout_seconds,
        )

    async def put(self, path: str, body: dict[str, Any], *, step: str = STEP) -> Any:
        """Change something as staff."""
        return await self._ask("PUT", path, role=STAFF, body=body, step=step)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        role: str,
        step: str,
        acting_for: str = "",
        body: dict[str, Any] | None = None,
        key: UUID | None = None,
        timeout_seconds: float = ANSWER_TIMEOUT_SECONDS,
    ) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        if key is not None:
            headers["Idempotency-Key"] = str(key)
        if acting_for:
            headers["X-Acting-For"] = acting_for
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = await self._http().request(
                    method, path, headers=headers, json=body, timeout=timeout_seconds
                )
            except httpx.TransportError as error:
                reason = f"{method} {path}: {type(error).__name__}"
            else:
                if answer.is_success:
                    return answer.json() if answer.content else None
                reason = f"{method} {path}: {answer.status_code} {_said(answer)}"
                if answer.status_code not in AGAIN:
                    raise self.child.failed(step, reason)
            if time.monotonic() > deadline:
                raise self.child.failed(step, reason)
            await asyncio.sleep(PAUSE_SECONDS)

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            # Of the caller's environment nothing counts: a proxy would see our residents' words.
            self._client = httpx.AsyncClient(base_url=self.url, trust_env=False)
        return self._client


def _said(answer: httpx.Response) -> str:
    """A problem's code and sentence, or the beginning of whatever came."""
    try:
        problem = answer.json()
        return f"{problem.get('code', '')} {problem.get('detail', '')}".strip()
    except (ValueError, AttributeError):
        return answer.text[:200]
