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
