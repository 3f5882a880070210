"""Apps for the guard to judge: the real one, and small ones that do what no app should."""

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from flwr.app import ConfigRecord, Context, RecordDict
from flwr.app.message import make_message
from flwr.app.metadata import Metadata
from flwr.cli.build import build_fab_from_files
from flwr.common.serde import context_to_proto, message_to_proto

from federation.bundle import build_bundle, packed_bundle
from federation.guard.child import Blobs
from federation.guard.judge import Task
from tests.federation.local_grid import RUN_CONFIG

PROJECT = """
[project]
name = "small"
version = "1.0.0"
description = "For a test"
dependencies = []
[tool.flwr.app]
publisher = "test"
[tool.flwr.app.components]
serverapp = "small.app:app"
clientapp = "small.app:app"
"""
PROGRAM = """
import json, os, socket, sys, time
from pathlib import Path
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()

def answer(message, found):
    content = RecordDict({"config": ConfigRecord({"found": json.dumps(found)})})
    return Message(content, reply_to=message)

@app.train()
def train(message, context):
"""
RUN_ID = 77
REAL = ("linli/linli-forecast", "1.1.0")


def small_bundle(body: str) -> bytes:
    """A bundle whose one function has this body; it knows `message` and `context`."""
    program = PROGRAM + indent(dedent(body), "    ")
    files = {
        "pyproject.toml": PROJECT.encode(),
        "small/__init__.py": b"",
        "small/app.py": program.encode(),
    }
    return build_fab_from_files(files)[0]


def real_bundle(folder: Path) -> bytes:
    return packed_bundle(build_bundle(folder))


def make_task(
    bundle: bytes,
    *,
    content: RecordDict | None = None,
    kind: str = "train",
    run_id: int = RUN_ID,
    app: tuple[str, str] = ("test/small", "1.0.0"),
    run_config: Mapping[str, Any] = RUN_CONFIG,
) -> Task:
    """A task as the SuperNode hands it out."""
    metadata = Metadata(
        run_id=run_id,
        message_id="question",
        src_node_id=1,
        dst_node_id=2,
        reply_to_message_id="",
        group_id="1",
        created_at=0.0,
        ttl=1e12,
        message_type=kind,
    )
    asked = content or RecordDict({"config": ConfigRecord({"server-round": 1})})
    context = Context(
        run_id=run_id,
        node_id=2,
        node_config={"export": "/where/the/office/points"},
        state=RecordDict(),
        run_config=dict(run_config),
    )
    return Task(make_message(metadata=metadata, content=asked), context, bundle, *app)


def question(task: Task, files: Mapping[str, bytes] | None = None) -> Blobs:
    """The task as the guard puts it to a child."""
    files = files or {}
    about = {
        "message_id": "question",
        "fab_id": task.fab_id,
        "fab_version": task.fab_version,
        "fab_hash": "0" * 64,
        "values": {},
        "files": list(files),
        "marks": [],
    }
    return {
        "about": json.dumps(about).encode(),
        "bundle": task.bundle,
        "message": message_to_proto(task.message).SerializeToString(),
        "context": context_to_proto(task.context).SerializeToString(),
        "vault": b"",
        **{f"file/{name}": content for name, content in files.items()},
    }


def found_by(answer: Blobs) -> Any:
    """What a small app says that it has found."""
    from flwr.common.serde import recorddict_from_proto
    from flwr.proto.recorddict_pb2 import RecordDict as ProtoRecordDict

    assert "error" not in answer, answer["text"].decode()
    record = recorddict_from_proto(ProtoRecordDict.FromString(answer["content"]))
    return json.loads(str(record.config_records["config"]["found"]))
