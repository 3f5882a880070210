"""Looks at every community's file with eyes of its own, after every commit, and says what is wrong.

It reads plain SQL and shares no code with the ledger: what the two agree on was found twice.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from node.kernel.ids import step_id
from simulation.history import History
from simulation.scenario import LIAR

GIFT, REVERSAL = "gift", "reversal"
IN_DOUBT = {
    "capture": ("visit", "confirmed"),
    GIFT: ("gift", "sent"),
    REVERSAL: ("reversal", "agreed"),
}
"""Where the half of a receipt that comes second waits, and in which state."""
ACCOUNTS = """
SELECT COALESCE(SUM(CASE WHEN unit = 'minutes' THEN balance END), 0),
       COALESCE(SUM(CASE WHEN unit = 'points' THEN balance END), 0),
       MIN(balance - held - floor), MIN(held),
       COALESCE(SUM(CASE WHEN kind = 'clearing' OR owner = 'settled' THEN balance END), 0)
FROM account"""
PASSES = """
SELECT pass.id, pass.state, pass.minutes, hold.state, hold.captured_amount
FROM pass LEFT JOIN hold ON hold.id = pass.id"""
VISITS = """
SELECT visit.id, visit.state, visit.minutes, hold.state, hold.captured_amount
FROM visit LEFT JOIN hold ON hold.id = visit.id"""
HOLD_OF_PASS: Mapping[str, Set[str | None]] = {
    "issued": {"open"},
    "accepted": {"open"},
    "captured": {"captured"},
    "released": {"voided"},
    "voided": {"voided"},
    "expired": {"voided", "expired"},
}
GIFTS = """
SELECT gift.id, gift.state, gift.minutes, hold.state, hold.captured_amount
FROM gift LEFT JOIN hold ON hold.id = gift.id"""
HOLD_OF_GIFT: Mapping[str, Set[str | None]] = {
    "sent": {"open"},
    "accepted": {"captured"},
    "refused": {"voided"},
    "received": {None},
}
REVERSALS = """
SELECT reversal.id, reversal.state || CASE WHEN gives_back THEN ' by us' ELSE '' END,
       reversal.minutes, hold.state, hold.captured_amount
