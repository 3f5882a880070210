"""Questions to many nodes at once with an end to the waiting: Flower alone would wait for ever.

Everybody has the whole time until enough have answered; from then on a straggler has as long
again as it took so far, or the grace, whichever is more. So a dead node that Flower still lists
as online costs seconds, not the round.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from federation.errors import NotEnoughNodes

NODE_POLL_SECONDS = 0.5
REPLY_POLL_SECONDS = 0.25
EXPIRY_MARGIN_SECONDS = 5.0
REASON_CHARACTERS_MAX = 300


@dataclass(frozen=True)
class Answers:
    """What came back in time, and why the rest did not."""

    sound: dict[int, RecordDict]  # by node
    problems: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """The problems in one line, for the person who asks why a run failed."""
        said = " | ".join(sorted(set(self.problems)))[:REASON_CHARACTERS_MAX]
        return said or "The others did not answer."


class Asking:
    """One run's questions; it counts what is received."""

    def __init__(self, grid: Grid, *, grace_seconds: float) -> None:
        self._grid = grid
        self._grace_seconds = grace_seconds
        self.received_bytes = 0

    def online(self) -> list[int]:
        """The nodes that Flower believes to be there."""
        return sorted(self._grid.get_node_ids())

    def wait_for_nodes(self, needed: int, *, limit_seconds: float, round_number: int) -> list[int]:
        """The nodes, once enough are there; refused when the time is over."""
        deadline = time.monotonic() + limit_seconds
        while len(nodes := self.online()) < needed:
            if time.monotonic() > deadline:
                raise NotEnoughNodes(
                    nodes=len(nodes),
                    needed=needed,
                    seconds=int(limit_seconds),
                    round=round_number,
                )
            time.sleep(NODE_POLL_SECONDS)
        return nodes

    def ask(
        self,
        questions: Mapping[int, RecordDict],
        *,
        kind: str,
        enough: int,
        limit_seconds: float,
        grace_seconds: float | None = None,
    ) -> Answers:
        """Ask each node its question; what comes too late is not waited for, nor delivered."""
        grace_seconds = self._grace_seconds if grace_seconds is None else grace_seconds
        expiry_seconds = limit_seconds + EXPIRY_MARGIN_SECONDS
        messages = [
            Message(content, dst_node_id=node, message_type=kind, ttl=expiry_seconds)
            for node, content in questions.items()
        ]
        ids = list(self._grid.push_messages(messages))
        waiting = {one: node for one, node in zip(ids, questions, strict=True) if one}
        answers = Answers({})
        started = time.monotonic()
        deadline = started + limit_seconds
        is_enough = False
        while waiting and time.monotonic() < deadline:
            if len(answers.sound) + len(waiting) < enough:
                break  # too many have refused or died: more waiting helps nobody
            for reply in self._grid.pull_messages(list(waiting)):
                node = waiting.pop(reply.metadata.reply_to_message_id, None)
                if node is not None:
                    self._take(reply, node, answers)
            if not is_enough and len(answers.sound) >= enough:
                is_enough = True
                taken_seconds = time.monotonic() - started
                patience_seconds = max(grace_seconds, taken_seconds) if grace_seconds else 0.0
                deadline = min(deadline, time.monotonic() + patience_seconds)
            if waiting:
                time.sleep(REPLY_POLL_SECONDS)
        answers.problems.extend(f"Node {node} did not answer." for node in waiting.values())
        return answers

    def _take(self, reply: Message, node: int, answers: Answers) -> None:
        if reply.has_error():
            said = " ".join((reply.error.reason or "No reason given.").split())
            answers.problems.append(said)
            return
        answers.sound[node] = reply.content
        self.received_bytes += size_bytes(reply.content)


def size_bytes(content: RecordDict) -> int:
    """Bytes of numbers, keys and shares alone, without names and framing."""
    arrays = sum(
        array.numpy().nbytes
        for record in content.array_records.values()
        for array in record.values()
    )
    return arrays + sum(
        len(value) for record in content.config_records.values() for value in _bytes_in(record)
    )


def _bytes_in(record: ConfigRecord) -> list[bytes]:
    found: list[bytes] = []
    for value in record.values():
        values = value if isinstance(value, list) else [value]
        found.extend(one for one in values if isinstance(one, bytes))
    return found
