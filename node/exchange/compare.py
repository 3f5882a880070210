"""Each day's receipts with each peer, compared with the peer's own; what is missing comes home.

Each side asks for itself: it sends count, minutes and Merkle root of both directions, and where
the books differ it gets every receipt by name, a page at a time, asks for proof of what it lacks,
and books what a signature proves. What nobody can prove is opened as a dispute. Every function runs
inside the caller's transaction; the serving node and the simulation call `compare_due`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.exchange import dispute, judged, receipts, rules
from node.exchange.messages import (
    CompareReceipts,
    FetchReceipts,
    ReceiptLine,
    ReceiptsCompared,
    Summary,
)
from node.exchange.model import Comparison, ReceiptRecord
from node.exchange.rules import ComparisonState, DisputeCode
from node.kernel.errors import BadInput, DomainError
from node.kernel.ids import derived_id
from node.kernel.messages import Envelope, Refusal, Sealer
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.outbox import service as outbox
from node.outbox.model import OUTBOX

ASKED_AT_ONCE = 500  # message ids in one look into the outbox

log = structlog.get_logger()


class _Books(NamedTuple):
    """One day's receipts with one peer, by direction."""

    we_owe: list[ReceiptLine]
    you_owe: list[ReceiptLine]

    def behind(self, after: UUID | None) -> list[ReceiptLine]:
        """All with a larger id, in the order of their ids."""
        both = (line for line in (*self.we_owe, *self.you_owe) if _is_behind(line.id, after))
        return sorted(both, key=lambda line: line.id)


class _Page(NamedTuple):
    """Where our books and the receipts that one answer names differ, by id."""

    missing_here: list[UUID]
    missing_there: list[UUID]
    differing: list[UUID]
    last: UUID | None  # the other side has more behind this one


def compare_due(session: Session, clock: Clock, sealer: Sealer) -> int:
    """Ask every peer about each past day not yet compared; returns how many questions that were.

    A day without receipts here asks nothing: if the other side has one, it asks us.
    """
    today, asked = receipts.day_of(clock.now()), 0
    newest = select(Comparison.peer, func.max(Comparison.day)).group_by(Comparison.peer)
    last_days: dict[str, int] = {peer: day for peer, day in session.execute(newest)}
    for peer in sorted(ledger.clearing_balances(session)):
        asked += _begin_until(session, clock, sealer, peer, last_days.get(peer), end=today)
    again = select(Comparison).where(
        Comparison.state == ComparisonState.DIFFERS,
        Comparison.asked_at <= clock.now() - rules.COMPARE_AGAIN,
    )
    for row in session.scalars(again).all():
        _ask(session, clock, sealer, row)
        asked += 1
    judged.make_same(session, clock, sealer)
    for judged_one in judged.missing(session, clock):
        fetch(session, clock, sealer, peer=judged_one.peer, ids=[judged_one.exchange_id])
    return asked


def answer(session: Session, clock: Clock, sealer: Sealer, question: Envelope) -> ReceiptsCompared:
    """What our books say of that day; where they differ, by name, and then we ask as well."""
    said = question.body
    assert isinstance(said, CompareReceipts)
    today = receipts.day_of(clock.now())
    if not 0 <= said.day <= today:
        raise BadInput(field="day", problem="this day is not over here")
    peer, ours = question.sender, _books(session, question.recipient, question.sender, said.day)
    we_owe, you_owe = receipts.summary(ours.we_owe), receipts.summary(ours.you_owe)
    row = session.get(Comparison, (peer, said.day))
    if (we_owe, you_owe) == (said.you_owe, said.we_owe):
        if row is not None and row.state == ComparisonState.DIFFERS:
            _same(row)
        return ReceiptsCompared(said.day, we_owe, you_owe, (), is_cut=False)
    log.warning("receipts_differ", peer=peer, day=said.day)
    if row is None and said.day < today:  # it must not be the newest before the older ones began
        newest = select(func.max(Comparison.day)).where(Comparison.peer == peer)
        _begin_until(session, clock, sealer, peer, session.scalar(newest), end=said.day + 1)
        row = session.get(Comparison, (peer, said.day)) or _row(session, clock, peer, said.day)
    if row is not None and row.tries == 0:
        _ask(session, clock, sealer, row)
    lines = ours.behind(said.after)
    is_cut = len(lines) > rules.COMPARE_LINES_MAX
    named = tuple(lines[: rules.COMPARE_LINES_MAX])
    return ReceiptsCompared(said.day, we_owe, you_owe, named, is_cut)


