"""Bugs planted on purpose are found, and the story that shows each of them is short.

Method: a town whose parts have one bug lives in a district with the faults that bring it out; the
first seed of a few that fails is made shorter. The same seeds pass with the real parts
(test_world.py).
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from node.exchange import host
from node.exchange.messages import JudgeDispute, Noted, Receipt, RequestCapture
from node.exchange.model import Pass
from node.exchange.rules import PassState
from node.kernel.db import Command
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Envelope, Refusal, Sealed
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.outbox.model import INBOX, OUTBOX, OutboxState
from node.outbox.relay import PeerUnreachable, Relay
from node.peer import wire
from node.peer.answers import Answers
from node.peer.servicer import Inbox
from node.reactions import REACTIONS
from simulation.faults import Faults
from simulation.network import Wire
from simulation.scenario import Scenario
from simulation.shrinking import shorten, told
from simulation.town import MortalDatabase, Town
from simulation.world import simulate

T = TypeVar("T")

SEEDS_MAX = 20
NETWORK = Faults(drop=0.15, delay=0.05, duplicate=0.15)
CRASHES = Faults(crash=0.03)


class CapturesAgain(Answers):
    """A request for capture that comes again moves the minutes again."""

    def answer(self, session: Session, question: Envelope) -> Body:
        asked = question.body
        known = session.get(Pass, asked.pass_id) if isinstance(asked, RequestCapture) else None
        was_captured = known is not None and known.state == PassState.CAPTURED
        body = super().answer(session, question)
        if known is not None and was_captured:
            ledger.transfer(
                session,
                self.clock,
                entry_id=derived_id("once more", known.id, self.clock.now()),
                payer_id=ledger.resident_account(known.resident_id, Unit.MINUTES),
                payee_id=ledger.clearing_account(question.sender),
                amount=known.minutes or 0,
                reason="redeemed_away",
            )
        return body


class ForgetfulInbox(Inbox):
    """Answers given are not kept, so that a repeat is taken for a new question."""

    forgotten: type[Body] = Body

    async def take(self, sender: str, items: Sequence[Sealed]) -> list[Sealed]:
        answers = await super().take(sender, items)
        opened = [wire.decode(item.payload) for item in items]
        ids = [one.message_id for one in opened if isinstance(one.body, self.forgotten)]
        forget = delete(INBOX).where(INBOX.c.id.in_(ids))
        await self._database.run(lambda session: session.execute(forget))
        return answers


class InboxThatForgetsCaptures(ForgetfulInbox):
    forgotten = RequestCapture


class DeafToVerdicts(Answers):
    """What the other side's arbiter says is noted, and changes nothing."""

    def answer(self, session: Session, question: Envelope) -> Body:
        if isinstance(question.body, JudgeDispute):
            return Noted(question.body.dispute_id)
        return super().answer(session, question)


@dataclass(frozen=True)
class WireWithADesk(Wire):
    """A way to the others that also acts upon what it carries."""

    town: Town

    def questions(self, items: Sequence[Sealed]) -> list[tuple[Envelope, RequestCapture]]:
        opened = (wire.decode(item.payload) for item in items)
        return [(one, one.body) for one in opened if isinstance(one.body, RequestCapture)]


class CreditsAtOnce(WireWithADesk):
    """The volunteer is credited when home is asked, not when it has answered."""

    async def deliver(self, community: str, items: Sequence[Sealed]) -> list[Sealed]:
        clock = self.town.district.clock
        for question, asked in self.questions(items):
            said = Receipt(
                asked.exchange_id,
                asked.pass_id,
                home=question.recipient,
                host=question.sender,
                minutes=asked.minutes,
                captured_at=question.sent_at,
            )
            self.town.do(
                lambda session, question=question, said=said: host.receipt_arrived(  # type: ignore[misc]
                    session, clock, question, said, Sealed(b"", b"")
                )
            )
        return await super().deliver(community, items)


