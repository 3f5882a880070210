"""The ways in which the time bank says no."""

from node.kernel.errors import DomainError


class NotInSteps(DomainError):
    code = "timebank.not_in_steps"
    message = "Minutes go in steps of {step}, from {step} to {limit}."


class MoreThanAgreed(DomainError):
    code = "timebank.more_than_agreed"
    message = "Give the minutes really used: at least 1, at most the {held} that were agreed."
