"""Examples for every act of the books and for every way in which they say no; on each database."""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.errors import IdReused, NotFound
from node.kernel.ids import derived_id
from node.ledger import refusals
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.model import HoldState, Unit
from node.ledger.rules import AMOUNT_MAX, Leg
from tests.node.ledger.purses import ELDER, HELPER, POINTS, SHOP, pay, promise

HOUR = timedelta(hours=1)


def balances(database: Database) -> tuple[int, int]:
    with database.read() as session:
        return ledger.balance(session, ELDER), ledger.balance(session, HELPER)


def test_a_transfer_moves_and_repeats_are_one(database: Database, clock: VirtualClock) -> None:
    first = database.do(lambda session: pay(session, clock, 1, 60))
    clock.advance(HOUR)
    assert database.do(lambda session: pay(session, clock, 1, 60)) == first == 1
    assert balances(database) == (-60, 60)
    with pytest.raises(IdReused):
        database.do(lambda session: pay(session, clock, 1, 61))
    with pytest.raises(IdReused):
        database.do(lambda session: pay(session, clock, 1, 60, payer=HELPER, payee=ELDER))


def test_an_account_stops_at_its_floor(database: Database, clock: VirtualClock) -> None:
    database.do(lambda session: pay(session, clock, 1, 100))
    with pytest.raises(refusals.InsufficientBalance, match="Only 0 minutes"):
        database.do(lambda session: pay(session, clock, 2, 1))


def test_a_clearing_account_says_whose_limit_it_is(database: Database, clock: VirtualClock) -> None:
    peer = ledger.clearing_account("jade-garden")
    database.do(
        lambda session: ledger.open_account(
            session,
            account_id=peer,
            unit=Unit.MINUTES,
            kind=ledger.CLEARING,
            owner="jade-garden",
            floor=-10,
        )
    )
    with pytest.raises(refusals.LimitReached, match="10 more minutes"):
        database.do(lambda session: pay(session, clock, 1, 11, payer=peer))
    with database.read() as session:
        assert ledger.clearing_balances(session) == {"jade-garden": 0}


def test_a_hold_keeps_back_and_a_capture_pays(database: Database, clock: VirtualClock) -> None:
    hold_id = database.do(lambda session: promise(session, clock, 1, 80))
    with database.read() as session:
        assert (ledger.balance(session, ELDER), ledger.available(session, ELDER)) == (0, 20)
    with pytest.raises(refusals.InsufficientBalance):
        database.do(lambda session: pay(session, clock, 1, 21))
    for _ in range(2):
        database.do(lambda session: ledger.capture_hold(session, clock, hold_id=hold_id, amount=30))
    assert balances(database) == (-30, 30)
    with database.read() as session:
        assert ledger.available(session, ELDER) == 70, "the rest is free again"
        held = ledger.hold(session, hold_id)
        assert held is not None
        assert (held.state, held.captured_amount) == (HoldState.CAPTURED, 30)


def test_one_id_is_a_hold_or_an_entry(database: Database, clock: VirtualClock) -> None:
    """Callers choose both: who takes one for both harms no other's books, and hears it."""
    taken, held = derived_id("entry", 1), derived_id("hold", 1)

    def hold(session: Session, hold_id: UUID) -> None:
        ledger.place_hold(
            session,
            clock,
            hold_id=hold_id,
            payer_id=ELDER,
            payee_id=HELPER,
            amount=5,
            expires_at=None,
            reason="test",
        )

    def move(session: Session, entry_id: UUID) -> None:
        leg = (Leg(ELDER, -5), Leg(HELPER, 5))
        ledger.post(session, clock, entry_id=entry_id, legs=leg, reason="test")

    database.do(lambda session: pay(session, clock, 1, 10))
    with pytest.raises(IdReused):
        database.do(partial(hold, hold_id=taken))
    database.do(lambda session: promise(session, clock, 1, 10))
    with pytest.raises(IdReused):
        database.do(partial(ledger.check_no_hold, entry_id=held))
    database.do(partial(move, entry_id=held))  # as if nobody had asked before

    async def capture_among_others() -> list[object]:
        capture = partial(ledger.capture_hold, clock=clock, hold_id=held)
        others = [partial(pay, clock=clock, name=name, amount=1) for name in (2, 3)]
        commands = [others[0], capture, others[1]]
        return await asyncio.gather(*map(database.run, commands), return_exceptions=True)

    before, refused, after = asyncio.run(capture_among_others())
    assert (before, after) == (3, 4)
    assert isinstance(refused, IdReused)
    with database.read() as session:
        assert audit_ledger(session).ok
        found = ledger.hold(session, held)
        assert found is not None
        assert found.state == HoldState.OPEN
    database.do(lambda session: ledger.void_hold(session, clock, hold_id=held))


def test_a_closed_hold_stays_closed(database: Database, clock: VirtualClock) -> None:
    paid = database.do(lambda session: promise(session, clock, "paid", 10))
    database.do(lambda session: ledger.capture_hold(session, clock, hold_id=paid))
    void = database.do(lambda session: promise(session, clock, "void", 10))
    for _ in range(2):
        database.do(lambda session: ledger.void_hold(session, clock, hold_id=void))
    for refused in (
        lambda session: ledger.void_hold(session, clock, hold_id=paid),
        lambda session: ledger.capture_hold(session, clock, hold_id=paid, amount=9),
        lambda session: ledger.capture_hold(session, clock, hold_id=void),
    ):
        with pytest.raises(refusals.HoldNotOpen):
            database.do(refused)