class GivesUp(WireWithADesk):
    """Home does not answer, so the promise is given back: nobody knows whether home has paid."""

    async def deliver(self, community: str, items: Sequence[Sealed]) -> list[Sealed]:
        try:
            return await super().deliver(community, items)
        except PeerUnreachable:
            clock, no = self.town.district.clock, Refusal("gave_up", "no answer")
            for question, _ in self.questions(items):
                self.town.do(
                    lambda session, question=question: host.refused(session, clock, question, no)  # type: ignore[misc]
                )
            raise


class WritesLater(MortalDatabase):
    """What is to be sent is written after the commit of what caused it, in a commit of its own."""

    def write(self, command: Command[T]) -> "Future[T]":
        late: list[dict[str, Any]] = []

        def early(session: Session) -> T:
            late.clear()  # a command may run twice before it is committed once
            result = command(session)
            session.flush()
            is_new = (OUTBOX.c.attempts == 0) & (OUTBOX.c.state == OutboxState.WAITING)
            late.extend(
                dict(row) for row in session.execute(select(OUTBOX).where(is_new)).mappings()
            )
            session.execute(delete(OUTBOX).where(is_new))
            return result

        answer = super().write(early)
        if late and answer.exception() is None:
            super().write(lambda session: session.execute(insert(OUTBOX), late))
        return answer


class TownThatForgets(Town):
    inbox_kind: type[ForgetfulInbox] = ForgetfulInbox

    def make_inbox(self) -> Inbox:
        clock, answer = self.district.clock, self.answers.answer
        return self.inbox_kind(self.database, clock, self.sealer, self.book, answer=answer)


class TownThatCapturesAgain(TownThatForgets):
    inbox_kind = InboxThatForgetsCaptures

    def make_answers(self) -> Answers:
        return CapturesAgain(self.district.clock, self.sealer, self.book)


class TownDeafToVerdicts(Town):
    def make_answers(self) -> Answers:
        return DeafToVerdicts(self.district.clock, self.sealer, self.book)


class TownWithADesk(Town):
    desk: type[WireWithADesk]

    def make_relay(self) -> Relay:
        return Relay(
            self.database,
            self.district.clock,
            self.desk(self.name, self.book, self.network, self),
            open_question=lambda sealed: wire.decode(sealed.payload),
            apply_answer=self.answers.apply,
        )


class TownThatCreditsAtOnce(TownWithADesk):
    desk = CreditsAtOnce


class TownThatGivesUp(TownWithADesk):
    desk = GivesUp


class TownThatWritesLater(Town):
    def open_database(self) -> MortalDatabase:
        return WritesLater(self.url, self, clock=self.district.clock, reactions=REACTIONS)


@pytest.mark.parametrize(
    ("town_kind", "faults", "days", "kind", "steps_max"),
    [
        (TownThatCapturesAgain, NETWORK, 3, "minutes_not_conserved", 12),
        (TownThatCreditsAtOnce, NETWORK, 3, "booked_without_proof", 8),
        (TownThatGivesUp, NETWORK, 3, "given_back_in_doubt", 14),
        (TownThatWritesLater, CRASHES, 3, "question_lost", 20),
        (TownThatForgets, NETWORK, 3, "answer_changed", 8),
        (TownDeafToVerdicts, Faults(), 12, "verdict_ignored", 60),
    ],
)
def test_a_planted_bug_is_found(
    town_kind: type[Town], faults: Faults, days: int, kind: str, steps_max: int
) -> None:
    scenarios = (
        Scenario(seed, days=days, communities=2, faults=faults) for seed in range(SEEDS_MAX)
    )
    lived = (simulate(scenario, town_kind=town_kind) for scenario in scenarios)
    failed = next(outcome for outcome in lived if not outcome.is_good)
    shortest = shorten(failed, town_kind=town_kind, runs=40)
    story = told(shortest)
    assert shortest.history.violation is not None
    assert shortest.history.violation.kind == kind, story
    assert len(shortest.history.events) <= steps_max, story
