"""Limits: each enforced where it would break, and told before anybody types an amount."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from node.exchange import dispute, limits, rules
from node.exchange.limits import Quote
from node.exchange.model import PeerLimit
from node.exchange.refusals import AllPeersLimitReached, PeerBacklog
from node.exchange.rules import VisitState
from node.kernel.errors import BadInput
from node.kernel.ids import derived_id
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.outbox.model import OUTBOX
from tests.node.exchange.acts import (
    agree_back,
    answer_dispute,
    dispute_at,
    dispute_id,
    give,
    hand_out_code,
    judge,
    offer_back,
    open_dispute,
    set_floor,
)
from tests.node.two_nodes import (
    DEBT_LIMIT_MINUTES,
    ELDER,
    HOME,
    HOST,
    PEER_LIMIT_MINUTES,
    VOLUNTEER,
    District,
    exchange_id,
    two_nodes,
)


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        yield district


def quote(district: District, host: str = HOST) -> Quote:
    return district.home.ask(
        lambda session: limits.quote(
            session,
            district.clock,
            resident_id=ELDER,
            host=host,
            debt_limit_minutes=DEBT_LIMIT_MINUTES,
        )
    )


def ask_host(district: District) -> bool:
    return district.home.do(
        lambda session: limits.ask_headroom(session, district.clock, district.home.sealer, HOST)
    )


def set_limit(district: District, minutes: int, *, peer: str = HOME) -> None:
    district.host.do(
        lambda session: limits.set_limit(
            session, district.clock, peer=peer, minutes=minutes, set_by="test"
        )
    )


def test_a_quote_before_the_host_was_asked_says_that_it_does_not_know(district: District) -> None:
    found = quote(district)
    assert (found.own_minutes, found.all_peers_minutes) == (500, DEBT_LIMIT_MINUTES)
    assert (found.peer_minutes, found.told_at) == (None, None)
    assert found.suggested_max_minutes == DEBT_LIMIT_MINUTES


def test_the_host_tells_its_limit(district: District) -> None:
    assert ask_host(district)
    assert not ask_host(district), "one question at a time"
    district.drain()
    found = quote(district)
    assert found.peer_minutes == found.suggested_max_minutes == PEER_LIMIT_MINUTES
    district.issue(minutes=100)
    assert quote(district).suggested_max_minutes == PEER_LIMIT_MINUTES - 100, "on its way"


def test_a_word_is_asked_for_again_and_grows_stale(district: District) -> None:
    ask_host(district)
    district.drain()
    assert not ask_host(district)
    district.clock.advance(rules.HEADROOM_FRESH)
    set_limit(district, 40)
    assert ask_host(district)
    district.drain()
    assert quote(district).suggested_max_minutes == 40
    district.clock.advance(rules.HEADROOM_STALE + timedelta(seconds=1))
    assert quote(district).peer_minutes is None


def test_a_quote_needs_a_known_community(district: District) -> None:
    with pytest.raises(rules.UnknownCommunity):
        quote(district, "nowhere")


def test_the_chains_limit_binds_where_it_is_lower(district: District) -> None:
    district.home.do(
        lambda session: limits.keep_told(session, district.clock, source=limits.CHAIN, minutes=100)
    )
    assert quote(district).all_peers_minutes == 100
    with pytest.raises(rules.DebtLimitReached, match="100"):
        district.issue(minutes=101)
    district.issue(minutes=100)


def test_a_limit_for_one_peer_is_recorded_and_enforced(district: District) -> None:
    set_limit(district, 60)
    district.issue(minutes=61)
    district.present()
    district.drain()
    assert district.visit().refusal == "ledger.limit_reached"
    rows = district.host.ask(lambda session: session.scalars(select(PeerLimit)).all())
    assert [(row.peer, row.minutes, row.set_by) for row in rows] == [(HOME, 60, "test")]


def test_a_limit_for_all_peers_is_enforced_and_told(district: District) -> None:
    set_limit(district, 100, peer=limits.ALL_PEERS)
    district.issue(0, minutes=60)
    district.issue(1, minutes=60)
    district.present(0)
    district.drain()
    district.present(1)
    district.drain()
    assert district.visit(0).state == VisitState.ACCEPTED
    assert district.visit(1).refusal == "exchange.all_peers_limit_reached"
    assert district.pass_state(1) == "released"
    ask_host(district)
    district.drain()
    assert quote(district).peer_minutes == 40


def test_what_we_owe_a_peer_does_not_use_up_the_limit_for_all(district: District) -> None:
    """A community that gave us more than it took may take that back above any limit of trust."""
    set_floor(district.host, ledger.clearing_account(HOME), -400)
    set_limit(district, 10, peer=limits.ALL_PEERS)

    def left(amount: int) -> bool:
        try:
            district.host.ask(
                lambda session: limits.check_all_peers(session, peer=HOME, needed=amount)
            )
        except AllPeersLimitReached:
            return False
        return True

    assert left(10)
    assert not left(11)
    district.host.do(
        lambda session: ledger.transfer(
            session,
            district.clock,
            entry_id=derived_id("we owe"),
            payer_id=ledger.house_account(limits.SETTLED, Unit.MINUTES),
            payee_id=ledger.clearing_account(HOME),
            amount=50,
            reason="test",
        )
    )
    assert left(60)
    assert not left(61)


@pytest.mark.parametrize("minutes", [-1, 10**12])
def test_a_limit_is_a_number_of_minutes(district: District, minutes: int) -> None:
    with pytest.raises(BadInput):
        set_limit(district, minutes)
    with pytest.raises(rules.UnknownCommunity):
        set_limit(district, 10, peer="nowhere")


def test_nothing_new_begins_with_a_peer_that_does_not_answer(district: District) -> None:
    hand_out_code(district)
    now = district.clock.now()
    rows = [
        {
            "id": derived_id("waiting", side, number),
            "recipient": peer,
            "kind": "AskHeadroom",
            "payload": b"",
            "signature": b"",
            "state": "waiting",
            "attempts": 0,
            "created_at": now,
            "next_attempt_at": now,
        }
        for side, peer in (("home", HOST), ("host", HOME))
        for number in range(rules.WAITING_MAX)
    ]
    half = rules.WAITING_MAX
    district.home.do(lambda session: session.execute(insert(OUTBOX), rows[: half - 1]) and None)
    district.host.do(lambda session: session.execute(insert(OUTBOX), rows[half:]) and None)
    give(district)  # the one that fills it up
    with pytest.raises(PeerBacklog, match=str(rules.WAITING_MAX)):
        give(district, 1)
    district.issue()  # nothing is sent for it
    with pytest.raises(PeerBacklog):
        district.present()


def test_the_relay_is_asked_nothing_for_a_quote_that_is_fresh(district: District) -> None:
    ask_host(district)
    assert asyncio.run(district.home.relay.drain_once()) == 1
    assert asyncio.run(district.home.relay.drain_once()) == 0


def settle(district: District, minutes: int) -> None:
    """The chain has paid the host so much of what home owed it."""
    district.host.do(
        lambda session: ledger.transfer(
            session,
            district.clock,
            entry_id=derived_id("settled"),
            payer_id=ledger.house_account(limits.SETTLED, Unit.MINUTES),
            payee_id=ledger.clearing_account(HOME),
            amount=minutes,
            reason="test",
        )
    )


def host_limit(district: District, minutes: int, source: str) -> None:
    district.host.do(
        lambda session: limits.keep_told(session, district.clock, source=source, minutes=minutes)
    )


def host_headroom(district: District) -> int:
    return district.host.ask(lambda session: limits.debt_headroom(session, DEBT_LIMIT_MINUTES))


def owe_a_third(district: District, minutes: int) -> None:
    """The host owes another community these minutes."""
    third, issue = ledger.clearing_account("third"), ledger.house_account("issue", Unit.MINUTES)

    def owe(session: Session) -> None:
        for account_id, kind, owner in ((third, ledger.CLEARING, "third"), (issue, "house", "x")):
            ledger.open_account(
                session,
                account_id=account_id,
                unit=Unit.MINUTES,
                kind=kind,
                owner=owner,
                floor=-minutes,
            )
        ledger.transfer(
            session,
            district.clock,
            entry_id=derived_id("owed"),
            payer_id=issue,
            payee_id=third,
            amount=minutes,
            reason="test",
        )

    district.host.do(owe)


@pytest.mark.parametrize("source", [limits.CHAIN, limits.OWN])
def test_giving_back_passes_no_limit_of_ours(district: District, source: str) -> None:
    """Home has paid on the chain, and the host owes a third: what it gives back is new debt."""
    district.help_guest(minutes=90)
    settle(district, 90)
    owe_a_third(district, 90)
    host_limit(district, 30, source)
    with pytest.raises(rules.DebtLimitReached, match="30 more"):
        offer_back(district.host, exchange_id(), minutes=31)
    before = host_headroom(district)
    offer_back(district.host, exchange_id(), minutes=30)
    assert host_headroom(district) == before - 30, "what is offered is promised"
    district.drain()
    agree_back(district.home)
    district.drain()
    assert host_headroom(district) == before - 30
    with pytest.raises(rules.DebtLimitReached, match="0 more"):
        offer_back(district.host, exchange_id(), minutes=1, number=1)


def test_giving_back_what_is_still_owed_to_us_needs_no_limit(district: District) -> None:
    district.help_guest(minutes=90)
    host_limit(district, 0, limits.CHAIN)
    offer_back(district.host, exchange_id(), minutes=90)
    district.drain()
    agree_back(district.home)
    district.drain()
    assert host_headroom(district) == 0
    district.check()


def test_a_verdict_that_a_limit_keeps_back_says_so_and_waits(district: District) -> None:
    district.help_guest(minutes=90)
    settle(district, 90)
    owe_a_third(district, 90)
    host_limit(district, 0, limits.CHAIN)
    open_dispute(district.home, exchange_id(), minutes=60)
    district.drain()
    answer_dispute(district.host, minutes=0)
    district.drain()
    for side in district.sides:
        judge(side, minutes=60)
    district.drain()
    assert dispute_at(district.host).refusal == "exchange.debt_limit_reached"
    assert district.host.minutes(VOLUNTEER) == 90
    host_limit(district, 60, limits.CHAIN)
    district.host.do(
        lambda session: dispute.carry_out(
            session, district.clock, district.host.sealer, dispute_id=dispute_id(), decided_by=None
        )
    )
    district.drain()
    assert dispute_at(district.host).refusal is None
    assert district.home.minutes(ELDER) == -30
