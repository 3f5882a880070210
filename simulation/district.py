"""A district of real processes: the chain, the office, and the communities it has enrolled."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from federation.guard.sandbox import sandbox_problem
from node.kernel.process import installed_program as program
from simulation.house import House
from simulation.processes import Child, ProcessTree, endpoint, free_ports, python_module, until

NO_TRAINING = "none"
NAME_OF_DISTRICT = "示例片区 Demo district"
HEARTBEAT_SECONDS = 0.5  # a demonstration is impatient; a real node asks every 15 s
CHAIN_SECONDS = 0.5
JOIN_TIMEOUT_SECONDS = 90.0
MEMBERS_TIMEOUT_SECONDS = 90.0
STATUS_TIMEOUT_SECONDS = 10.0
COMMAND_START_SECONDS = 20.0
STEPS_PER_ROUND = 300  # a demonstration has few rounds, so they are long
PATIENCE_SECONDS = 60  # of a settlement round, with a community that does not answer

Json = dict[str, Any]


@dataclass(frozen=True)
class Contract:
    """Where the district settles."""

    rpc: str
    chain_id: int
    address: str


class District:
    """Everything between the first process and the last certificate."""

    def __init__(
        self,
        tree: ProcessTree,
        names: Sequence[str],
        *,
        has_training: bool,
        node_settings: Mapping[str, int | float] | None = None,
        databases: Mapping[str, str] | None = None,
    ) -> None:
        rpc, http, enrol, member, flower, *rest = free_ports(5 + 2 * len(names))
        self.tree = tree
        self.office_directory = tree.home / "office"
        self.office_url = f"http://{endpoint(http)}"
        self.rpc_url = f"http://{endpoint(rpc)}"
        self._rpc_port = rpc
        serve = [
            *(program("linli-district"), "serve", str(self.office_directory)),
            *("--http", endpoint(http), "--enrol", endpoint(enrol), "--member", endpoint(member)),
        ]
        serve += ["--superlink", endpoint(flower) if has_training else NO_TRAINING]
        self.office = tree.add("office", serve)
        self._chain: Child | None = None
        self._contract: Contract | None = None
        self.has_training = has_training
        self._databases = databases or {}  # by id; a file in the node's folder where none is said
        self.sandbox_problem = sandbox_problem()
        self._node_settings = {
            "heartbeat_seconds": HEARTBEAT_SECONDS,
            "chain_seconds": CHAIN_SECONDS,
            **(node_settings or {}),
        }
        self._office_client = httpx.AsyncClient(trust_env=False, timeout=STATUS_TIMEOUT_SECONDS)
        self.houses = [
            self._house(name, id_, http_port=ports[0], peer_port=ports[1])
            for name, id_, ports in zip(
                names, ids_of(names), zip(rest[::2], rest[1::2], strict=True), strict=True
            )
        ]

    def _house(self, name: str, id_: str, *, http_port: int, peer_port: int) -> House:
        directory = self.tree.home / f"node-{id_}"
        serve = [
            *(program("linli-node"), "serve", str(directory)),
            *("--http", endpoint(http_port), "--peer", endpoint(peer_port)),
        ]
        child = self.tree.add(f"node-{id_}", serve)
        database = self._databases.get(id_, "")
        return House(id_, name, directory, http_port, peer_port, child, self.tree, database)

    @property
    def chain(self) -> Child:
        """The chain's process, once `start_chain` has made it."""
        assert self._chain is not None
        return self._chain

    @property
    def contract(self) -> Contract:
        """The settlement contract, once `start_chain` has deployed it."""
        assert self._contract is not None
        return self._contract

    async def start_chain(self, *, step: str) -> None:
        """The embedded chain, with gas money for the office, and the contract on it."""
        made = await self._office(
            "init", "--name", NAME_OF_DISTRICT, "--rpc", self.rpc_url, step=step
        )
        self._chain = self.tree.add(
            "devchain",
            python_module(
                "contracts.devchain",
                *("--data", str(self.tree.home / "devchain.sqlite")),
                *("--rpc", endpoint(self._rpc_port), "--fund", made["relay_address"]),
            ),
        )
        await self._chain.start(step=step)
        deployed = await self._office("deploy", step=step)
        self._contract = Contract(
            self.rpc_url, int(self._chain.ready["chain_id"]), str(deployed["contract"])
        )

    async def enrol(self, *, step: str) -> None:
        """The office and all nodes serve, and every node is a member with keys of its own."""
        await self.office.start(step=step)
        invitations = await asyncio.gather(
            *(self._invite(house, step=step) for house in self.houses)
        )
        joining = [
            asyncio.create_task(self._join(house, text, step=step))
            for house, text in zip(self.houses, invitations, strict=True)
        ]
        try:
            await self._until_all_wait(joining, step=step)
            await self._office("approve", "--all", step=step)
            await asyncio.gather(*joining)
        finally:
            for one in joining:
                one.cancel()
        await asyncio.gather(*(house.start(step=step) for house in self.houses))

    async def _invite(self, house: House, *, step: str) -> str:
        """A node's own folder and database, and the office's invitation to it."""
        answers = await asyncio.gather(
            house.node(
                "init", "--name", house.name, "--database", house.database, "--json", step=step
            ),
            self._office("invite", "--community", house.id, "--name", house.name, step=step),
        )
        self._configure(house)
        return str(answers[1]["invitation"])

    async def _join(self, house: House, invitation: str, *, step: str) -> None:
        """The node makes its keys and asks; this ends when the office has approved."""
        await house.node(
            "join",
            *("--invitation", invitation, "--peer", endpoint(house.peer_port), "--json"),
            step=step,
            timeout_seconds=JOIN_TIMEOUT_SECONDS,
        )

    async def _until_all_wait(self, joining: Sequence["asyncio.Task[None]"], *, step: str) -> None:
        wanted = {house.id for house in self.houses}

        async def look() -> bool | None:
            for one in joining:
                if one.done():
                    one.result()  # an early end is a refusal: let it speak
            status = await self._status()
            return wanted <= set(status["waiting"]) or None

        await until(
            look,
            what="office: not every community has asked to join",
            step=step,
            log=self.office.log,
            timeout_seconds=JOIN_TIMEOUT_SECONDS,
        )

    def _configure(self, house: House) -> None:
        """What an operator would write into node.toml: the chain, and a demonstration's haste."""
        file = house.directory / "node.toml"
        content = file.read_text(encoding="utf-8")
        wanted: dict[str, str | bool | int | float] = {
            "rpc": self.rpc_url,
            "training": self.has_training,
            "sandbox": self.sandbox_problem is None,  # its own code, said plainly in the output
            **self._node_settings,
        }
        for name, value in wanted.items():
            content = re.sub(rf"(?m)^{name} = .*$", f"{name} = {json.dumps(value)}", content)
        file.write_text(content, encoding="utf-8")

    async def until_all(self, is_so: Callable[[Json], bool], *, what: str, step: str) -> list[Json]:
        """Wait until something is so of every community, as the office sees it; what it sees."""

        async def look() -> list[Json] | None:
            status = await self._status()
            known = {one["id"]: one for one in status["communities"]}
            ours = [known.get(house.id) for house in self.houses]
            found = [one for one in ours if one is not None and is_so(one)]
            return found if len(found) == len(self.houses) else None

        return await until(
            look,
            what=f"office: {what}",
            step=step,
            log=self.office.log,
            timeout_seconds=MEMBERS_TIMEOUT_SECONDS,
        )

    async def _status(self) -> Json:
        """The office's own view; empty communities while it is being started again."""
        try:
            answer = await self._office_client.get(f"{self.office_url}/api/status")
        except httpx.TransportError:
            return {"communities": [], "waiting": []}
        status: Json = answer.json()
        return status

    async def numbers(self, *, step: str) -> dict[str, int]:
        """Each community's number on the chain by its id, once all are there."""
        found = await self.until_all(
            lambda one: bool(one["on_chain"]), what="not everybody is on the chain", step=step
        )
        return {one["id"]: int(one["number"]) for one in found}

    async def settle(self, *, step: str, timeout_seconds: float) -> Json:
        """One settlement round, to its end."""
        return await self._office(
            "settle",
            *("--collect-seconds", str(PATIENCE_SECONDS)),
            *("--signing-seconds", str(PATIENCE_SECONDS)),
            *("--wait-seconds", str(int(timeout_seconds))),
            step=step,
            timeout_seconds=timeout_seconds + COMMAND_START_SECONDS,
        )

    async def train(self, *, rounds: int, step: str, timeout_seconds: float) -> Json:
        """One training run, to its end."""
        return await self._office(
            "train",
            *("--rounds", str(rounds), "--local-steps", str(STEPS_PER_ROUND)),
            *("--min-nodes", str(len(self.houses))),
            *("--wait-seconds", str(int(timeout_seconds))),
            step=step,
            timeout_seconds=timeout_seconds + COMMAND_START_SECONDS,
        )

    async def _office(self, command: str, *arguments: str, step: str, **more: float) -> Json:
        return await self.tree.command(
            "linli-district",
            command,
            str(self.office_directory),
            *arguments,
            "--json",
            step=step,
            **more,
        )

    async def close(self) -> None:
        await asyncio.gather(
            self._office_client.aclose(), *(house.close() for house in self.houses)
        )


def ids_of(names: Sequence[str]) -> list[str]:
    """Short names for the wire: the community's own where it is plain, else a number."""
    plain = [re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:30].strip("-") for name in names]
    return [
        name if name and plain.count(name) == 1 else f"community-{number}"
        for number, name in enumerate(plain, start=1)
    ]