def compared(
    session: Session, clock: Clock, sealer: Sealer, question: Envelope, answer: ReceiptsCompared
) -> None:
    """The other side's figures: the same, or fetch what is missing here and ask for the rest."""
    asked = question.body
    assert isinstance(asked, CompareReceipts)
    peer = question.recipient
    row = session.get(Comparison, (peer, asked.day))
    if row is None or row.state != ComparisonState.ASKED:
        return
    row.answered_at = clock.now()
    ours = _books(session, question.sender, peer, asked.day)
    if _is_same(ours, answer):
        _same(row)
        return
    page = _page(ours, answer, asked.after)
    _count(row, page, is_first=asked.after is None)
    fetch(session, clock, sealer, peer=peer, ids=page.missing_here)
    raise_dispute(session, clock, sealer, peer, page.differing, DisputeCode.RECEIPT_DIFFERS)
    is_last_try = row.tries >= rules.COMPARE_TRIES_MAX
    if is_last_try:
        rest = [*page.missing_there, *page.missing_here]
        raise_dispute(session, clock, sealer, peer, rest, DisputeCode.RECEIPT_MISSING)
    if page.last is not None and row.missing_here < rules.COMPARE_MISSING_MAX:
        next_id = derived_id("compare on", question.message_id, page.last)
        _send(session, clock, sealer, row, ours, message_id=next_id, after=page.last)
        return
    row.state = ComparisonState.DISPUTED if is_last_try else ComparisonState.DIFFERS
    if is_last_try and not (row.missing_here or row.missing_there or row.differing):
        _dispute_day(session, clock, sealer, row)


def not_compared(session: Session, clock: Clock, question: Envelope, answer: Refusal) -> None:
    """The other side did not answer the comparison: it is asked again later."""
    asked = question.body
    assert isinstance(asked, CompareReceipts)
    row = session.get(Comparison, (question.recipient, asked.day))
    if row is not None and row.state == ComparisonState.ASKED:
        row.state, row.answered_at = ComparisonState.DIFFERS, clock.now()
        log.warning("comparison_refused", peer=question.recipient, code=answer.code)


def repaired(
    session: Session, clock: Clock, sealer: Sealer, *, peer: str, day: int, count: int
) -> None:
    """So many receipts came home: compare the day again once none is under way any more."""
    row = session.get(Comparison, (peer, day))
    if row is None or not count:
        return
    row.repaired += count
    row.missing_here = max(0, row.missing_here - count)
    is_open = row.state == ComparisonState.DIFFERS and row.tries < rules.COMPARE_TRIES_MAX
    if is_open and not row.missing_here:
        _ask(session, clock, sealer, row)


