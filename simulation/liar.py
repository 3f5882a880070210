"""A community in nobody's control: it has keys, a place in the directory, and it lies.

It overhears what the others say. As a host it takes passes and captures them twice, for more, or
after they were given back; as a home it answers with receipts for other minutes, under other names,
or with noise. `LIES` is the table of what it tries on a victim out of the blue: each must be
refused, or get the answer that was given before, and move nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from node.exchange.messages import (
    PassAccepted,
    PassReleased,
    PresentPass,
    Receipt,
    ReleasePass,
    RequestCapture,
)
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Envelope, Refusal, Sealed
from node.peer import wire
from node.peer.book import PeerBook
from node.peer.seal import Ed25519Sealer, open_sealed
from node.settlement.messages import ProposeStatement, StatementAgreed, StatementContent
from simulation.faults import Died
from simulation.founding import TownKeys
from simulation.network import Network
from simulation.scenario import LIAR
from simulation.town import District, Town

MINUTES_OFFERED = 60  # of every pass that the liar says it has issued
SIGNATURE_BYTES = 64


@dataclass
class UsedPass:
    """A pass of somebody that the liar has in hand."""

    victim: str
    code: str
    exchange_id: UUID
    pass_id: UUID
    minutes_up_to: int
    capture: Sealed | None = None  # as it was asked and answered
    minutes: int = 0
    is_given_back: bool = False  # released by the liar, or taken back at home


@dataclass
class Liar:
    """Receives calls like a town, and makes its own."""

    district: District
    keys: TownKeys
    book: PeerBook
    network: Network
    used: list[UsedPass] = field(default_factory=list)
    said: int = 0

    is_up = True

    def __post_init__(self) -> None:
        self.sealer = Ed25519Sealer(LIAR, self.keys.signing)

    def stumbles(self, point: str) -> bool:
        """It never dies: the worst case."""
        return False

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return self.district.loop.create_task(work)

    async def hear(self, caller: str, items: list[Sealed]) -> list[Sealed]:
        """Whatever suits it."""
        answers = [self._answer(caller, wire.decode(item.payload)) for item in items]
        if self._throw("answers", caller) < 0.05:
            return answers[:-1]
        return answers

    def keeps_slip(self, town: Town, code: str, *, pass_id: UUID, minutes: int) -> None:
        """A pass that was shown to it and taken back at home, before it was presented."""
        never = derived_id("never presented", pass_id)
        self.used.append(UsedPass(town.name, code, never, pass_id, minutes, is_given_back=True))

    async def use_pass(self, town: Town, code: str, *, exchange_id: UUID, random: Random) -> None:
        """Present a pass as its host, then capture some of it, or give it back."""
        accepted = await self._ask(town, PresentPass(exchange_id, code))
        if not isinstance(accepted, PassAccepted):
            return
        used = UsedPass(
            town.name, code, exchange_id, accepted.pass_id, minutes_up_to=accepted.minutes_up_to
        )
        self.used.append(used)
        await asyncio.sleep(random.uniform(3_600, 40_000))
        if random.random() < 0.3:
            released = await self._ask(town, ReleasePass(exchange_id, used.pass_id))
            used.is_given_back = isinstance(released, PassReleased)
        else:
            used.minutes = random.randint(1, used.minutes_up_to)
            asked = self.say(town.name, RequestCapture(exchange_id, used.pass_id, used.minutes))
            if isinstance(await self._tell(town, LIAR, asked), Receipt):
                used.capture = asked  # else it is not known to be captured: no ground for a lie

    async def lie_to(self, town: Town, day: int) -> None:
        """One lie from the table that can be told; whatever it is, nothing may move."""
        names = sorted(LIES)
        first = int(self._throw("which", town.name, day) * len(names))
        tried = ((name, LIES[name](self, town)) for name in names[first:] + names[:first])
        name, said = next(one for one in tried if one[1] is not None)
        assert said is not None, "a code can always be guessed"
        if not town.is_up:
            return
        town.tell(f"is lied to: {name}")
        caller, item = said
        before = _standing(town)
        body = await self._tell(town, caller, item)
        if body is None:
            return
        if _standing(town) != before:
            words = f"a lie ({name}) moved something at {town.name}"
            self.district.history.violated("lie_believed", words)
        if not isinstance(body, HARMLESS.get(name, Refusal)):
            words = f"{town.name} answered a lie ({name}) with {type(body).__name__}"
            self.district.history.violated("lie_not_refused", words)
        if name not in NOT_EVIDENCE and not town.witness.has_evidence(item.payload):
            words = f"{town.name} has kept no evidence of a lie ({name})"
            self.district.history.violated("lie_forgotten", words)

    def say(
        self,
        to: str,
        body: Body,
        *,
        sender: str = LIAR,
        message_id: UUID | None = None,
        days_off: int = 0,
    ) -> Sealed:
        """A message under its own key, whatever it claims."""
        self.said += 1
        moment = self.district.clock.now() + timedelta(days=days_off)
        chosen = message_id or derived_id("lie", self.district.dice.seed, self.said)
        return self.sealer.seal(Envelope(chosen, sender, to, moment, body))

    def mine(self, town: Town, *, given_back: bool = False) -> UsedPass | None:
        """A pass of this victim's that was captured, or given back."""
        fitting = (
            one
            for one in reversed(self.used)
            if one.victim == town.name
            and (one.is_given_back if given_back else one.capture is not None)
        )
        return next(fitting, None)

    def heard(self, town: Town) -> tuple[str, Sealed] | None:
        """Something that another community said to this victim, and who."""
        found = [(who, item) for who, to, item in self.network.overheard if to == town.name]
        if not found:
            return None
        return found[int(self._throw("heard", town.name) * len(found))]

    async def _ask(self, town: Town, body: Body) -> Body | None:
        return await self._tell(town, LIAR, self.say(town.name, body))

    async def _tell(self, town: Town, caller: str, item: Sealed) -> Body | None:
        """What the victim answers; None if it is down, or dies over it."""
        if not town.is_up:
            return None
        try:
            [answer] = await town.spawn(town.hear(caller, [item]))
        except (Died, asyncio.CancelledError):
            return None
        return open_sealed(self.book, answer, sender=town.name).body

    def _answer(self, caller: str, question: Envelope) -> Sealed:
        choice = self._throw("answer", caller, question.message_id, self.said)
        body = self._body(question, choice)
        in_reply_to = derived_id("no question") if 0.9 < choice < 0.93 else question.message_id
        sealed = self.say(caller, body)
        envelope = replace(wire.decode(sealed.payload), in_reply_to=in_reply_to)
        answer = self.sealer.seal(envelope)
        if choice > 0.96:
            return Sealed(answer.payload, bytes(SIGNATURE_BYTES))
        return answer

    def _body(self, question: Envelope, choice: float) -> Body:
        match question.body:
            case PresentPass() as asked:
                until = self.district.clock.now() + timedelta(days=30)
                exchange = derived_id("another") if choice < 0.1 else asked.exchange_id
                pass_id = derived_id("a liar's pass", asked.exchange_id)
                return PassAccepted(exchange, pass_id, MINUTES_OFFERED, until)
            case RequestCapture() as asked:
                more = 1 if choice < 0.2 else 0
                home = question.sender if 0.2 < choice < 0.3 else LIAR
                days_off = 400 if 0.3 < choice < 0.35 else -40 if 0.35 < choice < 0.4 else 0
                return Receipt(
                    asked.exchange_id,
                    asked.pass_id,
                    home=home,
                    host=question.sender,
                    minutes=asked.minutes + more,
                    captured_at=self.district.clock.now() + timedelta(days=days_off),
                )
            case ReleasePass() as asked:
                return PassReleased(asked.exchange_id)
            case ProposeStatement() as proposal:
                return StatementAgreed(proposal.content.statement_id, bytes(SIGNATURE_BYTES))
        return Refusal("peer.not_a_question", "no")

    def _throw(self, *about: object) -> float:
        return self.district.dice.throw("liar", *about, round(self.district.loop.time()))


