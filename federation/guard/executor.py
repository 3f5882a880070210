"""Between Flower's SuperNode and the judge: acquires tasks, and pushes what the judge lets out.

A SuperNode with `--isolation process` starts nothing itself: without this program no training
code can run. What is used of Flower here is internal to it, so the version is pinned and any
other one is refused.
"""

import importlib.metadata
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

import httpx
from flwr.app import Context, Message
from flwr.app.error import Error
from flwr.common.constant import ErrorCode, SubStatus
from flwr.proto.runtime_pb2 import AcquireTaskRequest, SendTaskHeartbeatRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.fab import Fab
from flwr.supercore.heartbeat import HeartbeatSender
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.run import Run
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supernode.runtime.run_clientapp import pull_task_input, push_message, push_task_output

from federation.errors import ForecastError
from federation.guard.judge import Judge, Task

FLOWER_VERSION = "1.41.0"
POLL_SECONDS = 0.2
PULL_SECONDS_MAX = 30.0  # for a message that lies on this machine already
GIVEN_UP = 3  # exit status
AWAY_SECONDS = 1.0  # between two questions to a SuperNode that does not answer
METHOD = "/flwr.proto.Runtime/AcquireTask"
COMPONENT = "SuperExec"


class FlowerUnknown(ForecastError):
    code = "guard.flower_unknown"
    message = "The guard was tested with flwr {known} only, and {found} is installed."


def require_known_flower() -> None:
    """Refuse to run between a SuperNode and an app that nobody has tested this with."""
    found = importlib.metadata.version("flwr")
    if found != FLOWER_VERSION:
        raise FlowerUnknown(known=FLOWER_VERSION, found=found)


class Executor:
    """The only executor of one SuperNode."""

    def __init__(self, judge: Judge) -> None:
        config = judge.config
        self._judge = judge
        self._address = config.runtime
        secret = config.secret.read_bytes()
        self._client = _client(
            config.runtime,
            RuntimeVersionHttpInterceptor(component_name=COMPONENT),
            SuperExecAuthHttpInterceptor(
                master_secret=secret, protected_methods=frozenset({METHOD})
            ),
        )

    def run(self) -> None:
        """Work until ended."""
        request = AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP.value])
        trouble = ""
        while True:
            pause_seconds = POLL_SECONDS
            try:
                found = self._client.AcquireTask(request)
                if found.HasField("task") and found.token:
                    self._do(found.token)
                trouble = ""
            except httpx.HTTPError as error:
                if trouble != type(error).__name__:  # said once, not at every look
                    trouble = type(error).__name__
                    _say(f"the SuperNode does not answer: {trouble}")
                pause_seconds = AWAY_SECONDS
            self._judge.cool()
            time.sleep(pause_seconds)

    def _do(self, token: str) -> None:
        client = _client(
            self._address,
            RuntimeVersionHttpInterceptor(component_name="flwr-clientapp"),
            RuntimeTokenHttpInterceptor(token),
        )
        is_stopped = threading.Event()
        heartbeat = HeartbeatSender(_beat(client, is_stopped))
        heartbeat.start()
        try:
            self._answer(client, is_stopped)
        finally:
            with suppress(RuntimeError):
                heartbeat.stop()
            client.close()

    def _answer(self, client: RuntimeHttpClient, is_stopped: threading.Event) -> None:
        message, context, run, fab = _pulled(client)
        task = Task(message, context, fab.content, run.fab_id, run.fab_version)
        status, details = SubStatus.COMPLETED, ""
        try:
            content = self._judge.answer(task, is_gone=is_stopped.is_set)
            reply = Message(content, reply_to=message)
        except ForecastError as refusal:
            status, details = SubStatus.FAILED, f"{refusal.code}: {refusal}"
            _say(details)
        except Exception as failure:
            status, details = SubStatus.FAILED, "guard.failed: the node's guard has an error."
            _say(f"{details} {failure!r}")
        if details:
            self._judge.note_refusal(task, details)
            error = Error(code=ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason=details)
            reply = Message(error, reply_to=message)
        push_message(client, reply, context)
        push_task_output(client=client, context=context, sub_status=status, details=details)


def _pulled(client: RuntimeHttpClient) -> tuple[Message, Context, Run, Fab]:
    """The task, or the end of this process, which is started again within seconds.

    When the office is restarted just then, a task may be without its message; Flower would wait
    hours for it, and every later task with it.
    """
    found: Future[tuple[Message, Context, Run, Fab]] = Future()

    def pull() -> None:
        try:
            found.set_result(pull_task_input(client))
        except Exception as failure:
            found.set_exception(failure)

    threading.Thread(target=pull, daemon=True).start()
    try:
        return found.result(PULL_SECONDS_MAX)
    except Exception as failure:
        _say(f"a task came without its message: {type(failure).__name__}")
        os._exit(GIVEN_UP)  # the waiting thread cannot be ended in another way


def _client(address: str, *interceptors: object) -> RuntimeHttpClient:
    return RuntimeHttpClient.from_server_address(
        server_address=address,
        insecure=True,  # on loopback; the secret is never sent, it signs
        root_certificates=None,
        interceptors=list(interceptors),  # type: ignore[arg-type] # Flower's own, see above
    )


def _beat(client: RuntimeHttpClient, is_stopped: threading.Event) -> Callable[[], bool]:
    """Tell that the task is being worked on, and hear when nobody wants it any more."""

    def beat() -> bool:
        try:
            if not client.SendTaskHeartbeat(SendTaskHeartbeatRequest()).success:
                is_stopped.set()
        except httpx.HTTPStatusError:
            is_stopped.set()
        except httpx.HTTPError:
            return False
        return True

    return beat


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 (our log)
