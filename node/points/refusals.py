"""The ways in which points say no."""

from node.kernel.errors import DomainError


class UnknownActivity(DomainError):
    code = "points.unknown_activity"
    message = "The rules in force do not name the activity {activity}."


class DailyCapReached(DomainError):
    code = "points.daily_cap_reached"
    message = "Today {left} more points can be earned by this activity; {needed} were asked."


class EvidenceUsed(DomainError):
    code = "points.evidence_used"
    message = "This evidence has already earned points for this activity."


class OwnAward(DomainError):
    code = "points.own_award"
    message = "Nobody awards points to themselves. Ask a colleague."


class OutOfStock(DomainError):
    code = "points.out_of_stock"
    message = "There are none left of {item}."
    retryable = True


class WrongPickupCode(DomainError):
    code = "points.wrong_pickup_code"
    message = "The code does not fit this reservation."


class EvidenceNotAccepted(DomainError):
    code = "points.evidence_not_accepted"
    message = "The rules in force do not accept this evidence for the activity {activity}: {kind}."


class DebtFirst(DomainError):
    code = "points.debt_first"
    message = (
        "Points were taken back: {missing} must be earned again before you put something aside."
    )
    retryable = True


class TakenTooDeep(DomainError):
    code = "points.taken_too_deep"
    message = (
        "Taking this back would leave the resident {below} points below zero; {limit} at most."
    )
    retryable = True


class StockTooSmall(DomainError):
    code = "points.stock_too_small"
    message = "There are {stock} of it; {needed} cannot be taken away."


class NotOffered(DomainError):
    code = "points.not_offered"
    message = "{item} is not on offer at present."


class WrongOnsiteCode(DomainError):
    code = "points.wrong_onsite_code"
    message = "This is not the code on the screen now. It changes; please read it again."
    retryable = True


class TooManyTries(DomainError):
    code = "points.too_many_tries"
    message = "Too many wrong codes. Please wait {minutes} minutes, or ask the desk."
    retryable = True


class GatheringNotOpen(DomainError):
    code = "points.gathering_not_open"
    message = "The code counts only while people are there; that is over, or has not begun."


class SignedTooOften(DomainError):
    code = "points.signed_too_often"
    message = "The same neighbour has signed for you {times} times in {days} days. Ask another one."


class SignedForEachOther(DomainError):
    code = "points.signed_for_each_other"
    message = "You signed for this neighbour on the same day. Ask somebody else."