def _standing(town: Town) -> tuple[int, int]:
    """Entries in the victim's journal, and the minutes that its promises keep back."""
    return town.witness.journal_length(), town.witness.held()


Said = tuple[str, Sealed] | None
Lie = Callable[[Liar, Town], Said]


def captures_twice(liar: Liar, town: Town) -> Said:
    """The same capture under a new message id."""
    if (used := liar.mine(town)) is None:
        return None
    body = RequestCapture(used.exchange_id, used.pass_id, used.minutes)
    return LIAR, liar.say(town.name, body)


def other_amount_same_id(liar: Liar, town: Town) -> Said:
    """A message id that was used, with other minutes."""
    if (used := liar.mine(town)) is None or used.capture is None:
        return None
    body = RequestCapture(used.exchange_id, used.pass_id, used.minutes + 1)
    known = wire.decode(used.capture.payload).message_id
    return LIAR, liar.say(town.name, body, message_id=known)


def other_amount_new_id(liar: Liar, town: Town) -> Said:
    """A captured exchange, captured again for other minutes."""
    if (used := liar.mine(town)) is None:
        return None
    minutes = used.minutes + 1 if used.minutes < used.minutes_up_to else 1 + used.minutes
    return LIAR, liar.say(town.name, RequestCapture(used.exchange_id, used.pass_id, minutes))


