"""How gifts, limits, reversals and disputes say no; passes and visits say it in rules.py."""

from node.kernel.errors import DomainError


class GiftCodeUnknown(DomainError):
    code = "exchange.gift_code_unknown"
    message = "Nobody here can receive gifts under this code."


class TooManyGiftCodes(DomainError):
    code = "exchange.too_many_gift_codes"
    message = "At most {limit} gift codes can be in use at a time; take one back first."


class StillExpected(DomainError):
    code = "exchange.still_expected"
    message = (
        "Help or minutes are still open with other communities ({count}). "
        "Let them end, or call them off, first."
    )


class ConsentUnstated(DomainError):
    code = "exchange.consent_unstated"
    message = (
        "A program does not spend a resident's minutes by itself: say in consent how they agreed "
        "(self, proxy, in_person, telephone or written), and in acted_by who acts."
    )


class ActorUnfit(DomainError):
    code = "exchange.actor_unfit"
    message = (
        "{actor} may not act here in this way. Minutes are spent by the resident (self), "
        "a relative under an agreement (proxy), or a clerk or social worker of this house."
    )


class AllPeersLimitReached(DomainError):
    code = "exchange.all_peers_limit_reached"
    message = "This community accepts {available} more minutes from all others; {needed} asked."
    retryable = True


class PeerBacklog(DomainError):
    code = "exchange.peer_backlog"
    message = "{community} has not answered {waiting} messages; nothing new is begun with it."
    retryable = True


class SlipUnusable(DomainError):
    code = "exchange.slip_unusable"
    message = "The slip is not a pass of {home} for this community: {problem}"


class ReceiptUnknown(DomainError):
    code = "exchange.receipt_unknown"
    message = "There is no receipt here for the exchange {exchange}."


class ReversalExists(DomainError):
    code = "exchange.reversal_exists"
    message = "Another reversal of the exchange {exchange} is still open."


class ReversalNotOffered(DomainError):
    code = "exchange.reversal_not_offered"
    message = "These minutes are not offered back: the reversal is {state}."


class ReversalTooLarge(DomainError):
    code = "exchange.reversal_too_large"
    message = "The exchange was for {paid} minutes; {needed} cannot go back."


class DisputeExists(DomainError):
    code = "exchange.dispute_exists"
    message = "The exchange {exchange} is in dispute already."


class DisputeUnknown(DomainError):
    code = "exchange.dispute_unknown"
    message = "There is no dispute {dispute} between us."


class DisputeClosed(DomainError):
    code = "exchange.dispute_closed"
    message = "The dispute is {state}; this cannot be said any more."


class OwnDispute(DomainError):
    code = "exchange.own_dispute"
    message = "Nobody judges a dispute about their own exchange."
