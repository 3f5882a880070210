"""How a rule says no: a stable code, a sentence, and whether trying again can help."""

from typing import ClassVar

REFUSALS: dict[str, type["DomainError"]] = {}
"""Every refusal of the program by its code; pages and tests read the table."""


class DomainError(Exception):
    """A rule said no: expected, safe to show, never logged with a traceback."""

    code: ClassVar[str]
    message: ClassVar[str]
    retryable: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        assert cls.code not in REFUSALS, f"two refusals share the code {cls.code}"
        REFUSALS[cls.code] = cls

    def __init__(self, **details: str | int) -> None:
        super().__init__(self.message.format(**details))
        self.details = details


class IdReused(DomainError):
    code = "kernel.id_reused"
    message = "The id {id} was used before for something else. Choose a new id."


class NotFound(DomainError):
    code = "kernel.not_found"
    message = "There is no {what} with the id {id}."


class BadInput(DomainError):
    code = "kernel.bad_input"
    message = "{field}: {problem}"


class NotAllowed(DomainError):
    code = "kernel.not_allowed"
    message = "Your role does not allow this: {what}."


class WrongState(DomainError):
    code = "kernel.wrong_state"
    message = "{what} is {state}; this needs {needed}."


class Busy(DomainError):
    code = "kernel.busy"
    message = "The node has {waiting} writes waiting, its limit. Try again in a moment."
    retryable = True
