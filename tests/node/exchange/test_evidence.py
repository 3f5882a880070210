"""What a peer signed and should not have is refused and kept; the books stay right."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from node.exchange import evidence, rules
from node.exchange.messages import (
    PassAccepted,
    PresentPass,
    Receipt,
    ReleasePass,
    RequestCapture,
)
from node.kernel import signing
from node.kernel.ids import derived_id, step_id
from node.kernel.messages import Body, Envelope, Refusal, Sealed
from node.outbox import service as outbox
from node.outbox.model import OUTBOX
from node.outbox.relay import Relay
from node.peer import wire
from node.peer.admission import AGE_MAX, AHEAD_MAX, CallLimit, check_time
from node.peer.witnessed import WitnessedPeers
from tests.node.two_nodes import (
    ELDER,
    HOME,
    HOST,
    RETRY,
    VOLUNTEER,
    District,
    Network,
    Wire,
    exchange_id,
    two_nodes,
)


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def accepted(district: District) -> UUID:
    district.issue(minutes=60)
    district.present()
    district.drain()
    return derived_id("test pass", 0)


def ask_home(district: District, body: Body, name: str = "lie") -> Body:
    return hear(district, district.host.say(body, to=HOME, message_id=derived_id(name)))


def hear(district: District, item: Sealed) -> Body:
    return district.host.read_answer(district.home.hear(item, caller=HOST), sender=HOME)


def kinds(district: District) -> list[str]:
    return sorted(row.kind for row in district.home.ask(evidence.latest))


def at_time(district: District, body: Body, shift: timedelta, name: str) -> Sealed:
    """A message of the host, whose clock is off by `shift`."""
    sent_at = district.clock.now() + shift
    return district.host.sealer.seal(Envelope(derived_id(name), HOST, HOME, sent_at, body))


def test_the_signed_bytes_are_kept_and_prove_who_said_it(district: District) -> None:
    pass_id = accepted(district)
    item = district.host.say(
        RequestCapture(exchange_id(), pass_id, 61), to=HOME, message_id=derived_id("too much")
    )
    assert isinstance(hear(district, item), Refusal)
    [kept] = district.home.ask(evidence.latest)
    assert (kept.peer, kept.kind) == (HOST, "exchange.pass_too_small")
    assert (kept.payload, kept.signature) == (item.payload, item.signature)
    key = district.host.key.public_key().public_bytes_raw()
    assert signing.verify(
        key, context=signing.MESSAGE, payload=kept.payload, signature=kept.signature
    )


class ForgedAnswers(Network):
    """Every answer arrives under a signature that nobody has made."""

    is_forging = True

    async def carry(self, caller: str, community: str, items: Sequence[Sealed]) -> list[Sealed]:
        answers = await super().carry(caller, community, items)
        if not self.is_forging:
            return answers
        return [Sealed(one.payload, bytes(64)) for one in answers]


def test_a_badly_signed_answer_is_kept_once_and_asked_for_again(district: District) -> None:
    """It came inside the neighbour's TLS; the question waits until it is answered truly."""
    forging = ForgedAnswers(sides=district.network.sides)
    relay = Relay(
        district.host.database,
        district.clock,
        WitnessedPeers(
            Wire(HOST, district.host.book, forging), district.host.database, district.clock
        ),
        open_question=lambda sealed: wire.decode(sealed.payload),
        apply_answer=district.host.answers.apply,
    )
    district.issue(minutes=60)
    district.present()
    for _ in range(3):
        asyncio.run(relay.drain_once())
        district.clock.advance(RETRY)
    [kept] = district.host.ask(evidence.latest)
    assert (kept.peer, kept.kind) == (HOME, "peer.bad_answer")
    assert wire.decode(kept.payload).sender == HOME
    assert district.visit().state == "presented"
    forging.is_forging = False
    asyncio.run(relay.drain_once())
    assert district.visit().state == "accepted"
    assert len(district.host.ask(evidence.latest)) == 1


