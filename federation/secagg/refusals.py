"""Why a node, or the office, stops a secure sum: each reason with its code and sentence."""

from federation.errors import ForecastError


class IdentityUnreadable(ForecastError):
    code = "secagg.identity_unreadable"
    message = "This node's identity for training cannot be used: {reason}."


class AdvertForged(ForecastError):
    code = "secagg.advert_forged"
    message = "The keys offered for {community} are not its own: {reason}."


class RosterRefused(ForecastError):
    code = "secagg.roster_refused"
    message = "This node does not share secrets with that roster: {reason}."


class QuorumTooSmall(ForecastError):
    code = "secagg.quorum_too_small"
    message = "The office asks for a quorum of {quorum}; of {members} members it takes {needed}."


class StepOutOfOrder(ForecastError):
    code = "secagg.step_out_of_order"
    message = "Round {round}: {reason}."


class SharesForged(ForecastError):
    code = "secagg.shares_forged"
    message = "The shares sent in the name of {community} are not from it."


class RoundRepeated(ForecastError):
    code = "secagg.round_repeated"
    message = "Round {round} was {what} by this node already; it is done once."


class SurvivorsRefused(ForecastError):
    code = "secagg.survivors_refused"
    message = "Round {round}: this node does not help to unmask that set: {reason}."


class SecretLost(ForecastError):
    code = "secagg.secret_lost"
    message = "Round {round}: the shares of {community} do not give its secret back."


class SumImplausible(ForecastError):
    code = "secagg.sum_implausible"
    message = "Round {round}: the sum cannot come from honest updates: {reason}."


class PlainUpdateRefused(ForecastError):
    code = "secagg.plain_update_refused"
    message = (
        "This node gives its update only to a secure sum: the district has members enough, or had. "
        "Its operator can allow plain updates."
    )