def capture_after_void(liar: Liar, town: Town) -> Said:
    """Minutes that were given back, or a pass that was taken back: asked for after all."""
    if (used := liar.mine(town, given_back=True)) is None:
        return None
    return LIAR, liar.say(town.name, RequestCapture(used.exchange_id, used.pass_id, 1))


def captures_for_another(liar: Liar, town: Town) -> Said:
    """A pass that was captured, captured again under another exchange."""
    if (used := liar.mine(town)) is None:
        return None
    exchange = derived_id("another exchange", used.exchange_id)
    return LIAR, liar.say(town.name, RequestCapture(exchange, used.pass_id, used.minutes))


def clock_a_day_behind(liar: Liar, town: Town) -> Said:
    """A capture after the pass was given back, dated to yesterday, when it was not."""
    if (used := liar.mine(town, given_back=True)) is None:
        return None
    body = RequestCapture(used.exchange_id, used.pass_id, 1)
    return LIAR, liar.say(town.name, body, days_off=-1)


def clock_a_day_ahead(liar: Liar, town: Town) -> Said:
    """A question from tomorrow."""
    exchange = derived_id("tomorrow", liar.said)
    body = PresentPass(exchange, f"{town.name}-3333ZZZZ")
    return LIAR, liar.say(town.name, body, days_off=1)


def forged_signature(liar: Liar, town: Town) -> Said:
    """What a neighbour once said, changed by one bit, under its certificate."""
    if (heard := liar.heard(town)) is None:
        return None
    who, item = heard
    payload = item.payload[:-1] + bytes([item.payload[-1] ^ 1])
    return who, Sealed(payload, item.signature)


def foreign_signature(liar: Liar, town: Town) -> Said:
    """A neighbour's question, signed by the liar."""
    if (heard := liar.heard(town)) is None:
        return None
    who, item = heard
    body = wire.decode(item.payload).body
    return who, liar.say(town.name, body, sender=who)


def replayed_from_another(liar: Liar, town: Town) -> Said:
    """A neighbour's genuine question, repeated under the liar's certificate."""
    heard = liar.heard(town)
    return (LIAR, heard[1]) if heard else None


def meant_for_another(liar: Liar, town: Town) -> Said:
    """A genuine message to somebody else, brought here under its sender's certificate."""
    others = ((who, item) for who, to, item in liar.network.overheard if to != town.name != who)
    return next(others, None)


def invented_debt(liar: Liar, town: Town) -> Said:
    """A statement about an exchange that never was."""
    exchange = derived_id("never", liar.said)
    statement_id = derived_id("invented", liar.said)
    content = StatementContent(statement_id, LIAR, town.name, 1, 10_000, bytes(32), (exchange,))
    payload = wire.encode_statement(content)
    signed = liar.sealer.sign_statement(payload)
    return LIAR, liar.say(town.name, ProposeStatement(content, payload, signed))


def guessed_code(liar: Liar, town: Town) -> Said:
    """A code that somebody might have been given."""
    exchange = derived_id("guess", liar.said)
    return LIAR, liar.say(town.name, PresentPass(exchange, f"{town.name}-2222ZZZZ"))


def not_a_question(liar: Liar, town: Town) -> Said:
    """A receipt that nobody has asked for."""
    body = Receipt(
        derived_id("gift", liar.said),
        derived_id("no pass"),
        home=LIAR,
        host=town.name,
        minutes=60,
        captured_at=liar.district.clock.now(),
    )
    return LIAR, liar.say(town.name, body)


def noise(liar: Liar, town: Town) -> Said:
    """Bytes without a meaning, properly signed."""
    junk = liar.say(town.name, PassReleased(derived_id("junk"))).signature
    return LIAR, Sealed(junk, junk)


_ALL: Sequence[Lie] = (
    captures_twice,
    other_amount_same_id,
    other_amount_new_id,
    capture_after_void,
    captures_for_another,
    clock_a_day_behind,
    clock_a_day_ahead,
    forged_signature,
    foreign_signature,
    replayed_from_another,
    meant_for_another,
    invented_debt,
    guessed_code,
    not_a_question,
    noise,
)
LIES: dict[str, Lie] = {lie.__name__.replace("_", " "): lie for lie in _ALL}
NOT_EVIDENCE = frozenset({"captures twice", "guessed code", "invented debt", "not a question"})
"""Wrong, but nothing that a working peer could not say; everything else is kept as evidence."""
HARMLESS: dict[str, type[Body]] = {"captures twice": Receipt, "invented debt": Body}
"""Where something else than a refusal is right: the receipt that stands, or what is missing."""
