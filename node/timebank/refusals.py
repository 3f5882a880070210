"""The ways in which the time bank says no."""

from node.kernel.errors import DomainError


class NotInSteps(DomainError):
    code = "timebank.not_in_steps"
    message = "Minutes go in steps of {step}, from {step} to {limit}."


class NotOwned(DomainError):
    code = "timebank.not_owned"
    message = "Only your own minutes can be given: {owned} are yours, {needed} were named."


class GrantsUsedUp(DomainError):
    code = "timebank.grants_used_up"
    message = "This resident can be granted {left} more minutes this month; {needed} were named."


class MoreThanAgreed(DomainError):
    code = "timebank.more_than_agreed"
    message = "Give the minutes really used: at least 1, at most the {held} that were agreed."


class NotTrained(DomainError):
    code = "timebank.not_trained"
    message = "This help needs training or a certificate that the desk has seen: {service}."


class TooLate(DomainError):
    code = "timebank.too_late"
    message = "The time for this answer is over. Please ask again."


class AlreadyDecided(DomainError):
    code = "timebank.already_decided"
    message = "A social worker has decided this exchange; the decision stands."


class TooManyListings(DomainError):
    code = "timebank.too_many_listings"
    message = "You have {limit} open offers and needs. Close one first."
