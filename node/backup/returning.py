"""After a restore: each neighbour's receipts since the backup are fetched before we answer it.

A node that woke up with an old memory would refuse what it has promised since: a pass that it no
longer knows as accepted, a capture of minutes that are free again in its books. So it compares each
day since its backup with each neighbour first, and until a neighbour's days are the same its
questions get no answer, which their side takes for a bad line and asks again. What a neighbour
holds our signature for comes back this way; what nobody else has is lost (docs/operations.md).
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from node.backup.marks import Restored, caught_up, restored
from node.exchange import receipts
from node.exchange.messages import CompareReceipts, FetchReceipts
from node.exchange.model import Comparison
from node.exchange.rules import COMPARE_DAYS_MAX, ComparisonState
from node.kernel.db import Database
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Envelope, Sealer
from node.kernel.ports import Clock
from node.outbox import service as outbox
from node.outbox.model import OUTBOX, OutboxMessage, OutboxState

TRIES_BEFORE = 4  # of the tries a day has: their ids must not be those that the lost books used
CLOCKS_APART = timedelta(hours=1)  # a day at the edge of the backup is compared too
LOOK_SECONDS = 5.0  # between two looks at what neighbours have answered
COMPARING = ("CompareReceipts", "FetchReceipts")

Answer = Callable[[Session, Envelope], Body]

log = structlog.get_logger()


class StillComparing(Exception):
    """No answer yet, not even a refusal: those are given for ever."""


class Returning:
    """What a restored node does before it answers; for any other node it does nothing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._mark = restored(directory)

    @property
    def is_over(self) -> bool:
        return self._mark is None

    def ask(self, session: Session, clock: Clock, sealer: Sealer, peers: Iterable[str]) -> int:
        """Ask each neighbour about each day since the backup, once; how many questions are new."""
        if self._mark is None:
            return 0
        today = receipts.day_of(clock.now())
        since = receipts.day_of(self._mark.taken_at - CLOCKS_APART)
        first, asked = max(since, today - COMPARE_DAYS_MAX), 0
        for peer in sorted(set(peers)):
            for day in range(first, today + 1):
                asked += _ask(session, clock, sealer, self._mark, peer=peer, day=day)
        return asked

    def guarded(self, answer: Answer) -> Answer:
        """`answer`, but silent to a neighbour whose days were not yet compared."""

        def answer_if_compared(session: Session, question: Envelope) -> Body:
            is_part_of_it = isinstance(question.body, CompareReceipts | FetchReceipts)
            if not is_part_of_it and self._waits_for(session, question.sender):
                raise StillComparing
            return answer(session, question)

        return answer_if_compared

    def finish(self, session: Session, clock: Clock, peers: Iterable[str]) -> bool:
        """Is there nobody left to compare with? Then this node is like any other again."""
        if self._mark is None:
            return True
        waiting = [peer for peer in sorted(set(peers)) if self._waits_for(session, peer)]
        if waiting:
            log.warning("restored_waits_for", peers=waiting)
            return False
        self._forget_today(
            session, receipts.day_of(clock.now())
        )  # it goes on, and is compared again when it is over
        caught_up(self._directory)
        log.warning("restored_and_compared", entries=self._mark.entries)
        self._mark = None
        return True

    async def run(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        peers: Callable[[], Iterable[str]],
    ) -> None:
        """Ask, and look again until all have answered."""
        while not self.is_over:
            known = list(peers())
            await database.run(partial(self.ask, clock=clock, sealer=sealer, peers=known))
            if not await database.run(partial(self.finish, clock=clock, peers=known)):
                await asyncio.sleep(LOOK_SECONDS)

    def _forget_today(self, session: Session, today: int) -> None:
        same = Comparison.state == ComparisonState.SAME
        session.execute(delete(Comparison).where(Comparison.day == today, same))

    def _waits_for(self, session: Session, peer: str) -> bool:
        """Was a question about the days since the backup, or for a receipt, not answered yet?"""
        if self._mark is None:
            return False
        day = receipts.day_of(self._mark.taken_at - CLOCKS_APART)
        never = select(func.count()).where(Comparison.peer == peer, Comparison.day >= day)
        if not session.scalar(never):
            return True
        waiting = select(func.count()).where(
            OUTBOX.c.recipient == peer,
            OUTBOX.c.kind.in_(COMPARING),
            OUTBOX.c.state == OutboxState.WAITING,
        )
        return bool(session.scalar(waiting))


def _ask(
    session: Session, clock: Clock, sealer: Sealer, mark: Restored, *, peer: str, day: int
) -> bool:
    message_id = derived_id("restored", mark.id, peer, day)
    if session.get(OutboxMessage, message_id) is not None:
        return False
    row = session.get(Comparison, (peer, day))
    if row is None:
        row = Comparison(peer=peer, day=day, asked_at=clock.now(), state=ComparisonState.SAME)
        session.add(row)
    row.state, row.tries, row.asked_at = ComparisonState.ASKED, TRIES_BEFORE, clock.now()
    lines = receipts.of_day(session, sealer.community, peer, day)
    we_owe = [line for line in lines if line.debtor == sealer.community]
    you_owe = [line for line in lines if line.debtor == peer]
    outbox.enqueue(
        session,
        clock,
        sealer,
        message_id=message_id,
        recipient=peer,
        body=CompareReceipts(day, receipts.summary(we_owe), receipts.summary(you_owe)),
    )
    return True
