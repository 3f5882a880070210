"""Messages wait until they are answered: order, limits, backoff, and one bad answer among good."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange.messages import PresentPass
from node.kernel import rows
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Envelope, Refusal, Sealed
from node.outbox import service as outbox
from node.outbox.model import OUTBOX, OutboxState
from node.outbox.relay import BYTES_MAX, ITEMS_MAX, NO_ANSWER, PeerUnreachable, Relay
from node.outbox.service import BACKOFF_FIRST_SECONDS, BACKOFF_MAX_SECONDS, Outgoing
from node.peer import wire
from node.peer.seal import open_sealed
from tests.node.two_nodes import HOME, HOST, District, Side, Wire, two_nodes


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def next_attempts(side: Side) -> dict[str, datetime]:
    """For each community for which something waits: when the relay looks at it again."""
    return side.ask(lambda session: dict(rows.ask(session, outbox.NEXT_ATTEMPTS)))


def enqueue(side: Side, count: int, *, code: str = "plum-court-ZZZZ2222") -> None:
    def command(session: Session) -> None:
        for number in range(count):
            outbox.enqueue(
                session,
                side.clock,
                side.sealer,
                message_id=derived_id("outbox", code, number),
                recipient=HOME,
                body=PresentPass(derived_id(number), code),
            )

    side.do(command)


def due(side: Side, *, items_max: int = ITEMS_MAX, bytes_max: int = BYTES_MAX) -> list[Outgoing]:
    now = side.clock.now()
    return side.ask(
        lambda session: outbox.due(
            session, recipient=HOME, now=now, items_max=items_max, bytes_max=bytes_max
        )
    )


class Answering:
    """A peer whose answers the test writes."""

    def __init__(self, side: Side, answers: Sequence[Sealed] | Exception) -> None:
        self.side, self.answers = side, answers
        self.calls = 0

    async def deliver(self, community: str, items: Sequence[Sealed]) -> list[Sealed]:
        self.calls += 1
        if isinstance(self.answers, Exception):
            raise self.answers
        return list(self.answers)

    def open_answer(self, community: str, answer: Sealed) -> Envelope:
        return open_sealed(self.side.book, answer, sender=community)


def relay_with(side: Side, peers: Answering | Wire) -> Relay:
    return Relay(
        side.database,
        side.clock,
        peers,
        open_question=lambda sealed: wire.decode(sealed.payload),
        apply_answer=side.answers.apply,
    )


def test_what_is_undone_sends_nothing(district: District) -> None:
    def command(session: Session) -> None:
        outbox.enqueue(
            session,
            district.clock,
            district.host.sealer,
            message_id=derived_id("never"),
            recipient=HOME,
            body=PresentPass(derived_id("x"), "plum-court-ABCD2222"),
        )
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        district.host.do(command)
    assert district.host.ask(outbox.waiting_count) == 0
    assert next_attempts(district.host) == {}


def test_the_oldest_go_first_and_a_call_has_its_limits(district: District) -> None:
    side = district.host
    enqueue(side, 3, code="plum-court-LATE2222")
    district.clock.advance(timedelta(seconds=1))
    enqueue(side, 2, code="plum-court-NEWS2222")
    all_due = due(side)
    codes = [wire.decode(item.sealed.payload).body for item in all_due]
    assert ["LATE" in str(body) for body in codes] == [True] * 3 + [False] * 2
    assert due(side, items_max=2) == all_due[:2]
    assert due(side, bytes_max=all_due[0].size + all_due[1].size) == all_due[:2]
    assert due(side, bytes_max=1) == all_due[:1], "one always goes, whatever its size"
    assert list(next_attempts(side)) == [HOME]


def test_each_try_waits_twice_as_long_up_to_a_minute(district: District) -> None:
    side = district.host
    enqueue(side, 1)
    peers = Answering(side, PeerUnreachable("nobody there"))
    relay = relay_with(side, peers)
    waits = []
    for _ in range(10):
        assert asyncio.run(relay.drain_once()) == 0
        next_at = next_attempts(side)[HOME]
        waits.append((next_at - district.clock.now()).total_seconds())
        assert asyncio.run(relay.drain_once()) == 0, "not due yet"
        district.clock.moment = next_at
    assert peers.calls == 10
    assert waits[:3] == [BACKOFF_FIRST_SECONDS * factor for factor in (1, 2, 4)]
    assert waits[-1] == BACKOFF_MAX_SECONDS


@pytest.mark.parametrize("count", [0, 2])
def test_a_peer_that_answers_another_number_of_things_is_asked_again(
    district: District, count: int
) -> None:
    side = district.host
    enqueue(side, 1)
    [item] = due(side)
    answer = district.home.hear(item.sealed, caller=HOST)
    assert asyncio.run(relay_with(side, Answering(side, [answer] * count)).drain_once()) == 0
    assert side.ask(outbox.waiting_count) == 1


def test_an_answer_that_cannot_be_taken_holds_up_no_other(district: District) -> None:
    side = district.host
    district.issue()
    district.present()
    enqueue(side, 2)  # about visits that do not exist here: their answers cannot be taken
    items = due(side)
    answers = [district.home.hear(item.sealed, caller=HOST) for item in items]
    assert asyncio.run(relay_with(side, Answering(side, answers)).drain_once()) == 1
    assert district.visit().state == "accepted"
    assert side.ask(outbox.waiting_count) == 2


def test_what_got_no_answer_is_asked_again_and_holds_up_no_other(district: District) -> None:
    side = district.host
    enqueue(side, 2)
    district.issue()
    district.clock.advance(timedelta(seconds=1))
    district.present()
    last = district.home.hear(due(side)[-1].sealed, caller=HOST)
    answering = Answering(side, [NO_ANSWER, NO_ANSWER, last])
    assert asyncio.run(relay_with(side, answering).drain_once()) == 1
    assert district.visit().state == "accepted"
    soon = district.clock.now() + timedelta(seconds=BACKOFF_FIRST_SECONDS)
    assert next_attempts(side) == {HOME: soon}
    assert due(side) == []


def test_a_bug_met_by_one_question_spoils_no_other(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver's own fault: the others are answered, the one waits and is asked again."""
    answer = district.home.answers.answer

    def fall_over(session: Session, question: Envelope) -> Body:
        if "ZZZZ" in str(question.body):
            raise ZeroDivisionError
        return answer(session, question)

    district.issue()
    enqueue(district.host, 1)
    district.present()
    monkeypatch.setattr(district.home.inbox, "_answer", fall_over)
    assert asyncio.run(district.host.relay.drain_once()) == 1
    assert district.visit().state == "accepted"
    assert district.host.ask(outbox.waiting_count) == 1
    monkeypatch.setattr(district.home.inbox, "_answer", answer)
    district.clock.advance(timedelta(minutes=1))
    [item] = due(district.host)
    said = district.host.read_answer(district.home.hear(item.sealed, caller=HOST), sender=HOME)
    assert isinstance(said, Refusal)


def test_a_late_second_answer_changes_nothing(district: District) -> None:
    side = district.host
    enqueue(side, 1)
    [item] = due(side)
    answer = district.home.hear(item.sealed, caller=HOST)

    def take(session: Session) -> set[UUID]:
        given = {item: answer}
        return outbox.take_answers(session, district.clock, given=given, recipient=HOME)

    assert [side.do(take), side.do(take)] == [{item.id}, set()]
    state = select(OUTBOX.c.state).where(OUTBOX.c.id == item.id)
    assert side.ask(lambda session: session.scalar(state)) == OutboxState.ANSWERED
    assert [row.messages for row in side.ask(outbox.departures)] == [1]


def test_a_bug_in_our_code_does_not_hammer_the_peer(district: District) -> None:
    side = district.host
    enqueue(side, 1)
    peers = Answering(side, ZeroDivisionError())

    async def run_a_while() -> None:
        running = asyncio.create_task(relay_with(side, peers).run())
        await asyncio.sleep(0.4)
        running.cancel()

    asyncio.run(run_a_while())
    assert peers.calls == 1
