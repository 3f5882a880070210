"""The embedded chain: an EVM in one SQLite file behind JSON-RPC on loopback, for many processes.

One operator and no consensus: whoever runs it can stop it or roll its file back, so it proves
nothing to anybody who does not trust that operator. It is for demonstrations, tests and a
district's first months; a district in earnest points the same client at a permissioned network
(Besu QBFT, four validators or more).

A block is made for each transaction and is on disk before the sender hears of it; kill -9 loses
nothing that was acknowledged. Blocks carry whole seconds and must ascend, so a burst of more than
one transaction a second runs the chain's clock ahead of the wall's until a pause lets it catch up.
Back it up with `sqlite3 FILE ".backup COPY"`, also while it runs.
"""

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contracts.rpc import Rpc

CHAIN_ID = 20260
REQUEST_BYTES_MAX = 1024 * 1024
BATCH_CALLS_MAX = 100
CONNECTIONS_MAX = 128
IDLE_TIMEOUT_SECONDS = 120.0
LOOPBACK = ("127.0.0.1", "localhost")


class StartRefused(Exception):
    """The chain cannot start as asked; nothing was changed."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class DevchainServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], *, rpc: "Rpc") -> None:
        self.rpc = rpc
        self.lock = threading.Lock()
        self.free_connections = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self.free_connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free_connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up in the middle is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet per answer, headers and body together
    timeout = IDLE_TIMEOUT_SECONDS
    server: DevchainServer

    def do_POST(self) -> None:
        # A browser names its page's origin; no page has business with a chain on loopback.
        if self.headers.get("Origin"):
            return self._reply(403, _refusal(None, -32600, "browsers are not served"))
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > REQUEST_BYTES_MAX:
            self.close_connection = True
            sentence = f"a request has at most {REQUEST_BYTES_MAX} bytes"
            return self._reply(413, _refusal(None, -32600, sentence))
        try:
            request = json.loads(self.rfile.read(int(length)))
        except ValueError:
            return self._reply(400, _refusal(None, -32700, "not JSON"))
        if not isinstance(request, list):
            return self._reply(200, self._answer(request))
        if len(request) > BATCH_CALLS_MAX:
            sentence = f"a batch has at most {BATCH_CALLS_MAX} calls"
            return self._reply(200, _refusal(None, -32600, sentence))
        return self._reply(200, [self._answer(one) for one in request])

    def _answer(self, request: object) -> dict[str, Any]:
        from contracts.rpc import RpcError

        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _refusal(None, -32600, "not a JSON-RPC request")
        identity, params = request.get("id"), request.get("params", [])
        if not isinstance(params, list):
            return _refusal(identity, -32602, "params must be a list")
        try:
            with self.server.lock:
                result = self.server.rpc.answer(request["method"], params)
        except RpcError as error:
            return _refusal(identity, error.number, error.sentence, error.data)
        except Exception as error:  # our bug: the caller hears of it, the chain lives on
            _say("devchain.internal", f"{request['method']}: {error!r}")
            return _refusal(identity, -32603, "internal error")
        return {"jsonrpc": "2.0", "id": identity, "result": result}

    def _reply(self, status: int, body: object) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: Any) -> None:
        """One line per request would drown what matters."""


def _refusal(
    identity: object, number: int, sentence: str, data: str | None = None
) -> dict[str, Any]:
    error: dict[str, Any] = {"code": number, "message": sentence}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": identity, "error": error}


def serve(*, data: Path, host: str, port: int, chain_id: int, funded: Sequence[bytes]) -> None:
    """Serves until SIGTERM or SIGINT; prints one ready line when it listens."""
    from contracts.evm import ChainFileError, DurableChain
    from contracts.rpc import Rpc

    try:
        chain = DurableChain(data, chain_id=chain_id, funded=funded, clock=time.time)
    except ChainFileError as error:
        raise StartRefused(error.code, str(error)) from error
    try:
        server = DevchainServer((host, port), rpc=Rpc(chain))
    except OSError as error:
        chain.close()
        raise StartRefused(
            "devchain.port_in_use", f"{host}:{port} cannot be listened on: {error.strerror}."
        ) from error
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the loop that this handler interrupts, hence the thread.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    ready = {"ready": True, "rpc": f"http://{host}:{server.server_port}", "chain_id": chain_id}
    print(json.dumps(ready), flush=True)  # noqa: T201 the one line that a parent waits for
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        with server.lock:  # a block that is being made is finished first
            server.server_close()
            chain.close()


def _say(code: str, sentence: str) -> None:
    print(f"{code}: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 a command speaks


def _address(value: str) -> bytes:
    raw = bytes.fromhex(value.removeprefix("0x"))
    if len(raw) != 20:
        raise ValueError
    return raw


def _endpoint(value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError
    return host, int(port)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m contracts.devchain",
        description="An EVM chain in one SQLite file, JSON-RPC on loopback. One operator, no "
        "consensus: for demonstrations, tests and first months, not for parties who distrust "
        "each other.",
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FILE.sqlite", help="made if missing"
    )
    parser.add_argument(
        "--rpc",
        type=_endpoint,
        default=("127.0.0.1", 8545),
        metavar="HOST:PORT",
        help="where to listen, loopback only; port 0 takes a free one (127.0.0.1:8545)",
    )
    parser.add_argument(
        "--chain-id",
        type=int,
        default=CHAIN_ID,
        metavar="N",
        help=f"the chain's own number, kept with the file ({CHAIN_ID})",
    )
    parser.add_argument(
        "--fund",
        type=_address,
        action="append",
        default=[],
        metavar="0xADDRESS",
        help="give this address gas money in the first block; only a new file listens to it",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    host, port = arguments.rpc
    try:
        if host not in LOOPBACK:
            raise StartRefused(
                "devchain.not_loopback", f"{host} is not loopback; this chain has no guard at all."
            )
        serve(
            data=arguments.data,
            host=host,
            port=port,
            chain_id=arguments.chain_id,
            funded=arguments.fund,
        )
    except StartRefused as error:
        _say(error.code, str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