def test_each_lie_is_kept_under_its_name(district: District) -> None:
    pass_id = accepted(district)
    ask_home(district, RequestCapture(exchange_id(), pass_id, 30), "first")
    ask_home(district, RequestCapture(exchange_id(), pass_id, 31), "double capture")
    assert kinds(district) == ["kernel.id_reused"]
    forged = replace(
        district.host.say(ReleasePass(exchange_id(), pass_id), to=HOME, message_id=derived_id("f")),
        signature=bytes(64),
    )
    hear(district, forged)
    astray = district.host.say(
        ReleasePass(exchange_id(), pass_id), to="willow-bank", message_id=derived_id("astray")
    )
    hear(district, astray)
    assert kinds(district) == ["kernel.bad_signature", "kernel.id_reused", "peer.wrong_recipient"]
    assert district.home.minutes(ELDER) == -30
    assert district.home.clearing(HOST) == 30


def test_a_capture_after_giving_back_is_kept_one_after_the_end_is_not(district: District) -> None:
    pass_id = accepted(district)
    ask_home(district, ReleasePass(exchange_id(), pass_id), "release")
    answer = ask_home(district, RequestCapture(exchange_id(), pass_id, 30), "after")
    assert isinstance(answer, Refusal)
    assert kinds(district) == ["exchange.pass_not_usable"]
    district.issue(1, minutes=60)
    district.present(1)
    district.drain()
    district.clock.advance(rules.CAPTURE_LIFETIME + timedelta(days=1))
    late = RequestCapture(exchange_id(1), derived_id("test pass", 1), 30)
    assert isinstance(ask_home(district, late, "late"), Refusal)
    assert kinds(district) == ["exchange.pass_not_usable"], "late is no lie"


def test_a_capture_of_a_pass_that_was_taken_back_is_kept(district: District) -> None:
    pass_id = district.issue(minutes=60).id
    district.void()
    answer = ask_home(district, RequestCapture(exchange_id(), pass_id, 60))
    assert isinstance(answer, Refusal)
    assert answer.code == "exchange.pass_not_usable"
    assert kinds(district) == ["exchange.pass_not_usable"]


def test_a_capture_under_another_exchange_is_kept(district: District) -> None:
    district.help_guest(minutes=60)
    second = RequestCapture(exchange_id(1), derived_id("test pass", 0), 60)
    assert isinstance(ask_home(district, second), Refusal)
    assert kinds(district) == ["exchange.pass_not_usable"]
    assert district.home.clearing(HOST) == 60


def test_an_honest_refusal_is_no_evidence(district: District) -> None:
    district.present()
    district.drain()
    assert district.visit().refusal == "exchange.pass_unknown"
    assert kinds(district) == []


def test_the_same_lie_is_kept_once_and_a_flood_of_them_is_bounded(district: District) -> None:
    for number in range(rules.EVIDENCE_A_DAY_MAX + 5):
        item = district.host.say(
            ReleasePass(exchange_id(), exchange_id()),
            to="willow-bank",
            message_id=derived_id("flood", number),
        )
        hear(district, item)
        hear(district, item)
    assert district.home.ask(evidence.count) == rules.EVIDENCE_A_DAY_MAX


def test_a_clock_a_day_ahead_is_refused_and_heard_once_it_is_right(district: District) -> None:
    district.issue()
    asked = PresentPass(exchange_id(), f"{HOME}-ABCD2222")
    item = at_time(district, asked, timedelta(days=1), "ahead")
    answer = hear(district, item)
    assert isinstance(answer, Refusal)
    assert answer.code == "peer.clock_ahead"
    assert kinds(district) == ["peer.clock_ahead"]
    assert district.pass_state() == "issued"
    district.clock.advance(timedelta(days=1))
    assert isinstance(hear(district, item), PassAccepted), "the refusal decided nothing"