FROM reversal LEFT JOIN hold ON hold.id = reversal.id"""
HOLD_OF_REVERSAL: Mapping[str, Set[str | None]] = {
    "asked": {None},
    "asked by us": {None},
    "offered": {None},
    "offered by us": {"open"},
    "agreed": {"open"},
    "reversed": {"captured"},
    "reversed by us": {"captured"},
    "declined": {None, "voided"},
    "declined by us": {None, "voided"},
}
HOLD_OF_VISIT: Mapping[str, Set[str | None]] = {
    "presented": {None},
    "accepted": {"open"},
    "delivered": {"open"},
    "confirmed": {"open"},
    "captured": {"captured"},
    "released": {None, "voided"},
    "refused": {None, "voided"},
}


class Debt(NamedTuple):
    """A receipt: `debtor` owes `creditor` these minutes."""

    kind: str  # capture, gift or reversal
    debtor: str
    creditor: str
    minutes: int


class Dispute(NamedTuple):
    """How a dispute about an exchange stands on one side."""

    exchange: str
    peer: str
    state: str
    own_verdict: int | None  # what the arbiter here said last
    verdict: int | None  # minutes that both arbiters gave back
    refusal: str | None  # what stands in the verdict's way

    def agrees_with(self, other: "Dispute") -> bool:
        """Whether the arbiters of both sides said the same."""
        return self.own_verdict is not None and self.own_verdict == other.own_verdict


@dataclass
class Receipts:
    """All receipts of the district as each side first wrote them, by exchange id.

    A debtor writes first, since whoever was promised credits on its word alone; of a gift the
    creditor does, since it decides.
    """

    debts: dict[str, Debt] = field(default_factory=dict)
    credits: dict[str, Debt] = field(default_factory=dict)
    owed: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def sides(self, kind: str, *, is_debt: bool) -> tuple[dict[str, Debt], dict[str, Debt], bool]:
        """Where this receipt belongs, where its other half stands, and whether that came first."""
        if is_debt:
            return self.debts, self.credits, kind == GIFT
        return self.credits, self.debts, kind != GIFT

    def in_flight(self, community: str) -> list[tuple[str, str]]:
        """Exchanges (kind, id) that another side has booked and this one has not yet."""
        here = self.debts.keys() ^ self.credits.keys()
        return [
            (debt.kind, one)
            for one in here
            for debt in (self.debts.get(one) or self.credits[one],)
            if community == (debt.debtor if one in self.credits else debt.creditor)
        ]


class Witness:
    """One community's books as anyone with the file can read them."""

    def __init__(self, name: str, file: Path, history: History, receipts: Receipts) -> None:
        self.name = name
        self._history = history
        self._receipts = receipts
        self._file = sqlite3.connect(file, isolation_level=None)
        self._file.execute("PRAGMA query_only=ON")
        self._version = 0
        self._last_receipt = 0
        self._head: tuple[int, str] = (0, "")
        self._promises: dict[tuple[str, str], Set[str]] = {}

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def promise(self, table: str, row_id: UUID, states: Set[str]) -> None:
        """Somebody was told that this is done: from now on the row is in one of `states`."""
        self._promises[table, row_id.hex] = states

    def after_commit(self) -> bool:
        """What must hold after every commit; False when nothing was written."""
        [version] = self._one("PRAGMA data_version")
        if version == self._version:
            return False
        self._version = version
        self._read_receipts()
        self._check_accounts()
        self._check_in_flight()
        self._head = self._one("SELECT sequence, hash FROM journal_head") or self._head
        return True

    def after_restart(self) -> None:
        """What was committed, and what anybody was told, is still there."""
        self.after_commit()
        sequence, digest = self._head
        if sequence:
            found = self._one("SELECT hash FROM journal_entry WHERE sequence = ?", sequence)
            self._require(found == (digest,), "entry_lost", f"entry {sequence} is gone")
        for table in {table for table, _ in self._promises}:
            # The table's name is from our own code.
            states = dict(self._file.execute(f"SELECT id, state FROM {table}"))  # noqa: S608
            for (where, row_id), allowed in self._promises.items():
                if where == table and states.get(row_id) not in allowed:
                    words = f"{table} {row_id[:8]} is {states.get(row_id)}, told was {allowed}"
                    self._require(False, "act_lost", words)
        self.structure()

    def structure(self) -> None:
        """What is promised fits its hold, and every question that somebody waits for is asked."""
        for kind, query, holds in (
            ("pass", PASSES, HOLD_OF_PASS),
            ("visit", VISITS, HOLD_OF_VISIT),
            ("gift", GIFTS, HOLD_OF_GIFT),
            ("reversal", REVERSALS, HOLD_OF_REVERSAL),
        ):
            for row_id, state, minutes, hold, captured in self._file.execute(query):
                is_right = hold in holds[state] and (hold != "captured" or minutes == captured)
                words = f"{kind} {row_id[:8]} is {state}, its hold is {hold}"
                self._require(is_right, f"{kind}_hold", words)
        differing = (
            "SELECT pass.id FROM pass JOIN receipt ON receipt.exchange_id = pass.exchange_id "
            "WHERE receipt.minutes <> pass.minutes OR pass.minutes > pass.minutes_up_to"
        )
        found = self._one(differing)
        self._require(not found, "pass_receipt", f"pass {found} is not what its receipt says")
        messages = dict(self._file.execute("SELECT id, state FROM outbox_message"))
        for row_id, state in self._file.execute("SELECT id, state FROM visit"):
            asked = {
                kind: messages.get(step_id(UUID(row_id), kind).hex)
                for kind in ("present", "capture")
            }
            waits = {"presented": "present", "confirmed": "capture"}.get(state)
            is_asked = asked["present"] is not None and (waits is None or asked[waits] == "waiting")
            words = f"visit {row_id[:8]} is {state}, its questions are {asked}"
            self._require(is_asked, "question_lost", words)
            is_early = asked["capture"] is not None and state in ("presented", "accepted")
            self._require(not is_early, "question_early", words)

    def pass_states(self) -> dict[str, str]:
        """The states of passes by the exchange that they are bound to."""
        bound = "SELECT exchange_id, state FROM pass WHERE exchange_id IS NOT NULL"
        return dict(self._file.execute(bound))

    def visits(self) -> dict[str, tuple[str, str]]:
        """Home and state of visits."""
        rows = self._file.execute("SELECT id, home, state FROM visit")
        return {row_id: (home, state) for row_id, home, state in rows}

    def disputes(self) -> dict[str, Dispute]:
        """How each dispute stands here."""
        columns = "id, exchange_id, peer, state, our_verdict, verdict_minutes, refusal"
        rows = self._file.execute(f"SELECT {columns} FROM dispute")  # noqa: S608 (our own)
        return {row_id: Dispute(*rest) for row_id, *rest in rows}

    def reversed_minutes(self) -> dict[str, int]:
        """Minutes that went back in all, by the exchange that they had been paid for."""
        parts = "SELECT exchange_id, SUM(minutes) FROM reversal WHERE state = 'reversed'"
        return dict(self._file.execute(f"{parts} GROUP BY exchange_id"))

    def clearing(self) -> dict[str, int]:
        """What the clearing accounts show, in minutes."""
        return dict(
            self._file.execute("SELECT owner, balance FROM account WHERE kind = 'clearing'")
        )

    def settled(self) -> int:
        """What the books say of our balance on the chain, in minutes."""
        [minutes] = self._one("SELECT balance FROM account WHERE owner = 'settled'")
        return -int(minutes)

    def head(self) -> str:
        """The hash of the journal's last entry."""
        return self._head[1]

    def journal_length(self) -> int:
        """Entries in the journal."""
        return self._head[0]

    def held(self) -> int:
        """Minutes that promises keep back, over all accounts."""
        return int(self._one("SELECT SUM(held) FROM account")[0])

    def has_evidence(self, payload: bytes) -> bool:
        """Whether these signed bytes were kept as something that should not have been said."""
        return bool(self._one("SELECT 1 FROM evidence WHERE payload = ?", payload))

    def next_due(self) -> datetime | None:
        """When the next waiting message may be tried."""
        [text] = self._one(
            "SELECT MIN(next_attempt_at) FROM outbox_message WHERE state = 'waiting'"
        )
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None

    def waiting_count(self) -> int:
        """Messages to honest communities that have no answer yet."""
        waiting = "SELECT COUNT(*) FROM outbox_message WHERE state = 'waiting' AND recipient <> ?"
        return int(self._one(waiting, LIAR)[0])

    def _check_accounts(self) -> None:
        minutes, points, room, held, owed = self._one(ACCOUNTS)
        total = f"{self.name}'s minutes sum to {minutes}, its points to {points}"
        self._require(minutes == 0 == points, "sum_not_zero", total)
        self._require(room >= 0, "past_limit", f"an account is {-room} past its limit")
        self._require(held >= 0, "held_negative", f"an account keeps {held} back")
        proven = self._receipts.owed[self.name]
        words = f"{self.name} owes {owed} minutes by its accounts, {proven} by its receipts"
        self._require(owed == proven, "minutes_not_conserved", words)

    def _read_receipts(self) -> None:
        new = "SELECT rowid, exchange_id, kind, peer, is_debt, minutes FROM receipt WHERE rowid > ?"
        for rowid, exchange, kind, peer, is_debt, minutes in self._file.execute(
            new, (self._last_receipt,)
        ):
            self._last_receipt = rowid
            debtor, creditor = (self.name, peer) if is_debt else (peer, self.name)
            debt = Debt(kind, debtor, creditor, minutes)
            own, other, is_second = self._receipts.sides(kind, is_debt=bool(is_debt))
            self._require(exchange not in own, "booked_twice", f"{exchange[:8]} is here twice")
            own[exchange] = debt
            self._receipts.owed[self.name] += minutes if is_debt else -minutes
            if peer != LIAR and (is_second or exchange in other):
                words = f"booked {debt}, the other side has {other.get(exchange)}"
                self._require(other.get(exchange) == debt, "booked_without_proof", words)
                self._history.exchanges += kind != REVERSAL

    def _check_in_flight(self) -> None:
        """What the other side has booked is still promised here."""
        for kind, exchange in self._receipts.in_flight(self.name):
            table, state = IN_DOUBT[kind]
            found = self._one(
                f"SELECT {table}.state, hold.state FROM {table} "  # noqa: S608 (our own tables)
                f"LEFT JOIN hold ON hold.id = {table}.id WHERE {table}.id = ?",
                exchange,
            )
            words = f"{kind} {exchange[:8]} is booked there; here it and its hold are {found}"
            self._require(found == (state, "open"), "given_back_in_doubt", words)

    def _one(self, query: str, *values: object) -> tuple[Any, ...]:
        return self._file.execute(query, values).fetchone() or ()

    def _require(self, is_right: bool, kind: str, words: str) -> None:
        if not is_right:
            self._history.violated(kind, f"{self.name}: {words}")
