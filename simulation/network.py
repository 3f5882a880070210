"""The way between communities: calls are lost, late, repeated, torn apart, or find nobody home."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from google.protobuf.message import DecodeError

from node.kernel.errors import DomainError
from node.kernel.messages import Envelope, Sealed
from node.kernel.signing import BadSignature
from node.outbox.relay import BadAnswer, PeerUnreachable
from node.peer.book import PeerBook
from node.peer.client import CALL_SECONDS_MAX
from node.peer.seal import open_sealed
from node.peer.wire import Unreadable
from protos import peer_pb2 as pb
from simulation.faults import Dice, Died
from simulation.history import History
from simulation.scenario import LIAR
from simulation.virtual_time import VirtualLoop

LATENCY_SECONDS_MAX = 0.3
LATE_SECONDS_MIN, LATE_SECONDS_MAX = CALL_SECONDS_MAX + 1, 21_600.0
REPEAT_SECONDS_MAX = 172_800.0
SPREAD_SECONDS_MAX = 5.0  # between the messages of one call that arrive one by one

Reply = asyncio.Future[list[Sealed]]


class Receiver(Protocol):
    """Whoever can be called: a town, or the community that lies."""

    @property
    def is_up(self) -> bool: ...

    def stumbles(self, point: str) -> bool:
        """Whether it dies here."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]": ...

    async def hear(self, caller: str, items: list[Sealed]) -> list[Sealed]: ...


@dataclass
class Network:
    """Carries calls. Partitions are named pairs; the office is a name like any other."""

    loop: VirtualLoop
    dice: Dice
    history: History
    receivers: dict[str, Receiver] = field(default_factory=dict)
    cut: set[frozenset[str]] = field(default_factory=set)
    tries: defaultdict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    given: dict[tuple[str, str, bytes], bytes] = field(default_factory=dict)
    overheard: list[tuple[str, str, Sealed]] = field(default_factory=list)

    def is_cut(self, one: str, other: str) -> bool:
        """Whether no call passes between these two."""
        return frozenset((one, other)) in self.cut

    def partition(self, one: str, other: str, *, seconds: float) -> None:
        """Let no call pass between these two for a while."""
        pair = frozenset((one, other))
        self.history.tell("network", f"{one} and {other} are cut off from each other")
        self.cut.add(pair)
        self.loop.call_later(seconds, self.heal, pair)

    def heal(self, pair: frozenset[str]) -> None:
        """Let calls pass again."""
        if pair in self.cut:
            self.cut.discard(pair)
            self.history.tell("network", f"{' and '.join(sorted(pair))} reach each other again")

    async def deliver(self, caller: str, receiver: str, items: Sequence[Sealed]) -> list[Sealed]:
        """Carry one call and bring its answers; raises PeerUnreachable, as the real way does."""
        first = hashlib.sha256(items[0].payload).hexdigest()[:12]
        self.tries[caller, receiver, first] += 1
        call = _Call(caller, receiver, first, self.tries[caller, receiver, first], list(items))
        if self.is_cut(caller, receiver):
            await asyncio.sleep(1.0)
            raise PeerUnreachable("there is no way")
        if self.receivers[caller].stumbles("before a call leaves"):
            raise Died
        reply: Reply = self.loop.create_future()
        if self.dice.happens("drop", "there", *call.key):
            self._tell(call, "is lost on the way there")
        else:
            self._later(self._seconds("there", call), call, reply)
        if self.dice.happens("duplicate", *call.key):
            self._later(self.dice.between(1.0, REPEAT_SECONDS_MAX, "repeat", *call.key), call, None)
        try:
            async with asyncio.timeout(CALL_SECONDS_MAX):
                answers = await reply
        except TimeoutError as late:
            raise PeerUnreachable("no answer in time") from late
        if self.receivers[caller].stumbles("with an answer in hand"):
            raise Died
        return answers

    def _later(self, seconds: float, call: "_Call", reply: Reply | None) -> None:
        self.loop.call_later(seconds, self._arrive, call, reply)

    def _seconds(self, way: str, call: "_Call") -> float:
        if self.dice.happens("delay", way, *call.key):
            self._tell(call, f"is late on the way {way}")
            return self.dice.between(LATE_SECONDS_MIN, LATE_SECONDS_MAX, "late", way, *call.key)
        return self.dice.between(0.01, LATENCY_SECONDS_MAX, "latency", way, *call.key)

    def _arrive(self, call: "_Call", reply: Reply | None) -> None:
        receiver = self.receivers[call.receiver]
        if self.is_cut(call.caller, call.receiver):
            return
        self.history.steps += 1
        self._tell(call, "arrives" if reply is not None else "arrives again")
        if not receiver.is_up:
            _fail(reply, "nobody is home")
        elif receiver.stumbles("when a call arrives"):
            _fail(reply, "the line broke")
        else:
            task = receiver.spawn(self._answer(receiver, call, reply))
            task.add_done_callback(lambda done: _broke(done, reply))

    async def _answer(self, receiver: Receiver, call: "_Call", reply: Reply | None) -> None:
        if len(call.items) > 1 and self.dice.happens("reorder", *call.key):
            answers = await self._one_by_one(receiver, call)
        else:
            answers = await receiver.hear(call.caller, call.items)
        self._check_repeats(call, answers)
        self.overheard += [(call.caller, call.receiver, item) for item in call.items]
        if reply is None:
            return
        if self.dice.happens("drop", "back", *call.key):
            self._tell(call, "is answered, but the answer is lost")
            return
        self.loop.call_later(self._seconds("back", call), _succeed, reply, answers)

    async def _one_by_one(self, receiver: Receiver, call: "_Call") -> list[Sealed]:
        self._tell(call, "arrives in pieces, in another order")
        answers: dict[int, Sealed] = {}
        for number in self.dice.mixed(len(call.items), "order", *call.key):
            [answers[number]] = await receiver.hear(call.caller, [call.items[number]])
            seconds = self.dice.between(0.0, SPREAD_SECONDS_MAX, "spread", *call.key, number)
            await asyncio.sleep(seconds)
        return [answers[number] for number in range(len(call.items))]

    def _check_repeats(self, call: "_Call", answers: Sequence[Sealed]) -> None:
        """From an honest community the same bytes get the same answer for ever."""
        if call.receiver == LIAR:
            return
        for item, answer in zip(call.items, answers, strict=True):
            key = (call.receiver, call.caller, hashlib.sha256(item.payload).digest())
            if self.given.setdefault(key, answer.payload) != answer.payload:
                words = f"{call.receiver} answers {kind_of(item)} of {call.caller} in two ways"
                self.history.violated("answer_changed", words)

    def _tell(self, call: "_Call", words: str) -> None:
        kinds = ", ".join(kind_of(item) for item in call.items)
        self.history.tell("network", f"{kinds} from {call.caller} to {call.receiver} {words}")


