"""Offers and needs from opening to the exchange, and help that needs training."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.errors import BadInput, IdReused, NotAllowed, NotFound
from node.kernel.ids import derived_id, new_id
from node.residents.model import Resident
from node.timebank import listings, rules, service, training
from node.timebank.matching import Part, times_of
from node.timebank.model import Exchange, Listing
from node.timebank.refusals import NotTrained, TooManyListings
from node.timebank.rules import ExchangeState, Kind
from node.timebank.service import Actor
from tests.node.timebank.conftest import CLERK, ELDER, NEIGHBOUR, STRANGER

MORNINGS = times_of(range(5), [Part.MORNING])


class Board:
    """Says the module's functions to a database, for short tests."""

    def __init__(self, database: Database, clock: VirtualClock) -> None:
        self.database, self.clock = database, clock

    def open(
        self,
        name: str,
        resident_id: UUID,
        kind: Kind,
        *,
        code: str = "companionship",
        times: int = MORNINGS,
        minutes: int = 60,
    ) -> Listing:
        return self.database.do(
            lambda session: listings.open_listing(
                session,
                self.clock,
                listing_id=derived_id("listing", name),
                kind=kind,
                resident_id=resident_id,
                service=code,
                times=times,
                minutes=minutes,
                recorded_by=CLERK,
            )
        )

    def matches(self, row: Listing) -> list[tuple[UUID, int]]:
        with self.database.read() as session:
            return [
                (one.other.resident_id, one.score)
                for one in listings.matches(session, self.clock, row)
            ]

    def live_in(self, resident_id: UUID, building: str) -> None:
        def command(session: Session) -> None:
            session.get_one(Resident, resident_id).building = building

        self.database.do(command)

    def train(self, resident_id: UUID, code: str, *, by: UUID = CLERK) -> None:
        self.database.do(
            lambda session: training.note(
                session, self.clock, resident_id=resident_id, service=code, seen_by=by
            )
        )


@pytest.fixture
def board(database: Database, clock: VirtualClock) -> Board:
    return Board(database, clock)


def test_a_need_finds_the_neighbour_of_its_building_first(board: Board) -> None:
    for resident_id, building in ((ELDER, "7"), (NEIGHBOUR, "7"), (STRANGER, "8")):
        board.live_in(resident_id, building)
    need = board.open("need", ELDER, Kind.NEED)
    board.open("far", STRANGER, Kind.OFFER)
    near = board.open("near", NEIGHBOUR, Kind.OFFER)
    board.open("own", ELDER, Kind.OFFER)  # nobody is matched with themselves
    board.open("other help", NEIGHBOUR, Kind.OFFER, code="errands")
    assert board.matches(need) == [(NEIGHBOUR, 100), (STRANGER, 70)]
    assert board.matches(near) == [(ELDER, 100)]


def test_what_is_taken_down_or_old_is_not_shown(board: Board, clock: VirtualClock) -> None:
    need = board.open("need", ELDER, Kind.NEED)
    offer = board.open("offer", NEIGHBOUR, Kind.OFFER)
    with pytest.raises(NotFound):
        board.database.do(
            lambda session: listings.close_listing(
                session, clock, listing_id=offer.id, resident_id=ELDER
            )
        )
    closed = [
        board.database.do(
            lambda session: (
                listings.close_listing(
                    session, clock, listing_id=offer.id, resident_id=NEIGHBOUR
                ).closed_at
            )
        )
        for _ in range(2)
    ]
    assert closed[0] == closed[1] is not None
    assert board.matches(need) == []
    clock.advance(rules.LISTING_TIME)
    with board.database.read() as session:
        assert listings.listings(session, clock).rows == []


def test_lists_go_on_where_the_page_before_ended(board: Board, clock: VirtualClock) -> None:
    for number in range(5):
        board.open(f"need{number}", ELDER, Kind.NEED)
        clock.advance(timedelta(minutes=1))
    board.open("offer", NEIGHBOUR, Kind.OFFER)
    with board.database.read() as session:
        first = listings.listings(session, clock, kind=Kind.NEED, limit=3)
        rest = listings.listings(session, clock, kind=Kind.NEED, limit=3, after=first.next)
    seen = [row.id for row in (*first.rows, *rest.rows)]
    assert seen == [derived_id("listing", f"need{number}") for number in (4, 3, 2, 1, 0)]
    assert rest.next is None


@pytest.mark.parametrize(
    "change", [{"code": "magic"}, {"times": 0}, {"times": 1 << 21}, {"minutes": 50}]
)
def test_what_cannot_be_listed(board: Board, change: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        board.open("a", ELDER, Kind.NEED, **change)  # type: ignore[arg-type]  # one of several


def test_the_same_id_is_the_same_listing_and_there_is_a_limit(board: Board) -> None:
    assert board.open("a", ELDER, Kind.NEED).id == board.open("a", ELDER, Kind.NEED).id
    with pytest.raises(IdReused):
        board.open("a", ELDER, Kind.OFFER)
    for number in range(rules.LISTINGS_MAX - 1):
        board.open(f"more{number}", ELDER, Kind.NEED)
    with pytest.raises(TooManyListings):
        board.open("too many", ELDER, Kind.NEED)


def request(board: Board, *, code: str, by_provider: bool = False) -> Exchange:
    return board.database.do(
        lambda session: service.request(
            session,
            board.clock,
            exchange_id=new_id(),
            provider_id=NEIGHBOUR,
            receiver_id=ELDER,
            service=code,
            minutes=60,
            by_provider=by_provider,
        )
    )


def test_help_is_offered_and_the_one_who_is_helped_says_yes(board: Board) -> None:
    offered = request(board, code="companionship", by_provider=True)
    assert offered.state == ExchangeState.OFFERED
    with pytest.raises(NotAllowed):
        accept(board, offered, NEIGHBOUR)  # nobody's minutes are kept back without their word
    assert accept(board, offered, ELDER).state == ExchangeState.ACCEPTED


def test_training_is_needed_where_the_catalogue_says_so(board: Board, clock: VirtualClock) -> None:
    asked = request(board, code="personal_care")
    with pytest.raises(NotTrained, match="Washing"):
        accept(board, asked, NEIGHBOUR)
    with pytest.raises(NotTrained):
        board.open("offer", NEIGHBOUR, Kind.OFFER, code="personal_care")
    with pytest.raises(NotTrained):
        request(board, code="personal_care", by_provider=True)
    with pytest.raises(NotAllowed):
        board.train(NEIGHBOUR, "personal_care", by=NEIGHBOUR)
    with pytest.raises(BadInput):
        board.train(NEIGHBOUR, "companionship")
    board.train(NEIGHBOUR, "personal_care")
    assert accept(board, asked, NEIGHBOUR).state == ExchangeState.ACCEPTED
    clock.advance(training.TRAINING_TIME)
    with pytest.raises(NotTrained):
        board.open("offer", NEIGHBOUR, Kind.OFFER, code="personal_care")


def accept(board: Board, exchange: Exchange, resident_id: UUID) -> Exchange:
    return board.database.do(
        lambda session: service.accept(
            session, board.clock, exchange_id=exchange.id, actor=Actor(resident_id)
        )
    )
