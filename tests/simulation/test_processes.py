"""One tree of processes: ready, killed, started again, frozen, ended together, told of failures."""

import asyncio
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from simulation.processes import HOST, PORTS, ProcessTree, free_ports, until
from simulation.refusals import StepFailed

SERVER = """
import json, os, signal, sys, time
print("not the line that is waited for", flush=True)
print(json.dumps({"ready": True, "pid": os.getpid()}), flush=True)
time.sleep(60)
"""


def server(code: str = SERVER) -> list[str]:
    return [sys.executable, "-c", code]


def test_ports_are_different_free_and_not_lent_to_others() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert set(ports) <= set(PORTS)
    with socket.socket() as listener:
        listener.bind((HOST, ports[0]))


def test_a_child_is_killed_started_again_and_ended_with_its_tree(tmp_path: Path) -> None:
    async def play() -> int:
        async with ProcessTree(tmp_path) as tree:
            child = tree.add("server", server())
            await child.start(step="test")
            first = child.ready["pid"]
            assert first == child.pid
            await child.kill()
            assert child.pid is None
            await child.start(step="test")
            assert child.pid not in (None, first)
            assert child.starts == 2
            return int(child.ready["pid"])

    last = asyncio.run(play())
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


def test_a_failure_in_the_middle_ends_everything_too(tmp_path: Path) -> None:
    pids = []

    async def play() -> None:
        async with ProcessTree(tmp_path) as tree:
            for name in ("one", "two"):
                child = tree.add(name, server())
                await child.start(step="test")
                pids.append(child.ready["pid"])
            raise StepFailed(step="test", process="two", reason="as wished.", log="none")

    with pytest.raises(StepFailed):
        asyncio.run(play())
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_child_that_ends_at_once_says_why_and_where_to_read_on(tmp_path: Path) -> None:
    async def play() -> None:
        async with ProcessTree(tmp_path) as tree:
            code = "import sys; sys.exit('the port is in use (node.port_in_use)')"
            await tree.add("server", server(code)).start(step="enrolment")

    with pytest.raises(StepFailed, match=r"enrolment: server failed: .*node.port_in_use.*See"):
        asyncio.run(play())


def test_a_command_is_heard_and_a_refused_one_is_quoted(tmp_path: Path) -> None:
    async def play() -> None:
        async with ProcessTree(tmp_path) as tree:
            status, output, _ = await tree.try_command("linli-node", "--help")
            assert status == 0
            assert "serve" in output
            missing = tree.command("linli-node", "audit", str(tmp_path / "none"), step="audit")
            with pytest.raises(StepFailed, match=r"linli-node audit failed: .*node.not_a_node"):
                await missing

    asyncio.run(play())


def test_a_frozen_child_goes_on_afterwards(tmp_path: Path) -> None:
    async def play() -> None:
        async with ProcessTree(tmp_path) as tree:
            child = tree.add("server", server())
            await child.start(step="test")
            with child.frozen():
                assert child.pid is not None
            began = time.monotonic()
            await child.stop()
            assert time.monotonic() - began < 5

    asyncio.run(play())


def test_waiting_is_bounded() -> None:
    async def never() -> None:
        return None

    async def play() -> None:
        await until(never, what="it is not so", step="test", log=Path("x.log"), timeout_seconds=0.2)

    with pytest.raises(
        StepFailed, match=r"test: waiting failed: it is not so, after 0 s\. See x.log"
    ):
        asyncio.run(play())