@dataclass(frozen=True)
class _Call:
    caller: str
    receiver: str
    first: str
    attempt: int
    items: list[Sealed]

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What the dice know a call by."""
        return self.caller, self.receiver, self.first, self.attempt


@dataclass(frozen=True)
class Wire:
    """The relay's Peers, as one community sees them."""

    caller: str
    book: PeerBook
    network: Network

    async def deliver(self, community: str, items: Sequence[Sealed]) -> list[Sealed]:
        return await self.network.deliver(self.caller, community, items)

    def open_answer(self, community: str, answer: Sealed) -> Envelope:
        try:
            return open_sealed(self.book, answer, sender=community)
        except (BadSignature, Unreadable) as problem:
            raise BadAnswer(peer=community, problem=problem.code) from problem


def kind_of(item: Sealed) -> str:
    """What a message is, in one word; who reads it needs no key."""
    with suppress(DecodeError):
        return pb.Message.FromString(item.payload).WhichOneof("body") or "nothing"
    return "noise"


def _succeed(reply: Reply, answers: list[Sealed]) -> None:
    if not reply.done():
        reply.set_result(answers)


def _fail(reply: Reply | None, reason: str) -> None:
    if reply is not None and not reply.done():
        reply.set_exception(PeerUnreachable(reason))


def _broke(task: "asyncio.Task[None]", reply: Reply | None) -> None:
    """Whoever was called died over it, or refused the call as a whole."""
    if task.cancelled() or isinstance(task.exception(), Died | DomainError):
        _fail(reply, "the line broke")
