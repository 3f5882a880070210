"""Move value: post, hold, capture, void, reverse, always inside the caller's transaction.

Ids come from the caller and are the idempotency keys: the same id with the same content finds the
first answer, the same id with other content is refused (kernel.id_reused). Accounts, holds and the
journal's head are kept rows (kernel/rows.py), on purpose: this is the node's hottest path.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from node.kernel import rows
from node.kernel.errors import IdReused, NotFound
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.ledger.model import (
    ACCOUNT,
    ACCOUNTS,
    ENTRIES,
    ENTRY,
    HEADS,
    HOLD,
    HOLDS,
    POSTING,
    AccountRow,
    EntryRow,
    HeadRow,
    Hold,
    HoldRow,
    HoldState,
    Unit,
)
from node.ledger.refusals import (
    AlreadyReversed,
    AmountOutOfRange,
    HoldExceeded,
    HoldNotOpen,
    InsufficientBalance,
    LimitReached,
    SameAccount,
    UnitsDiffer,
    UnknownAccount,
)
from node.ledger.rules import AMOUNT_MAX, GENESIS_HASH, Leg, entry_hash

CLEARING = "clearing"  # kind of account: what we owe (+) or are owed by (-) a peer community
HEAD_ID = 1

_LEGS = select(POSTING.c.account_id, POSTING.c.amount).where(POSTING.c.sequence == bindparam("key"))


@lru_cache(maxsize=16_384)
def resident_account(resident_id: UUID, unit: Unit) -> UUID:
    """The id of a resident's account of this unit."""
    return derived_id("account", "resident", resident_id, unit)


@lru_cache(maxsize=1_024)
def house_account(name: str, unit: Unit) -> UUID:
    """The id of one of the community's own accounts, such as `issue` or `pool`."""
    return derived_id("account", "house", name, unit)


@lru_cache(maxsize=1_024)
def clearing_account(community: str) -> UUID:
    """The id of the account that keeps what we and `community` owe each other, in minutes."""
    return derived_id("account", CLEARING, community)


def open_account(
    session: Session, *, account_id: UUID, unit: Unit, kind: str, owner: str, floor: int
) -> None:
    """Make sure the account exists. Opening it again changes nothing."""
    if ACCOUNTS.get(session, account_id) is None:
        values = {"unit": unit.value, "kind": kind, "owner": owner, "floor": floor}
        ACCOUNTS.add(session, id=account_id, balance=0, held=0, last_sequence=None, **values)


def set_floor(session: Session, *, account_id: UUID, floor: int) -> None:
    """Change how far an account may fall; what already stands below stays, and can only rise."""
    ACCOUNTS.change(session, _account(session, account_id), floor=floor)


def exists(session: Session, account_id: UUID) -> bool:
    """Whether this account was ever opened."""
    found = session.execute(select(ACCOUNT.c.id).where(ACCOUNT.c.id == account_id)).first()
    return found is not None


def balance(session: Session, account_id: UUID) -> int:
    """What the account holds, promised amounts included; 0 where there is no such account."""
    if rows.are_kept(session):
        account = ACCOUNTS.get(session, account_id)
        return account.balance if account else 0
    found = session.execute(select(ACCOUNT.c.balance).where(ACCOUNT.c.id == account_id)).scalar()
    return found or 0


def clearing_balances(session: Session) -> dict[str, int]:
    """What we owe (+) or are owed by (-) each peer, in minutes."""
    accounts = select(ACCOUNT.c.owner, ACCOUNT.c.balance).where(ACCOUNT.c.kind == CLEARING)
    return {owner: balance for owner, balance in session.execute(accounts)}


def available(session: Session, account_id: UUID) -> int:
    """What the account can still give, its credit included; 0 where there is no such account."""
    if rows.are_kept(session):
        account = ACCOUNTS.get(session, account_id)
        return account.available if account else 0
    parts = ACCOUNT.c.balance - ACCOUNT.c.held - ACCOUNT.c.floor
    found = session.execute(select(parts).where(ACCOUNT.c.id == account_id)).scalar()
    return found or 0


def transfer(
    session: Session,
    clock: Clock,
    *,
    entry_id: UUID,
    payer_id: UUID,
    payee_id: UUID,
    amount: int,
    reason: str,
    refers_to: UUID | None = None,
) -> int:
    """Move `amount` from payer to payee; returns the entry's sequence number."""
    _check_amount(amount)
    legs = [Leg(payer_id, -amount), Leg(payee_id, amount)]
    return post(session, clock, entry_id=entry_id, legs=legs, reason=reason, refers_to=refers_to)


def post(
    session: Session,
    clock: Clock,
    *,
    entry_id: UUID,
    legs: Sequence[Leg],
    reason: str,
    refers_to: UUID | None = None,
    reverses: UUID | None = None,
    is_covered: bool = False,
) -> int:
    """Write one entry with its postings and extend the hash chain; returns its sequence number.

    Raises InsufficientBalance or LimitReached where a leg would push an account past its floor,
    unless it `is_covered`: promised by a hold, or already done on the chain. Such an entry must
    come into the books even when the floor was raised in between.
    """
    if (known := ENTRIES.get_if_known(session, entry_id)) is not None:
        _check_same(known, _legs_of(session, known.sequence), legs, (reason, refers_to, reverses))
        return known.sequence
    marks = (reason, refers_to, reverses)
    return _write(session, clock, entry_id=entry_id, legs=legs, marks=marks, is_covered=is_covered)