def fetch(
    session: Session, clock: Clock, sealer: Sealer, *, peer: str, ids: Sequence[UUID]
) -> None:
    """Ask for proof of receipts that are missing here; the same question is not asked twice.

    Each alone: its answer is kept as its proof, and is to say nothing else.
    """
    hour = int(clock.now().timestamp() // 3600)
    wanted = {derived_id("fetch", peer, hour, one): one for one in ids}
    asked: set[UUID] = set()
    for start in range(0, len(ids), ASKED_AT_ONCE):
        some = list(wanted)[start : start + ASKED_AT_ONCE]
        asked.update(session.scalars(select(OUTBOX.c.id).where(OUTBOX.c.id.in_(some))))
    for message_id in (one for one in wanted if one not in asked):
        body = FetchReceipts((wanted[message_id],))
        outbox.enqueue(session, clock, sealer, message_id=message_id, recipient=peer, body=body)


def raise_dispute(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    peer: str,
    exchange_ids: Iterable[UUID],
    code: DisputeCode,
) -> None:
    """Let people look at what no signature settles; one dispute an exchange."""
    for exchange_id in exchange_ids:
        try:
            dispute.open_dispute(
                session,
                clock,
                sealer,
                dispute_id=derived_id("compared", sealer.community, peer, exchange_id),
                exchange_id=exchange_id,
                code=code,
                minutes=0,
                peer=peer,
            )
        except DomainError as refusal:
            log.info("dispute_not_opened", exchange_id=str(exchange_id), code=refusal.code)


def comparisons(session: Session, *, limit: int = 50) -> list[Comparison]:
    """What was compared, newest days first; for the operator's page."""
    rows = select(Comparison).where(Comparison.tries > 0)
    return list(session.scalars(rows.order_by(Comparison.day.desc(), Comparison.peer).limit(limit)))


def _first_day(session: Session, peer: str, today: int) -> int:
    earliest = select(func.min(ReceiptRecord.captured_at)).where(ReceiptRecord.peer == peer)
    moment = session.scalar(earliest)
    return today - 1 if moment is None else receipts.day_of(moment)


def _begin_until(
    session: Session, clock: Clock, sealer: Sealer, peer: str, last: int | None, *, end: int
) -> int:
    """Begin each day after the last that was begun, and before `end`."""
    today = receipts.day_of(clock.now())
    start = _first_day(session, peer, today) if last is None else last + 1
    days = range(max(start, today - rules.COMPARE_DAYS_MAX), end)
    return sum(_begin(session, clock, sealer, peer, day) for day in days)


def _begin(session: Session, clock: Clock, sealer: Sealer, peer: str, day: int) -> int:
    row = _row(session, clock, peer, day)  # a day after the last that has one
    books = _books(session, sealer.community, peer, day)
    if not books.behind(None):
        return 0
    _ask(session, clock, sealer, row, books)
    return 1


def _row(session: Session, clock: Clock, peer: str, day: int) -> Comparison:
    row = Comparison(
        peer=peer,
        day=day,
        state=ComparisonState.SAME,  # nothing on either side, until somebody says otherwise
        tries=0,
        missing_here=0,
        missing_there=0,
        differing=0,
        repaired=0,
        asked_at=clock.now(),
    )
    session.add(row)
    return row


def _ask(
    session: Session, clock: Clock, sealer: Sealer, row: Comparison, books: _Books | None = None
) -> None:
    row.tries += 1
    row.state, row.asked_at = ComparisonState.ASKED, clock.now()
    ours = books or _books(session, sealer.community, row.peer, row.day)
    message_id = derived_id("compare", row.peer, row.day, row.tries)
    _send(session, clock, sealer, row, ours, message_id=message_id)


def _send(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    row: Comparison,
    ours: _Books,
    *,
    message_id: UUID,
    after: UUID | None = None,
) -> None:
    we_owe, you_owe = receipts.summary(ours.we_owe), receipts.summary(ours.you_owe)
    outbox.enqueue(
        session,
        clock,
        sealer,
        message_id=message_id,
        recipient=row.peer,
        body=CompareReceipts(row.day, we_owe, you_owe, after),
    )


def _page(ours: _Books, answer: ReceiptsCompared, after: UUID | None) -> _Page:
    """What differs among the ids that this answer covers: behind `after`, up to its last if cut."""
    there = {line.id: line for line in answer.lines if _is_behind(line.id, after)}
    last = max(there, default=None) if answer.is_cut else None
    is_covered = there or not answer.is_cut  # a side that does not page names the first ones again
    here = {
        line.id: line
        for line in (ours.behind(after) if is_covered else ())
        if last is None or line.id <= last
    }
    return _Page(
        missing_here=sorted(there.keys() - here.keys()),
        missing_there=sorted(here.keys() - there.keys()),
        differing=sorted(one for one in here.keys() & there.keys() if here[one] != there[one]),
        last=last,
    )


def _count(row: Comparison, page: _Page, *, is_first: bool) -> None:
    if is_first:
        row.missing_here = row.missing_there = row.differing = 0
    row.missing_here += len(page.missing_here)
    row.missing_there += len(page.missing_there)
    row.differing += len(page.differing)
    log.warning(
        "receipts_differ",
        peer=row.peer,
        day=row.day,
        missing_here=row.missing_here,
        missing_there=row.missing_there,
        differing=row.differing,
    )


def _dispute_day(session: Session, clock: Clock, sealer: Sealer, row: Comparison) -> None:
    """Their sums are others than ours and no receipt says why: the day itself is in dispute."""
    pair = sorted((sealer.community, row.peer))
    day_id = derived_id("day in dispute", *pair, row.day)
    log.warning("difference_unexplained", peer=row.peer, day=row.day, exchange_id=str(day_id))
    raise_dispute(session, clock, sealer, row.peer, [day_id], DisputeCode.RECEIPT_DIFFERS)


def _is_behind(one: UUID, after: UUID | None) -> bool:
    return after is None or one > after


def _books(session: Session, community: str, peer: str, day: int) -> _Books:
    lines = receipts.of_day(session, community, peer, day)
    return _Books(
        [line for line in lines if line.debtor == community],
        [line for line in lines if line.debtor == peer],
    )


def _same(row: Comparison) -> None:
    row.state = ComparisonState.SAME
    row.missing_here = row.missing_there = row.differing = 0


def _is_same(ours: _Books, theirs: ReceiptsCompared) -> bool:
    mine: tuple[Summary, Summary] = receipts.summary(ours.we_owe), receipts.summary(ours.you_owe)
    return mine == (theirs.you_owe, theirs.we_owe)
