"""The ways in which the books say no."""

from node.kernel.errors import DomainError


class InsufficientBalance(DomainError):
    code = "ledger.insufficient_balance"
    message = "Only {available} {unit} are available; {needed} are needed."
    retryable = True


class LimitReached(DomainError):
    code = "ledger.limit_reached"
    message = "This community accepts {available} more {unit} from that side; {needed} were asked."
    retryable = True


class UnknownAccount(DomainError):
    code = "ledger.unknown_account"
    message = "There is no account {account}."


class UnitsDiffer(DomainError):
    code = "ledger.units_differ"
    message = "Minutes and points never convert: {entry} mixes them."


class SameAccount(DomainError):
    code = "ledger.same_account"
    message = "An amount moves between two accounts; {entry} names the same one twice."


class AmountOutOfRange(DomainError):
    code = "ledger.amount_out_of_range"
    message = "An amount is between 1 and {limit}; {amount} is not."


class HoldNotOpen(DomainError):
    code = "ledger.hold_not_open"
    message = "Hold {hold} is {state}: it can no longer be changed."


class HoldExceeded(DomainError):
    code = "ledger.hold_exceeded"
    message = "Hold {hold} covers {amount}; {needed} were asked."


class AlreadyReversed(DomainError):
    code = "ledger.already_reversed"
    message = "Entry {entry} was already reversed."
