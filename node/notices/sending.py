"""From the queue to the providers: at least once, with pauses that double, given up in the end.

What a provider is shown: one address, one sentence. What the log is shown: ids and codes. The same
message sent twice carries the same id, so that a provider can drop the second.
"""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, Protocol
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.db import Database
from node.kernel.errors import DomainError
from node.kernel.ports import Clock
from node.notices import calendar, rules, service, words
from node.notices.model import Notice, NoticeDelivery
from node.notices.rules import Channel, DeliveryState
from node.outbox.service import record_departure

LOOK_SECONDS = 5.0  # between two looks at the queue

log = structlog.get_logger()


class Message(NamedTuple):
    """What goes to one provider for one resident."""

    id: UUID
    channel: Channel
    address: str
    subject: str
    text: str
    calendar: bytes = b""  # what a calendar program reads; empty: nothing dated

    @property
    def size(self) -> int:
        """Bytes of words that leave the house."""
        return len(self.subject.encode()) + len(self.text.encode()) + len(self.calendar)


class Failed(Exception):
    """A provider did not take a message: `code` for the log, and whether to try again."""

    def __init__(self, code: str, *, is_final: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.is_final = is_final


class Sender(Protocol):
    """The one port for every way out of the house."""

    def send(self, message: Message) -> None:
        """Hand it over or raise Failed; blocking, called in a thread of its own."""


class Sending(Protocol):
    """What sending needs of the node."""

    @property
    def database(self) -> Database: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def name(self) -> str: ...


async def send_for_ever(node: Sending, senders: Mapping[Channel, Sender], *, site: str) -> None:
    """Look at the queue again and again; nothing that goes wrong here stops the node."""
    while True:
        try:
            sent = await send_due(node, senders, site=site)
        except DomainError as refusal:
            log.warning("notices_refused", code=refusal.code)
            sent = 0
        except Exception as failure:
            log.error("notices_failed", error=type(failure).__name__)
            sent = 0
        if sent < rules.BATCH_MAX:
            await asyncio.sleep(LOOK_SECONDS)


async def send_due(node: Sending, senders: Mapping[Channel, Sender], *, site: str) -> int:
    """One look: spread announcements, then send what is due. Says how many were tried."""
    with node.database.read() as session:
        has_fresh = session.scalar(select(Notice.id).where(Notice.spread_at.is_(None)).limit(1))
    if has_fresh is not None:
        await node.database.run(lambda session: service.spread(session, node.clock))
    due = due_messages(node, tuple(senders), site=site)
    for message in due:
        failure = await asyncio.to_thread(_try, senders[message.channel], message)

        def note(
            session: Session, message: Message = message, failure: Failed | None = failure
        ) -> None:
            _note(session, node.clock, message, failure)

        await node.database.run(note)
    return len(due)


def due_messages(node: Sending, channels: tuple[Channel, ...], *, site: str) -> list[Message]:
    """What is to be tried now, oldest first, in each reader's language."""
    query = (
        select(NoticeDelivery, Notice)
        .join(Notice, Notice.id == NoticeDelivery.notice_id)
        .where(
            NoticeDelivery.state == DeliveryState.WAITING,
            NoticeDelivery.next_at <= node.clock.now(),
            NoticeDelivery.channel.in_(channels),
        )
        .order_by(NoticeDelivery.next_at, NoticeDelivery.id)
        .limit(rules.BATCH_MAX)
    )
    with node.database.read() as session:
        found = [(row.NoticeDelivery, row.Notice) for row in session.execute(query)]
    return [_message(node.name, site, delivery, notice) for delivery, notice in found]


def _message(name: str, site: str, delivery: NoticeDelivery, notice: Notice) -> Message:
    with words.spoken(delivery.language):
        sentence = words.sentence(notice.kind, service.details_of(notice))
        where = f"{site}{notice.link}" if site else words.look_here()
    is_mail = delivery.channel == Channel.EMAIL
    return Message(
        id=delivery.id,
        channel=Channel(delivery.channel),
        address=delivery.address,
        subject=f"{name}: {sentence}"[:200],
        text=f"{sentence}\n{where}",
        calendar=calendar.event(notice, sentence) if is_mail and notice.ends_at else b"",
    )


def _try(sender: Sender, message: Message) -> Failed | None:
    try:
        sender.send(message)
    except Failed as failure:
        return failure
    except Exception as failure:  # a provider's own program can fail in any way
        log.warning("notice_sender_broke", error=type(failure).__name__)
        return Failed("sender_broke")
    return None


def _note(session: Session, clock: Clock, message: Message, failure: Failed | None) -> None:
    delivery = session.get(NoticeDelivery, message.id)
    if delivery is None:  # its reader was forgotten meanwhile
        return
    delivery.tries += 1
    is_first = delivery.tries == 1
    if is_first:
        kind = f"notice_{message.channel}"
        record_departure(
            session, clock, kind=kind, recipient="provider", messages=1, size=message.size
        )
    if delivery.state != DeliveryState.WAITING:
        return
    if failure is None:
        delivery.state, delivery.address, delivery.problem = DeliveryState.SENT.value, "", ""
        return
    delivery.problem = failure.code
    delivery.next_at = clock.now() + rules.pause_after(delivery.tries)
    is_old = delivery.next_at > delivery.queued_at + rules.AGE_MAX
    if failure.is_final or delivery.tries >= rules.TRIES_MAX or is_old:
        delivery.state, delivery.address = DeliveryState.GIVEN_UP.value, ""
        log.warning("notice_given_up", channel=delivery.channel, code=failure.code)
