"""What comes together is written together, and nobody waits for a writer that has gone."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from node.kernel.clock import SystemClock
from node.kernel.db import Base, Database, DatabaseClosed, open_engine
from node.kernel.gathering import SHARED_MIN, Waiting
from node.ledger.model import HEAD, HEADS

TOGETHER = 16


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'gathering.db'}", clock=SystemClock())
    yield made
    made.close()


def test_commands_of_one_moment_are_one_batch(database: Database) -> None:
    async def ask() -> Session:
        await asyncio.sleep(0)  # each a task of its own, as requests are
        return await database.run(lambda session: session)

    async def ask_all() -> list[Session]:
        return await asyncio.gather(*[ask() for _ in range(TOGETHER)])

    assert len(set(asyncio.run(ask_all()))) == 1, "one session, so one transaction"


def test_what_comes_while_the_writer_works_is_its_next_batch(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(session: Session) -> Session:
        begun.set()
        assert go_on.wait(10)
        return session

    async def ask_all() -> list[Session]:
        first = asyncio.create_task(database.run(slow))
        await asyncio.to_thread(begun.wait, 10)
        others = []
        for _ in range(TOGETHER):  # one in each turn of the loop
            others.append(asyncio.create_task(database.run(lambda session: session)))
            await asyncio.sleep(0)
        assert not any(one.done() for one in others)
        go_on.set()
        return await asyncio.gather(first, *others)

    first, *others = asyncio.run(ask_all())
    assert len(set(others)) == 1
    assert first not in others


@pytest.mark.parametrize("is_passed_on", [False, True])
def test_after_rows_that_others_work_on_a_batch_is_half(tmp_path: Path, is_passed_on: bool) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    engine = open_engine(url)
    Base.metadata.create_all(engine, tables=[HEAD])
    engine.dispose()
    database, heard = Database(url, clock=SystemClock()), list[int]()

    async def ask_all() -> list[Session]:
        if is_passed_on:
            loop = asyncio.get_running_loop()
            database.pass_on(lambda: heard.append(len(heard)), of=HEAD, loop=loop)
        await database.run(lambda session: HEADS.add(session, id=1, sequence=0, hash=""))
        assert len(heard) == is_passed_on, "told before whoever asked"
        asked = [database.run(lambda session: session) for _ in range(2 * SHARED_MIN)]
        return await asyncio.gather(*asked)

    sessions = asyncio.run(ask_all())
    database.close()
    halves = [sessions.index(one) for one in dict.fromkeys(sessions)]
    assert halves == ([0, SHARED_MIN] if is_passed_on else [0])


def test_each_loop_gets_its_answers(database: Database) -> None:
    def ask_much(name: str) -> list[str]:
        async def ask() -> list[str]:
            return [await database.run(lambda _: name) for _ in range(TOGETHER)]

        return asyncio.run(ask())

    answers: dict[str, Sequence[str]] = {}
    threads = [
        threading.Thread(target=lambda name=name: answers.update({name: ask_much(name)}))
        for name in ("a", "b", "c")
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert answers == {name: [name] * TOGETHER for name in ("a", "b", "c")}


def test_what_is_gathered_when_the_database_closes_is_still_written(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'closing.db'}", clock=SystemClock())

    async def ask_and_close() -> list[object]:
        asked = [asyncio.create_task(database.run(lambda _: "kept")) for _ in range(3)]
        await asyncio.sleep(0)
        database.close()
        late = asyncio.create_task(database.run(lambda _: "late"))
        return await asyncio.gather(*asked, late, return_exceptions=True)

    *kept, late = asyncio.run(ask_and_close())
    assert kept == ["kept"] * 3
    assert isinstance(late, DatabaseClosed)


class _Job:
    def is_wanted(self) -> bool:
        return True


def test_only_the_batches_that_follow_are_kept_small() -> None:
    waiting: Waiting[_Job] = Waiting(most=150, refuse=lambda _jobs: None)
    for _ in range(400):
        waiting.add(_Job())
    waiting.share()
    waiting.end()
    assert [len(batch) for batch in waiting.batches()] == [64, 64, 64, 64, 144]


def test_a_command_that_comes_after_the_writer_is_refused() -> None:
    refused: list[_Job] = []
    waiting: Waiting[_Job] = Waiting(most=2, refuse=refused.extend)
    before, after = [_Job() for _ in range(3)], _Job()
    for job in before:
        waiting.add(job)
    waiting.end()
    assert list(waiting.batches()) == [before[:2], before[2:]]
    waiting.add(after)
    assert refused == [after]
