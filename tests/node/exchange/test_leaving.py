"""A resident who helps or gives next door is erased: no minute ends on nobody's name."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from node.exchange import gift
from node.exchange.model import Dispute, GiftCode
from node.exchange.refusals import StillExpected
from node.exchange.rules import GiftState
from node.reactions import REACTIONS
from node.residents import privacy
from node.residents import service as residents
from node.residents.model import Resident
from node.residents.refusals import ResidentGone, StillPromised
from tests.node.exchange.acts import (
    GIFT_CODE,
    ask_back,
    gift_at,
    give,
    hand_out_code,
    offer_back,
    open_dispute,
)
from tests.node.two_nodes import ELDER, VOLUNTEER, District, Side, exchange_id, two_nodes


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with two_nodes(tmp_path) as district:
        for side, resident_id in ((district.home, ELDER), (district.host, VOLUNTEER)):
            side.reactions = REACTIONS
            side.reopen()
            join(side, resident_id)
        hand_out_code(district)
        yield district


def join(side: Side, resident_id: UUID) -> None:
    side.do(
        lambda session: (
            residents.join(
                session, side.clock, resident_id=resident_id, name="Li", phone="13800009999"
            ).id
        )
    )


def erase(side: Side, resident_id: UUID) -> None:
    side.do(lambda session: privacy.erase(session, side.clock, resident_id=resident_id))


def is_erased(side: Side, resident_id: UUID) -> bool:
    return side.ask(lambda session: session.get_one(Resident, resident_id)).erased_at is not None


def test_a_gift_to_somebody_erased_goes_back_to_its_giver(district: District) -> None:
    erase(district.host, VOLUNTEER)
    give(district, minutes=60)
    assert district.home.held() == 60
    district.drain()
    refused = gift_at(district.home)
    assert (refused.state, refused.refusal) == (GiftState.REFUSED, "exchange.gift_code_unknown")
    assert (district.home.minutes(ELDER), district.home.held()) == (0, 0)
    assert district.host.minutes(VOLUNTEER) == 0
    district.check()


def test_codes_end_with_their_resident(district: District) -> None:
    erase(district.host, VOLUNTEER)
    kept = district.host.ask(lambda session: session.get_one(GiftCode, GIFT_CODE))
    assert kept.withdrawn_at == district.clock.now()
    with pytest.raises(ResidentGone):
        hand_out_code(district, "ANOTHER234")


def test_a_code_that_outlived_its_resident_takes_nothing(district: District) -> None:
    """Erased before codes were withdrawn with their resident."""
    district.host.reactions = {}
    district.host.reopen()
    erase(district.host, VOLUNTEER)
    assert district.host.ask(lambda session: gift.codes_of(session, VOLUNTEER))
    give(district)
    district.drain()
    assert gift_at(district.home).state == GiftState.REFUSED
    assert district.host.minutes(VOLUNTEER) == 0


def test_a_volunteer_stays_until_the_visit_has_ended(district: District) -> None:
    district.issue(minutes=90)
    district.present()
    steps = (
        lambda: None,  # presented
        district.drain,  # accepted
        district.deliver,  # delivered
        district.confirm,  # confirmed
    )
    for step in steps:
        step()
        with pytest.raises(StillExpected, match=r"still open with other communities \(1\)"):
            erase(district.host, VOLUNTEER)
        assert not is_erased(district.host, VOLUNTEER)
    assert district.host.ask(lambda session: gift.codes_of(session, VOLUNTEER))
    district.drain()
    erase(district.host, VOLUNTEER)
    assert district.host.minutes(VOLUNTEER) == 90
    district.check()


def test_a_visit_that_is_called_off_keeps_nobody(district: District) -> None:
    district.issue()
    district.present()
    district.drain()
    district.call_off()
    erase(district.host, VOLUNTEER)
    assert is_erased(district.host, VOLUNTEER)


def test_an_elder_stays_while_a_pass_or_a_gift_is_open(district: District) -> None:
    district.issue(minutes=90)
    with pytest.raises(StillPromised, match="90 minutes"):
        erase(district.home, ELDER)
    district.void()
    give(district, minutes=60)
    with pytest.raises(StillPromised, match="60 minutes"):
        erase(district.home, ELDER)
    district.drain()
    erase(district.home, ELDER)
    assert is_erased(district.home, ELDER)


def test_who_waits_for_minutes_to_come_back_stays(district: District) -> None:
    district.help_guest(minutes=60)
    ask_back(district.home, exchange_id(), minutes=20)
    with pytest.raises(StillExpected):
        erase(district.home, ELDER)
    district.drain()
    offer_back(district.host, exchange_id(), minutes=20)
    district.drain()
    erase(district.home, ELDER)
    assert district.home.minutes(ELDER) == -40


def test_nothing_new_begins_in_the_name_of_somebody_erased(district: District) -> None:
    erase(district.home, ELDER)
    for begin in (district.issue, lambda: give(district)):
        with pytest.raises(ResidentGone):
            begin()
    erase(district.host, VOLUNTEER)
    with pytest.raises(ResidentGone):
        district.present()


def test_words_of_a_dispute_are_forgotten(district: District) -> None:
    district.help_guest(minutes=60)
    opened = open_dispute(district.home, exchange_id(), minutes=30)
    assert opened.words
    erase(district.home, ELDER)
    kept = district.home.ask(lambda session: session.get_one(Dispute, opened.id))
    assert (kept.words, kept.our_minutes) == ("—", 30)
