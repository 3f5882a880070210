"""Flower's nodes in this process: the real apps, behind the part of the Grid that we use."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from flwr.app import Context, Error, Message, RecordDict

from federation import client_app

RUN_CONFIG: dict[str, Any] = {
    "num-rounds": 2,
    "local-steps": 25,
    "learning-rate": 3e-3,
    "seed": 3,
    "min-nodes": 2,
    "protection": "auto",
    "members": "{}",
    "update-norm-factor": 5.0,
    "count-epsilon": 0.0,
    "update-noise-multiplier": 0.0,
    "round-timeout-seconds": 60,
    "step-timeout-seconds": 60,
    "grace-seconds": 1,
    "wait-timeout-seconds": 1,
}
Loses = Callable[[int, str, int], bool]  # node, kind of message, round (0: none) -> is it lost?


def make_context(node_config: dict[str, Any], **changes: Any) -> Context:
    return Context(
        run_id=77,
        node_id=1,
        node_config=cast(Any, node_config),
        state=RecordDict(),
        run_config={**RUN_CONFIG, **changes},
    )


class LocalGrid:
    """Asks each node at once, keeps every reply for the tests to look at, and can lose some.

    What is lost before a node works never reaches it; what is lost after it was done all the same.
    """

    def __init__(
        self,
        contexts: Sequence[Context],
        *,
        loses_before: Loses = lambda *_: False,
        loses_after: Loses = lambda *_: False,
    ) -> None:
        self.contexts = contexts
        self.sent: list[Message] = []
        self.received: list[Message] = []
        self._loses_before = loses_before
        self._loses_after = loses_after
        self._waiting: dict[str, Message] = {}

    def get_node_ids(self) -> list[int]:
        return list(range(len(self.contexts)))

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        ids = []
        for message in messages:
            ids.append(f"message {len(self.sent)}")
            self.sent.append(message)
            node, kind = message.metadata.dst_node_id, message.metadata.message_type
            round_number = cast(
                int, message.content.config_records["config"].get("server-round", 0)
            )
            if self._loses_before(node, kind, round_number):
                continue
            reply = answer(self.contexts[node], message)
            if not self._loses_after(node, kind, round_number):
                reply.metadata.__dict__["_reply_to_message_id"] = ids[-1]
                self._waiting[ids[-1]] = reply
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        replies = [self._waiting.pop(one) for one in message_ids if one in self._waiting]
        self.received.extend(replies)
        return replies


def answer(context: Context, message: Message) -> Message:
    """What the node's process answers: Flower turns an exception into an error's text."""
    try:
        return client_app.app(message, context)
    except Exception as error:
        return Message(Error(code=3, reason=f"{type(error)}:<'{error}'>"), reply_to=message)
