"""Books as they stand before a measurement: residents, a long history, many open exchanges.

Written straight into the tables, since a million acts of domain code would take an hour; every
measurement ends with the audit that replays them all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, insert, select, update
from sqlalchemy.orm import Session

from node.exchange.home import SETTLED
from node.exchange.model import Pass, Visit
from node.kernel.db import Database
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.kernel.statements import insert_rows
from node.ledger import service as ledger
from node.ledger.model import ACCOUNT, ENTRY, HEAD, HOLD, POSTING, Unit
from node.ledger.rules import GENESIS_HASH, Leg, entry_hash

CHUNK = 10_000  # rows in one statement's list
RESIDENTS = 1_000
FIRST_MS = 1_795_000_000_000  # when the first exchange was begun, after all of the history
CODE_DIGITS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class Template:
    """Which of its rows a side copies for each further exchange."""

    is_home: bool
    exchange_id: UUID


def resident(number: int) -> UUID:
    """Resident `number` of either community."""
    return derived_id("bench resident", number % RESIDENTS)


def pass_id(number: int) -> UUID:
    """Pass `number`: at home also the id of its hold."""
    return _ordered_id(number, derived_id("bench pass", number))


def exchange_id(number: int) -> UUID:
    """Exchange `number`: at the host also the id of its hold."""
    return _ordered_id(number, derived_id("bench exchange", number))


def _ordered_id(number: int, chance: UUID) -> UUID:
    """As kernel/ids.py makes new ones: by time, a millisecond apart, then chance (version 7)."""
    chosen = chance.int & ((1 << 76) - 1) & ~(0b1111 << 62)
    return UUID(int=(FIRST_MS + number) << 80 | 7 << 76 | chosen | 0b10 << 62)


def open_accounts(database: Database, *, count: int, peer: str, limit: int) -> None:
    """Residents' accounts and those that a node opens for itself and for its peer."""
    wanted = [(ledger.clearing_account(peer), ledger.CLEARING, peer)]
    wanted += [(ledger.house_account(SETTLED, Unit.MINUTES), "house", SETTLED)]
    for number in range(count):
        owner = resident(number)
        wanted.append((ledger.resident_account(owner, Unit.MINUTES), "resident", str(owner)))

    def command(session: Session) -> None:
        for account_id, kind, owner in wanted:
            ledger.open_account(
                session,
                account_id=account_id,
                unit=Unit.MINUTES,
                kind=kind,
                owner=owner,
                floor=-limit,
            )

    database.do(command)


def write_history(database: Database, clock: Clock, *, entries: int) -> None:
    """So many entries, one minute each between two residents, on an unbroken chain."""
    accounts = [
        ledger.resident_account(resident(number), Unit.MINUTES) for number in range(RESIDENTS)
    ]
    sequence, link, balances = 0, GENESIS_HASH, [0] * RESIDENTS
    newest: list[int | None] = [None] * RESIDENTS
    while sequence < entries:
        rows, legs_rows = [], []
        for _ in range(min(CHUNK, entries - sequence)):
            sequence += 1
            payer, payee = sequence % RESIDENTS, (sequence + 1) % RESIDENTS
            legs = [Leg(accounts[payer], -1), Leg(accounts[payee], 1)]
            row: dict[str, Any] = {"sequence": sequence, "recorded_at": clock.now()}
            row |= {"reason": "exchange", "refers_to": None, "reverses": None}
            entry_id = _ordered_id(sequence - entries, derived_id("bench entry", sequence))
            following = entry_hash(link, entry_id=entry_id, legs=legs, **row)
            rows.append(row | {"id": entry_id, "previous_hash": link, "hash": following})
            for place, leg in zip((payer, payee), legs, strict=True):
                balances[place] += leg.amount
                posting = {"sequence": sequence, **leg._asdict(), "previous": newest[place]}
                legs_rows.append(posting | {"balance": balances[place]})
                newest[place] = sequence
            link = following
        database.do(partial(_insert, table=ENTRY, rows=rows))
        database.do(partial(_insert, table=POSTING, rows=legs_rows))
    changes = [
        {"key": key, "stands": balance, "newest": last}
        for key, balance, last in zip(accounts, balances, newest, strict=True)
        if last is not None
    ]

    def command(session: Session) -> None:
        session.execute(insert(HEAD).values(id=1, sequence=sequence, hash=link))
        change = (
            update(ACCOUNT)
            .where(ACCOUNT.c.id == bindparam("key"))
            .values(balance=bindparam("stands"), last_sequence=bindparam("newest"))
        )
        if changes:
            session.connection().execute(change, changes)

    database.do(command)


def clone(database: Database, template: Template, *, first: int, count: int) -> None:
    """The template's exchange `count` times more, for one resident after the other."""
    numbers = range(first, first + count)
    table = cast(Table, (Pass if template.is_home else Visit).__table__)
    with database.read() as session:
        one = dict(
            session.execute(select(table).where(table.c.id == template.exchange_id))
            .mappings()
            .one()
        )
        held = dict(
            session.execute(select(HOLD).where(HOLD.c.id == template.exchange_id)).mappings().one()
        )
    rows = _exchanges(one, numbers, is_home=template.is_home)
    holds = (held | _parties(held, number, is_home=template.is_home) for number in numbers)
    database.do(lambda session: _insert_all(session, table, rows))
    database.do(lambda session: _insert_all(session, HOLD, holds))
    more: dict[UUID, int] = {}
    for number in numbers:
        payer = _parties(held, number, is_home=template.is_home)["payer_id"]
        more[payer] = more.get(payer, 0) + held["amount"]
    rise = (
        update(ACCOUNT)
        .where(ACCOUNT.c.id == bindparam("key"))
        .values(held=ACCOUNT.c.held + bindparam("more"))
    )
    changes = [{"key": key, "more": amount} for key, amount in more.items()]
    database.do(lambda session: session.connection().execute(rise, changes) and None)


def _exchanges(one: dict[str, Any], numbers: range, *, is_home: bool) -> Iterator[dict[str, Any]]:
    for number in numbers:
        ids: dict[str, Any] = {"code": _code(number)}
        if is_home:
            ids |= {"id": pass_id(number), "exchange_id": exchange_id(number)}
            ids["resident_id"] = resident(number)
        else:
            ids |= {"id": exchange_id(number), "pass_id": pass_id(number)}
            ids["provider_id"] = resident(number)
        yield one | ids


def _parties(held: dict[str, Any], number: int, *, is_home: bool) -> dict[str, UUID]:
    account = ledger.resident_account(resident(number), Unit.MINUTES)
    if is_home:
        return {
            "id": pass_id(number),
            "payer_id": account,
            "payee_id": held["payee_id"],
        }
    return {
        "id": exchange_id(number),
        "payer_id": held["payer_id"],
        "payee_id": account,
    }


def _code(number: int) -> str:
    digits = ""
    for _ in range(8):
        number, digit = divmod(number, len(CODE_DIGITS))
        digits += CODE_DIGITS[digit]
    return digits


def _insert_all(session: Session, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    chunk = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            _insert(session, table, chunk)
            chunk = []
    if chunk:
        _insert(session, table, chunk)


def _insert(session: Session, table: Table, rows: list[dict[str, Any]]) -> None:
    insert_rows(session.connection(), table, rows)
