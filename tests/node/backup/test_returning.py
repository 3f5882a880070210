"""Restored from yesterday, a node asks its neighbours what it has said since, before it answers."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from node.backup.marks import RESTORED_FILE, Restored
from node.backup.returning import Returning
from node.kernel.ids import new_id
from tests.node.two_nodes import ELDER, HOME, HOST, VOLUNTEER, District, Side, two_nodes


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def file_of(side: Side) -> Path:
    return Path(side.url.removeprefix("sqlite:///"))


def copied(side: Side) -> Path:
    """The side's file as it stands, as a backup holds it."""
    side.database.close()
    copy = file_of(side).with_suffix(".copy")
    shutil.copy(file_of(side), copy)
    side.open()
    return copy


def restored(side: Side, copy: Path, folder: Path) -> Returning:
    """The side starts again from the copy, as `restore` and `serve` do it."""
    side.database.close()
    for path in file_of(side).parent.glob(f"{file_of(side).name}-*"):
        path.unlink()
    shutil.copy(copy, file_of(side))
    mark = Restored(new_id(), side.clock.now(), side.clock.now(), 0, "")
    (folder / RESTORED_FILE).write_bytes(msgspec.json.encode(mark))
    side.open()
    returning = Returning(folder)
    side.inbox._answer = returning.guarded(side.answers.answer)
    return returning


def ask(returning: Returning, side: Side, peer: str) -> int:
    return side.do(lambda session: returning.ask(session, side.clock, side.sealer, [peer]))


def finish(returning: Returning, side: Side, peer: str) -> bool:
    return side.do(lambda session: returning.finish(session, side.clock, [peer]))


@pytest.mark.parametrize("lost", ["home", "host"])
def test_what_was_said_since_comes_back_first(
    district: District, tmp_path: Path, lost: str
) -> None:
    side, peer = (district.home, HOST) if lost == "home" else (district.host, HOME)
    district.issue(minutes=60)
    district.present()
    district.drain()
    district.deliver(minutes=60)
    if lost == "host":
        district.confirm()
    copy = copied(side)
    if lost == "home":
        district.confirm()
    district.drain()
    returning = restored(side, copy, tmp_path)
    assert not returning.is_over
    assert ask(returning, side, peer) > 0
    assert ask(returning, side, peer) == 0, "each question once"
    assert not finish(returning, side, peer)
    asyncio.run(district._drain(side))
    assert finish(returning, side, peer)
    assert returning.is_over
    district.drain()
    assert district.home.minutes(ELDER) == -60
    assert district.host.minutes(VOLUNTEER) == 60
    district.check()
    assert Returning(tmp_path).is_over, "once compared it is a node like any other"


def test_until_then_a_question_gets_no_answer_and_is_asked_again(
    district: District, tmp_path: Path
) -> None:
    """Home forgot that it issued the pass: its refusal would stand for ever."""
    copy = copied(district.home)
    returning = restored(district.home, copy, tmp_path)
    district.issue(minutes=60)
    district.present()
    asyncio.run(district._drain(district.host))
    assert district.visit().state == "presented", "not refused: not heard yet"
    ask(returning, district.home, HOST)
    asyncio.run(district._drain(district.home))
    assert finish(returning, district.home, HOST)
    district.drain()
    assert district.visit().state == "accepted"


def test_two_that_were_restored_at_once_do_not_wait_for_each_other(
    district: District, tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    pairs = [(district.home, HOST), (district.host, HOME)]
    returning = [
        restored(side, copied(side), folder)
        for (side, _), folder in zip(pairs, folders, strict=True)
    ]
    for each, (side, peer) in zip(returning, pairs, strict=True):
        ask(each, side, peer)
    district.drain()
    for each, (side, peer) in zip(returning, pairs, strict=True):
        assert finish(each, side, peer)


def test_a_node_that_was_never_restored_just_answers(district: District, tmp_path: Path) -> None:
    returning = Returning(tmp_path)
    assert returning.is_over
    assert ask(returning, district.home, HOST) == 0
    assert finish(returning, district.home, HOST)
