"""The node beside its guard: no sandbox, no training; and what may be told of its own errors."""

import asyncio
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from node import migrations
from node.forecast.model import CountedSpan, Evaluation
from node.forecast.rules import local_day
from node.forecast.supernode import GuardedSuperNode, SandboxMissing, SuperNodePlace
from node.forecast.telling import Told, told
from node.kernel.clock import SystemClock
from node.kernel.db import Database
from node.kernel.ids import new_id


def place_in(folder: Path, *, sandbox: bool) -> SuperNodePlace:
    return SuperNodePlace(
        directory=folder / "flower",
        superlink="127.0.0.1:1",
        root_certificate=folder / "ca.pem",
        private_key=folder / "flower.key",
        runtime_port=1,
        export=folder / "training.csv",
        left=folder / "left.jsonl",
        identity=folder / "identity.json",
        bundles=folder / "bundles",
        sandbox=sandbox,
    )


def test_without_a_sandbox_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "defpath", str(tmp_path))  # where no bubblewrap is
    training = GuardedSuperNode(place_in(tmp_path, sandbox=True))
    with pytest.raises(SandboxMissing, match="sandbox = false"):
        asyncio.run(training.start())
    assert training.pid is None
    assert training.guard.pid is None
    assert not (tmp_path / "flower" / "executor.secret").exists()


def test_the_guard_is_told_all_and_the_supernode_no_path_of_ours(tmp_path: Path) -> None:
    async def story() -> None:
        training = GuardedSuperNode(place_in(tmp_path, sandbox=False))
        await training.start()
        try:
            assert training.pid is not None
            arguments = Path(f"/proc/{training.pid}/cmdline").read_bytes().decode()
            assert "training.csv" not in arguments
            told_file = tmp_path / "flower" / "guard.json"
            told_guard = json.loads(told_file.read_text())
            assert told_guard["files"]["export"] == str(tmp_path / "training.csv")
            assert told_guard["sandbox"] is False
            secret = tmp_path / "flower" / "executor.secret"
            for private in (told_file, secret):
                assert private.stat().st_mode & 0o077 == 0
            assert secret.read_bytes() not in arguments.encode()
        finally:
            await training.stop()
        assert training.pid is None

    asyncio.run(story())


def test_errors_are_told_of_the_judged_model_and_only_if_the_operator_says_so(
    tmp_path: Path,
) -> None:
    clock, model = SystemClock(), "ab" * 32
    url = f"sqlite:///{tmp_path}/node.sqlite"
    migrations.migrate(url)
    database = Database(url, clock=clock)
    today = local_day(clock.now())
    result = {"arms": {"mean8": {"total_mae": 5}, "local": {}, "federated": {"total_mae": 4.5}}}

    def judge(session: Session) -> None:
        session.add(
            Evaluation(
                id=new_id(),
                evaluated_at=clock.now(),
                adopted="federated",
                model_sha256=model,
                result=json.dumps(result),
            )
        )

    def count(session: Session) -> None:
        first_day = today - timedelta(days=90)
        session.add(CountedSpan(first_day=first_day, last_day=None, declared_at=clock.now()))

    try:
        database.do(judge)
        with database.read() as session:
            assert told(session, model_sha256=model, tells=False) == Told()
            assert told(session, model_sha256="cd" * 32, tells=True) == Told()
            assert told(session, model_sha256=model, tells=True) == Told(
                {"mean8": 5.0, "federated": 4.5}
            )
        database.do(count)
        with database.read() as session:
            found = told(session, model_sha256=model, tells=True)
        assert found.data_from == (today - timedelta(days=90)).isoformat()
        assert found.data_to == (today - timedelta(days=1)).isoformat()
    finally:
        database.close()