def reverse(session: Session, clock: Clock, *, entry_id: UUID, reverses: UUID, reason: str) -> int:
    """Undo an entry by writing its mirror; the first stays. An entry is reversed at most once."""
    original = _entry(session, reverses)
    earlier = session.execute(select(ENTRY.c.id).where(ENTRY.c.reverses == reverses)).scalar()
    if earlier is not None and earlier != entry_id:
        raise AlreadyReversed(entry=str(reverses))
    legs = [Leg(leg.account_id, -leg.amount) for leg in _legs_of(session, original.sequence)]
    return post(session, clock, entry_id=entry_id, legs=legs, reason=reason, reverses=reverses)


def place_hold(
    session: Session,
    clock: Clock,
    *,
    hold_id: UUID,
    payer_id: UUID,
    payee_id: UUID,
    amount: int,
    expires_at: datetime | None,
    reason: str,
) -> None:
    """Keep `amount` back from the payer until it is captured, voided, or `expires_at` has come."""
    _check_amount(amount)
    known = HOLDS.get(session, hold_id)
    if known is not None:
        if (known.payer_id, known.payee_id, known.amount) != (payer_id, payee_id, amount):
            raise IdReused(id=str(hold_id))
        return
    if ENTRIES.get(session, hold_id) is not None:  # its capture will write an entry of its id
        raise IdReused(id=str(hold_id))
    if payer_id == payee_id:
        raise SameAccount(entry=str(hold_id))
    payer, payee = _account(session, payer_id), _account(session, payee_id)
    if payer.unit != payee.unit:
        raise UnitsDiffer(entry=str(hold_id))
    if payer.available < amount:
        raise _refusal(payer, amount)
    ACCOUNTS.change(session, payer, held=payer.held + amount)
    HOLDS.add(
        session,
        id=hold_id,
        payer_id=payer_id,
        payee_id=payee_id,
        amount=amount,
        reason=reason,
        state=HoldState.OPEN,
        placed_at=clock.now(),
        expires_at=expires_at,
        closed_at=None,
        captured_amount=None,
    )


def check_no_hold(session: Session, entry_id: UUID) -> None:
    """Refuse an id, chosen by a caller, that a hold has: its capture writes an entry of that id."""
    if HOLDS.get(session, entry_id) is not None:
        raise IdReused(id=str(entry_id))


def load_holds(session: Session, hold_ids: Sequence[UUID]) -> None:
    """Read in two statements what capturing or voiding these holds will look at."""
    HOLDS.load(session, hold_ids)
    found = [HOLDS.get(session, hold_id) for hold_id in hold_ids]
    ACCOUNTS.load(session, [key for one in found if one for key in (one.payer_id, one.payee_id)])


def capture_hold(
    session: Session, clock: Clock, *, hold_id: UUID, amount: int | None = None
) -> int:
    """Turn promised value into paid value (all of it, or `amount`) and release the rest.

    Returns the entry's sequence number; the entry's id is the hold's. A second capture of the same
    amount finds the first one's entry; of another amount it is refused.
    """
    hold = _hold(session, hold_id)
    amount = hold.amount if amount is None else amount
    if hold.state == HoldState.CAPTURED and hold.captured_amount == amount:
        return _entry(session, hold_id).sequence
    _check_open(hold)
    if hold.expires_at is not None and hold.expires_at <= clock.now():  # not yet swept up
        raise HoldNotOpen(hold=str(hold_id), state=HoldState.EXPIRED)
    _check_amount(amount)
    if amount > hold.amount:
        raise HoldExceeded(hold=str(hold_id), amount=hold.amount, needed=amount)
    if ENTRIES.get_if_known(session, hold_id) is not None:
        raise IdReused(id=str(hold_id))
    _close_hold(session, clock, hold, HoldState.CAPTURED, captured_amount=amount)
    legs = (Leg(hold.payer_id, -amount), Leg(hold.payee_id, amount))
    marks = (hold.reason, None, None)
    return _write(session, clock, entry_id=hold_id, legs=legs, marks=marks, is_covered=True)


def void_hold(session: Session, clock: Clock, *, hold_id: UUID) -> None:
    """Give the promised value back to the payer. Voiding twice is once."""
    hold = _hold(session, hold_id)
    if hold.state in (HoldState.VOIDED, HoldState.EXPIRED):
        return
    _check_open(hold)
    _close_hold(session, clock, hold, HoldState.VOIDED)


