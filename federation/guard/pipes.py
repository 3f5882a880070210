"""Talking with a child that may stop listening, never stop talking, or lie about lengths."""

import os
import selectors
import subprocess
from contextlib import suppress
from typing import IO

from federation.errors import ForecastError
from federation.guard.child import LENGTH

CHUNK_BYTES = 1024 * 1024
LOG_BYTES_MAX = 64 * 1024


class ChildFailed(ForecastError):
    code = "guard.child_failed"
    message = "The training program was ended: {reason}."


class Pipes:
    """One question to a child and its answer, a bit at each turn; nothing here ever blocks."""

    def __init__(
        self, process: subprocess.Popen[bytes], question: bytes, *, answer_bytes_max: int
    ) -> None:
        assert process.stdin, "made with pipes"
        assert process.stdout, "made with pipes"
        assert process.stderr, "made with pipes"
        self.answer: bytes | None = None  # once it is whole
        self.said = bytearray()  # on standard error, for the node's own log
        self._ask, self._hear, self._errors = process.stdin, process.stdout, process.stderr
        self._unsent = memoryview(LENGTH.pack(len(question)) + question)
        self._heard = bytearray()
        self._answer_bytes_max = answer_bytes_max
        self._selector = selectors.DefaultSelector()
        for pipe in (self._ask, self._hear, self._errors):
            os.set_blocking(pipe.fileno(), False)
            events = selectors.EVENT_WRITE if pipe is self._ask else selectors.EVENT_READ
            self._selector.register(pipe, events)

    def turn(self, wait_seconds: float) -> None:
        """Send and hear what can be, waiting a moment at most."""
        for key, _ in self._selector.select(wait_seconds):
            if key.fileobj is self._ask:
                self._send()
            elif key.fileobj is self._errors:
                self._note()
            else:
                self._listen()

    def close(self) -> None:
        """The last words, such as why a child did not start; then all pipes are closed."""
        with suppress(OSError, ValueError, KeyError):
            self._note()
        self._selector.close()
        for pipe in (self._ask, self._hear, self._errors):
            with suppress(OSError):
                pipe.close()

    def _send(self) -> None:
        try:
            sent = os.write(self._ask.fileno(), self._unsent[:CHUNK_BYTES])
        except BrokenPipeError:
            sent = len(self._unsent)  # it has ended; listening says how
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._selector.unregister(self._ask)

    def _note(self) -> None:
        if part := self._read(self._errors):
            self.said += part[: LOG_BYTES_MAX - len(self.said)]

    def _listen(self) -> None:
        part = self._read(self._hear)
        self._heard += part
        if len(self._heard) >= LENGTH.size:
            size = LENGTH.unpack(self._heard[: LENGTH.size])[0]
            if size > self._answer_bytes_max:
                limit = self._answer_bytes_max // 1024
                raise ChildFailed(reason=f"its answer has more than {limit} kB")
            if len(self._heard) >= LENGTH.size + size:  # what comes after it is not looked at
                self.answer = bytes(self._heard[LENGTH.size : LENGTH.size + size])
                return
        if not part:
            raise ChildFailed(reason="it ended without an answer")

    def _read(self, pipe: IO[bytes]) -> bytes:
        part = os.read(pipe.fileno(), CHUNK_BYTES)
        if not part:
            self._selector.unregister(pipe)
        return part
