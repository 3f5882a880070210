"""Inside the sandbox: read one task, run the app once, write one answer, end.

This file is run by a bare interpreter, away from everything of the node. It takes bundle, message
and files over a pipe and gives the answer over another; it is trusted until it imports the app,
and nothing that it says afterwards is believed (see replies.py). The guard imports it too, for the
form of what goes over the pipes.
"""

import ctypes
import importlib
import io
import json
import os
import resource
import signal
import struct
import sys
import traceback
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Blobs = dict[str, bytes]
LENGTH = struct.Struct(">Q")
TEXT_CHARACTERS_MAX = 4000
DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def packed(blobs: Mapping[str, bytes]) -> bytes:
    """Named bytes as one piece: a line of names and sizes, then the bytes."""
    header = json.dumps([[name, len(content)] for name, content in blobs.items()])
    return b"".join([header.encode(), b"\n", *blobs.values()])


def unpacked(content: bytes) -> Blobs:
    """What `packed` made; ValueError if it is anything else."""
    header, found, _ = content.partition(b"\n")
    entries = json.loads(header) if found else None
    if not isinstance(entries, list):
        raise ValueError("no list of names")
    blobs: Blobs = {}
    at = len(header) + 1
    for entry in entries:
        name, size = entry
        if type(name) is not str or type(size) is not int or not 0 <= size <= len(content) - at:
            raise ValueError("names and sizes do not fit")
        blobs[name] = content[at : at + size]
        at += size
    return blobs


def main() -> None:
    """Obey argv's orders: limits first, then wait for the task with everything imported."""
    orders: dict[str, Any] = json.loads(sys.argv[1])
    _limit(orders["limits"])
    answer_pipe = os.dup(1)
    os.dup2(2, 1)  # whatever the app prints is no answer
    sys.path += orders["site"]
    for name in orders["warm"]:
        importlib.import_module(name)
    size = LENGTH.unpack(_exactly(LENGTH.size))[0]
    task = unpacked(_exactly(size))
    answer = packed(_answer(task, Path(orders["home"])))
    with os.fdopen(answer_pipe, "wb") as pipe:
        pipe.write(LENGTH.pack(len(answer)) + answer)
    os._exit(0)


def _limit(limits: Mapping[str, int]) -> None:
    """Hard limits of the kernel: what comes later cannot raise them again."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)
    kinds = {
        "cpu_seconds": resource.RLIMIT_CPU,
        "memory_bytes": resource.RLIMIT_DATA,
        "processes": resource.RLIMIT_NPROC,
        "scratch_bytes": resource.RLIMIT_FSIZE,
    }
    for name, kind in kinds.items():
        if name in limits:
            resource.setrlimit(kind, (limits[name], limits[name]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _exactly(size: int) -> bytes:
    content = sys.stdin.buffer.read(size)
    if len(content) != size:
        os._exit(0)  # the guard has no task for this child
    return content


def _answer(task: Blobs, home: Path) -> Blobs:
    try:
        return _run(task, home)
    except BaseException as failure:  # also SystemExit: an app may not end without a word
        return {
            "error": type(failure).__name__.encode(),
            "code": str(getattr(failure, "code", "")).encode(errors="replace"),
            "text": traceback.format_exc()[-TEXT_CHARACTERS_MAX:].encode(errors="replace"),
        }


def _run(task: Blobs, home: Path) -> Blobs:
    from flwr.clientapp.utils import get_load_client_app_fn
    from flwr.common.serde import (
        context_from_proto,
        message_from_proto,
        recorddict_to_proto,
    )
    from flwr.proto.message_pb2 import Context, Message

    about = json.loads(task["about"])
    app_folder, vault = home / "app", home / "vault"
    with zipfile.ZipFile(io.BytesIO(task["bundle"])) as bundle:
        bundle.extractall(app_folder)
    context = context_from_proto(Context.FromString(task["context"]))
    context.node_config.clear()
    context.node_config.update(about["values"])
    for name in about["files"]:
        path = home / name
        path.write_bytes(task[f"file/{name}"])
        context.node_config[name] = str(path)
    vault.mkdir(mode=0o700)
    for name, content in unpacked(task["vault"]).items() if task["vault"] else ():
        (vault / name).write_bytes(content)
    for name in about["marks"]:
        (vault / name).touch()
    context.node_config["vault"] = str(vault)
    context.node_config["left"] = str(home / "left.jsonl")  # the guard writes the true one
    message = message_from_proto(Message.FromString(task["message"]))
    message.metadata.__dict__["_message_id"] = about["message_id"]
    load = get_load_client_app_fn(default_app_ref="", app_path=str(app_folder), multi_app=True)
    reply = load(about["fab_id"], about["fab_version"], about["fab_hash"])(message, context)
    kept = {path.name: path.read_bytes() for path in sorted(vault.iterdir()) if path.is_file()}
    return {
        "content": recorddict_to_proto(reply.content).SerializeToString(),
        "state": recorddict_to_proto(context.state).SerializeToString(),
        "vault": packed({name: content for name, content in kept.items() if content}),
    }


if __name__ == "__main__":
    main()
