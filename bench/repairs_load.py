"""A small load generator in a process of its own: keep-alive connections, one request each.

Both opponents get the same one. It speaks just enough HTTP/1.1 to be cheaper than what it
measures: requests are bytes made beforehand, and of an answer it reads status and length.
"""

import json
import multiprocessing
import selectors
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

READ_BYTES = 262_144
WAIT_SECONDS_MAX = 60.0
Make = Callable[[int], bytes]  # the n-th request of this load


@dataclass(frozen=True)
class Load:
    """What came of it: answers a second, and how long one waited."""

    rate: float
    p50_ms: float
    p99_ms: float


@dataclass
class _Line:
    """One connection and the answer it waits for."""

    sock: socket.socket
    began: float = 0.0
    received: bytes = b""


def load(port: int, make: Make, *, connections: int, seconds: float, status: int) -> Load:
    """Ask as fast as the answers come, for so long; raises if any answer is another one."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    arguments = (theirs, port, make, connections, seconds, status)
    process = context.Process(target=_run, args=arguments, daemon=True)
    process.start()
    theirs.close()
    try:
        found = ours.recv() if ours.poll(seconds + WAIT_SECONDS_MAX) else "no answer in time"
    finally:
        process.join(1)
        process.kill()
    if isinstance(found, str):
        raise RuntimeError(found)
    return Load(*found)


def _run(
    pipe: Connection, port: int, make: Make, connections: int, seconds: float, status: int
) -> None:
    try:
        waits = _ask(port, make, connections=connections, seconds=seconds, status=status)
        cuts = statistics.quantiles(waits, n=100)
        pipe.send((len(waits) / seconds, 1_000 * cuts[49], 1_000 * cuts[98]))
    except Exception as failure:
        pipe.send(f"{type(failure).__name__}: {failure}")


def _ask(port: int, make: Make, *, connections: int, seconds: float, status: int) -> list[float]:
    expected, waits, number = f"HTTP/1.1 {status} ".encode(), [], 0
    with selectors.DefaultSelector() as selector:
        lines = [_Line(socket.create_connection(("127.0.0.1", port))) for _ in range(connections)]
        for line in lines:
            line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(line.sock, selectors.EVENT_READ, line)
        started = time.perf_counter()
        for line in lines:
            _send(line, make(number))
            number += 1
        while (now := time.perf_counter()) - started < seconds:
            for key, _events in selector.select(timeout=1.0):
                line = key.data
                if not _is_whole(line):
                    continue
                if not line.received.startswith(expected):
                    raise RuntimeError(line.received[:300].decode("utf-8", "replace"))
                now = time.perf_counter()
                waits.append(now - line.began)
                line.received = b""
                _send(line, make(number))
                number += 1
        for line in lines:
            line.sock.close()
    return waits


def _send(line: _Line, request: bytes) -> None:
    line.began = time.perf_counter()
    line.sock.sendall(request)


def _is_whole(line: _Line) -> bool:
    """Read what is there; is the answer complete?"""
    got = line.sock.recv(READ_BYTES)
    if not got:
        raise RuntimeError("the server closed a connection")
    line.received += got
    head, split, body = line.received.partition(b"\r\n\r\n")
    if not split:
        return False
    start = head.lower().index(b"content-length:") + 15
    return len(body) >= int(head[start:].split(b"\r\n", 1)[0])


def request(
    method: str, path: str, *, headers: dict[str, str], body: dict[str, Any] | None = None
) -> bytes:
    """A request as bytes."""
    content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


def pages(count: int) -> Iterator[int]:
    """The first pages in an order that no cache of one page would help."""
    return (1 + 7 * number % count for number in range(count))