def test_a_hold_covers_what_it_says(database: Database, clock: VirtualClock) -> None:
    hold_id = database.do(lambda session: promise(session, clock, 1, 10))
    with pytest.raises(refusals.HoldExceeded):
        database.do(lambda session: ledger.capture_hold(session, clock, hold_id=hold_id, amount=11))
    with pytest.raises(IdReused):
        database.do(lambda session: promise(session, clock, 1, 11))


def test_an_expired_hold_is_given_back(database: Database, clock: VirtualClock) -> None:
    until = clock.now() + HOUR
    hold_id = database.do(lambda session: promise(session, clock, 1, 10, expires_at=until))
    endless = database.do(lambda session: promise(session, clock, 2, 10))
    assert database.do(lambda session: ledger.expire_holds(session, clock)) == []
    clock.advance(HOUR)
    with pytest.raises(refusals.HoldNotOpen, match="expired"):  # the time decides, not the sweep
        database.do(lambda session: ledger.capture_hold(session, clock, hold_id=hold_id))
    assert database.do(lambda session: ledger.expire_holds(session, clock)) == [hold_id]
    database.do(lambda session: ledger.capture_hold(session, clock, hold_id=endless))
    assert balances(database) == (-10, 10)


def test_what_was_promised_is_paid_though_the_floor_rose(
    database: Database, clock: VirtualClock
) -> None:
    hold_id = database.do(lambda session: promise(session, clock, 1, 80))
    database.do(lambda session: ledger.set_floor(session, account_id=ELDER, floor=0))
    with pytest.raises(refusals.InsufficientBalance, match="Only 0"):
        database.do(lambda session: promise(session, clock, 2, 1))
    database.do(lambda session: ledger.capture_hold(session, clock, hold_id=hold_id))
    assert balances(database) == (-80, 80)
    with database.read() as session:
        assert audit_ledger(session).ok


def test_what_is_done_elsewhere_comes_into_the_books(
    database: Database, clock: VirtualClock
) -> None:
    legs = [Leg(HELPER, -50), Leg(ELDER, 50)]
    entry_id = derived_id("settled")
    with pytest.raises(refusals.InsufficientBalance):
        database.do(
            lambda session: ledger.post(session, clock, entry_id=entry_id, legs=legs, reason="x")
        )
    database.do(
        lambda session: ledger.post(
            session, clock, entry_id=entry_id, legs=legs, reason="x", is_covered=True
        )
    )
    assert balances(database) == (50, -50)


def test_a_reversal_mirrors_and_happens_once(database: Database, clock: VirtualClock) -> None:
    database.do(lambda session: pay(session, clock, 1, 60))

    def undo(session: Session, name: str) -> int:
        return ledger.reverse(
            session,
            clock,
            entry_id=derived_id(name),
            reverses=derived_id("entry", 1),
            reason="clawback",
        )

    first = database.do(lambda session: undo(session, "undo"))
    assert database.do(lambda session: undo(session, "undo")) == first
    assert balances(database) == (0, 0)
    with pytest.raises(refusals.AlreadyReversed):
        database.do(lambda session: undo(session, "undo again"))


@pytest.mark.parametrize("amount", [0, -1, AMOUNT_MAX + 1])
def test_an_amount_has_its_range(database: Database, clock: VirtualClock, amount: int) -> None:
    with pytest.raises(refusals.AmountOutOfRange):
        database.do(lambda session: pay(session, clock, 1, amount))
    with pytest.raises(refusals.AmountOutOfRange):
        database.do(lambda session: promise(session, clock, 1, amount))


def test_units_never_mix(database: Database, clock: VirtualClock) -> None:
    for act in (pay, promise):
        with pytest.raises(refusals.UnitsDiffer):
            database.do(lambda session, act=act: act(session, clock, 1, 1, payer=POINTS))  # type: ignore[misc]  # the default binds the loop's value
    database.do(lambda session: pay(session, clock, 1, 1, payer=POINTS, payee=SHOP))


def test_nobody_pays_himself(database: Database, clock: VirtualClock) -> None:
    for act in (pay, promise):
        with pytest.raises(refusals.SameAccount):
            database.do(lambda session, act=act: act(session, clock, 1, 1, payee=ELDER))  # type: ignore[misc]  # the default binds the loop's value


def test_what_does_not_exist_is_said_so(database: Database, clock: VirtualClock) -> None:
    nobody = derived_id("nobody")
    with pytest.raises(refusals.UnknownAccount):
        database.do(lambda session: pay(session, clock, 1, 1, payee=nobody))
    with pytest.raises(NotFound):
        database.do(lambda session: ledger.capture_hold(session, clock, hold_id=nobody))
    with pytest.raises(NotFound):
        database.do(
            lambda session: ledger.reverse(
                session, clock, entry_id=nobody, reverses=nobody, reason="x"
            )
        )
    with database.read() as session:
        assert ledger.balance(session, nobody) == ledger.available(session, nobody) == 0


def test_every_refusal_of_the_books_was_met_above() -> None:
    """The examples of this file name each refusal class of node/ledger/refusals.py."""
    examples = Path(__file__).read_text(encoding="utf-8")
    kinds = [name for name, kind in vars(refusals).items() if isinstance(kind, type)]
    missing = [name for name in kinds if name != "DomainError" and f".{name}" not in examples]
    assert missing == []
