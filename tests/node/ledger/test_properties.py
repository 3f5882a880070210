"""Random acts by random residents, and what must hold after each of them."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.kernel.clock import VirtualClock
from node.kernel.db import Base, open_engine, savepoint
from node.kernel.errors import DomainError, IdReused
from node.kernel.ids import derived_id
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.model import ACCOUNT, ENTRY, HEAD, HOLD, POSTING, HoldState, Unit

PURSES = [
    (derived_id("purse", number), unit, floor)
    for number, (unit, floor) in enumerate(
        [
            (Unit.MINUTES, -120),
            (Unit.MINUTES, 0),
            (Unit.MINUTES, -60),
            (Unit.POINTS, -500),
            (Unit.POINTS, 0),
        ]
    )
]
purses = st.sampled_from([account_id for account_id, _, _ in PURSES])
amounts = st.integers(min_value=-1, max_value=130)
Act = Callable[[], object]


class Books(RuleBasedStateMachine):
    """The real books in memory; every act may be refused, and a refused one changes nothing."""

    entries = Bundle("entries")
    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.engine = open_engine("sqlite://")
        Base.metadata.create_all(self.engine, tables=[ACCOUNT, ENTRY, POSTING, HEAD, HOLD])
        self.session = Session(self.engine)
        self.count = 0
        self.written: list[tuple[object, ...]] = []
        for account_id, unit, floor in PURSES:
            ledger.open_account(
                self.session, account_id=account_id, unit=unit, kind="test", owner="x", floor=floor
            )

    def teardown(self) -> None:
        self.session.close()
        self.engine.dispose()

    def name(self) -> UUID:
        self.count += 1
        return derived_id("act", self.count)

    def attempt(self, act: Act) -> bool:
        """Whether the books took it; done twice, since the same id must give the same answer."""
        try:
            with savepoint(self.session):
                first = act()
        except DomainError:
            return False
        before = self.state()
        assert act() == first
        assert self.state() == before
        return True

    def state(self) -> list[object]:
        tables = (ACCOUNT.c.balance, ACCOUNT.c.held)
        return [
            *self.session.execute(select(*tables).order_by(ACCOUNT.c.id)).all(),
            self.session.scalar(select(func.count()).select_from(ENTRY)),
        ]

    @rule(target=entries, payer=purses, payee=purses, amount=amounts)
    def transfer(self, payer: UUID, payee: UUID, amount: int) -> UUID:
        entry_id = self.name()

        def act(amount: int = amount) -> int:
            return ledger.transfer(
                self.session,
                self.clock,
                entry_id=entry_id,
                payer_id=payer,
                payee_id=payee,
                amount=amount,
                reason="exchange",
            )

        if self.attempt(act):
            self.refuses_other_content(lambda: act(amount + 1))
        return entry_id

    @rule(
        target=holds,
        payer=purses,
        payee=purses,
        amount=amounts,
        days=st.one_of(st.none(), st.integers(1, 5)),
    )
    def place(self, payer: UUID, payee: UUID, amount: int, days: int | None) -> UUID:
        hold_id = self.name()
        expires_at = None if days is None else self.clock.now() + timedelta(days=days)

        def act(amount: int = amount) -> None:
            ledger.place_hold(
                self.session,
                self.clock,
                hold_id=hold_id,
                payer_id=payer,
                payee_id=payee,
                amount=amount,
                expires_at=expires_at,
                reason="exchange",
            )

        if self.attempt(act):
            self.refuses_other_content(lambda: act(amount + 1))
        return hold_id

    @rule(target=entries, hold_id=holds, amount=st.one_of(st.none(), amounts))
    def capture(self, hold_id: UUID, amount: int | None) -> UUID:
        self.attempt(
            lambda: ledger.capture_hold(self.session, self.clock, hold_id=hold_id, amount=amount)
        )
        return hold_id

    @rule(hold_id=holds)
    def void(self, hold_id: UUID) -> None:
        self.attempt(lambda: ledger.void_hold(self.session, self.clock, hold_id=hold_id))

    @rule(hours=st.integers(1, 60))
    def let_time_pass(self, hours: int) -> None:
        self.clock.advance(timedelta(hours=hours))
        expired = ledger.expire_holds(self.session, self.clock)
        assert ledger.expire_holds(self.session, self.clock) == []
        for hold_id in expired:
            assert not self.attempt(
                lambda hold_id=hold_id: ledger.capture_hold(  # type: ignore[misc]  # the default binds the loop's value
                    self.session, self.clock, hold_id=hold_id
                )
            )

    @rule(target=entries, reverses=entries)
    def reverse(self, reverses: UUID) -> UUID:
        entry_id = self.name()
        self.attempt(
            lambda: ledger.reverse(
                self.session, self.clock, entry_id=entry_id, reverses=reverses, reason="clawback"
            )
        )
        return entry_id

    def refuses_other_content(self, act: Act) -> None:
        before = self.state()
        try:
            with savepoint(self.session):
                act()
        except IdReused:
            assert self.state() == before
        else:
            raise AssertionError("other content under a known id was taken")

    @invariant()
    def every_unit_sums_to_zero(self) -> None:
        sums = select(ACCOUNT.c.unit, func.sum(ACCOUNT.c.balance)).group_by(ACCOUNT.c.unit)
        assert all(total == 0 for _, total in self.session.execute(sums))

    @invariant()
    def nobody_passes_the_floor(self) -> None:
        for account in self.session.execute(select(ACCOUNT)):
            assert account.balance - account.held >= account.floor
            assert account.held >= 0

    @invariant()
    def held_is_what_open_holds_promise(self) -> None:
        promised = (
            select(HOLD.c.payer_id, func.sum(HOLD.c.amount))
            .where(HOLD.c.state == HoldState.OPEN)
            .group_by(HOLD.c.payer_id)
        )
        sums = {payer_id: amount for payer_id, amount in self.session.execute(promised)}
        for account in self.session.execute(select(ACCOUNT)):
            assert account.held == sums.get(account.id, 0)

    @invariant()
    def nothing_changes_after_it_was_written(self) -> None:
        joined = (
            select(ENTRY, POSTING.c.account_id, POSTING.c.amount)
            .join(POSTING, POSTING.c.sequence == ENTRY.c.sequence)
            .order_by(ENTRY.c.sequence, POSTING.c.account_id)
        )
        now = [tuple(row) for row in self.session.execute(joined)]
        assert now[: len(self.written)] == self.written
        self.written = now

    @invariant()
    def the_audit_agrees(self) -> None:
        audit = audit_ledger(self.session)
        assert audit.ok, audit.problem


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=60, stateful_step_count=25)