def expire_holds(session: Session, clock: Clock) -> list[UUID]:
    """Give back what was promised and not claimed in time; returns the holds' ids."""
    overdue = select(HOLD.c.id).where(
        HOLD.c.state == HoldState.OPEN, HOLD.c.expires_at <= clock.now()
    )
    hold_ids = session.execute(overdue).scalars().all()
    load_holds(session, hold_ids)
    for hold_id in hold_ids:
        _close_hold(session, clock, _hold(session, hold_id), HoldState.EXPIRED)
    return list(hold_ids)


def hold(session: Session, hold_id: UUID) -> Hold | None:
    """The hold as it stands, to read."""
    return session.get(Hold, hold_id, populate_existing=True)


def _write(
    session: Session,
    clock: Clock,
    *,
    entry_id: UUID,
    legs: Sequence[Leg],
    marks: tuple[str, UUID | None, UUID | None],
    is_covered: bool,
) -> int:
    moved = _moved(session, entry_id, legs, is_covered=is_covered)
    head = _head(session)
    sequence, recorded_at = head.sequence + 1, clock.now()
    reason, refers_to, reverses = marks
    link = entry_hash(
        head.hash,
        sequence=sequence,
        entry_id=entry_id,
        recorded_at=recorded_at,
        reason=reason,
        refers_to=refers_to,
        reverses=reverses,
        legs=legs,
    )
    row = {"sequence": sequence, "id": entry_id, "recorded_at": recorded_at, "reason": reason}
    row |= {"refers_to": refers_to, "reverses": reverses, "previous_hash": head.hash, "hash": link}
    ENTRIES.add(session, **row)
    for account, amount in moved:
        balance, previous = account.balance + amount, account.last_sequence
        posting = {"sequence": sequence, "account_id": account.id, "amount": amount}
        rows.add(session, POSTING, posting | {"previous": previous, "balance": balance})
        ACCOUNTS.change(session, account, balance=balance, last_sequence=sequence)
    HEADS.change(session, head, sequence=sequence, hash=link)
    return sequence


def _moved(
    session: Session, entry_id: UUID, legs: Sequence[Leg], *, is_covered: bool
) -> list[tuple[AccountRow, int]]:
    assert len(legs) >= 2, "an entry has at least two legs"
    moved = [(_account(session, account_id), amount) for account_id, amount in legs]
    if len({id(account) for account, _ in moved}) != len(moved):  # kept: one row, one object
        raise SameAccount(entry=str(entry_id))
    if len({account.unit for account, _ in moved}) != 1:
        raise UnitsDiffer(entry=str(entry_id))
    total = 0
    for account, amount in moved:
        assert amount, "a leg moves something"
        if amount < 0 and not is_covered and account.available < -amount:
            raise _refusal(account, -amount)
        total += amount
    assert total == 0, "an entry sums to zero"
    return moved


def _refusal(account: AccountRow, needed: int) -> InsufficientBalance | LimitReached:
    kind = LimitReached if account.kind == CLEARING else InsufficientBalance
    return kind(available=max(0, account.available), unit=account.unit, needed=needed)


def _account(session: Session, account_id: UUID) -> AccountRow:
    account = ACCOUNTS.get(session, account_id)
    if account is None:
        raise UnknownAccount(account=str(account_id))
    return account


def _hold(session: Session, hold_id: UUID) -> HoldRow:
    found = HOLDS.get(session, hold_id)
    if found is None:
        raise NotFound(what="hold", id=str(hold_id))
    return found


def _entry(session: Session, entry_id: UUID) -> EntryRow:
    found = ENTRIES.get(session, entry_id)
    if found is None:
        raise NotFound(what="entry", id=str(entry_id))
    return found


def _head(session: Session) -> HeadRow:
    head = HEADS.get(session, HEAD_ID)
    if head is None:
        HEADS.add(session, id=HEAD_ID, sequence=0, hash=GENESIS_HASH)
        head = HEADS.get(session, HEAD_ID)
        assert head is not None, "just added"
    return head


def _close_hold(
    session: Session,
    clock: Clock,
    hold: HoldRow,
    state: HoldState,
    *,
    captured_amount: int | None = None,
) -> None:
    payer = _account(session, hold.payer_id)
    ACCOUNTS.change(session, payer, held=payer.held - hold.amount)
    HOLDS.change(session, hold, state=state, closed_at=clock.now(), captured_amount=captured_amount)


def _legs_of(session: Session, sequence: int) -> list[Leg]:
    return [Leg(*row) for row in session.execute(_LEGS, {"key": sequence})]


def _check_same(
    known: EntryRow, known_legs: Sequence[Leg], legs: Sequence[Leg], marks: tuple[Any, ...]
) -> None:
    same = sorted(known_legs) == sorted(legs)
    if not same or (known.reason, known.refers_to, known.reverses) != marks:
        raise IdReused(id=str(known.id))


def _check_open(hold: HoldRow) -> None:
    if hold.state != HoldState.OPEN:
        raise HoldNotOpen(hold=str(hold.id), state=hold.state)


def _check_amount(amount: int) -> None:
    if not 0 < amount <= AMOUNT_MAX:
        raise AmountOutOfRange(amount=amount, limit=AMOUNT_MAX)