def test_a_sender_whose_clock_is_ahead_keeps_asking(district: District) -> None:
    district.issue()
    district.clock.advance(timedelta(days=1))
    district.present()
    district.clock.moment -= timedelta(days=1)
    district.network.sides[HOST].clock = replace(district.clock)  # nothing is decided meanwhile
    district.clock.advance(RETRY)
    try:
        district.drain()
    except AssertionError:
        assert district.visit().state == "presented"
    district.clock.advance(timedelta(days=1))
    district.drain()
    assert district.visit().state == "accepted"


def confirmed_with_a_clock_ahead(district: District) -> None:
    """Two days ahead for the moment in which both confirm, and right again."""
    district.issue(minutes=60)
    district.present()
    district.drain()
    district.deliver(minutes=60)
    district.clock.advance(timedelta(days=2))
    district.confirm()
    district.clock.moment -= timedelta(days=2)
    district.host.do(lambda session: outbox.bring_forward(session, district.clock))


def test_minutes_asked_for_with_a_wrong_clock_are_asked_for_again(district: District) -> None:
    confirmed_with_a_clock_ahead(district)
    [wrong] = captures(district)
    for _ in range(3):
        asyncio.run(district.host.relay.drain_once())
    assert [asked.message_id for asked in captures(district)] == [
        wrong.message_id,
        step_id(wrong.message_id, "signed again"),
    ], "once for the one refusal"
    assert district.host.minutes(VOLUNTEER) == 60
    assert kinds(district) == ["peer.clock_ahead"]
    district.check()
    late = district.host.sealer.seal(wrong)  # it may still come, when its moment has
    district.clock.advance(timedelta(days=2))
    assert isinstance(hear(district, late), Receipt)
    assert (district.home.minutes(ELDER), district.home.clearing(HOST)) == (-60, 60)
    district.check()


def test_a_clock_that_is_still_ahead_signs_nothing_again(district: District) -> None:
    confirmed_with_a_clock_ahead(district)
    ahead = replace(district.clock, moment=district.clock.now() + timedelta(days=2))
    district.network.sides[HOST].clock = ahead
    district.host.reopen()
    asyncio.run(district.host.relay.drain_once())
    assert len(captures(district)) == 1
    assert district.visit().state == "confirmed"


def captures(district: District) -> list[Envelope]:
    """What the host has asked to be paid, the furthest ahead first."""
    kept = select(OUTBOX.c.payload).where(OUTBOX.c.kind == "RequestCapture")
    found = district.host.ask(lambda session: session.scalars(kept).all())
    asked = [wire.decode(payload) for payload in found]
    return sorted(asked, key=lambda question: question.sent_at, reverse=True)


def test_an_old_message_is_refused_unless_it_was_answered(district: District) -> None:
    district.issue()
    asked = PresentPass(exchange_id(), f"{HOME}-ABCD2222")
    item = at_time(district, asked, timedelta(0), "in time")
    first = district.home.hear(item, caller=HOST)
    district.clock.advance(AGE_MAX + timedelta(days=1))
    assert district.home.hear(item, caller=HOST) == first
    old = at_time(district, asked, -AGE_MAX - timedelta(days=1), "too old")
    answer = hear(district, old)
    assert isinstance(answer, Refusal)
    assert answer.code == "peer.message_too_old"
    assert kinds(district) == [], "being away is no lie"


def test_the_window_is_closed_at_both_ends(district: District) -> None:
    now = district.clock.now()
    check_time(sent_at=now + AHEAD_MAX, now=now)
    check_time(sent_at=now - AGE_MAX, now=now)


def test_a_peer_calls_so_often_a_minute_and_no_more() -> None:
    seconds = [0.0]
    limit = CallLimit(calls_max=2, seconds=lambda: seconds[0])
    assert [limit.admits(HOST) for _ in range(3)] == [True, True, False]
    assert limit.admits(HOME), "each peer has its own"
    seconds[0] = 60.0
    assert limit.admits(HOST)
