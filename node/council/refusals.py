"""The ways in which the council says no."""

from node.kernel.errors import DomainError


class StepNotNext(DomainError):
    code = "council.step_not_next"
    message = "This motion is in the step {step}. The next can only be: {possible}."


class PublicityTooShort(DomainError):
    code = "council.publicity_too_short"
    message = "A motion is public for at least {days} days; this one until {until}."
    retryable = True


class VoteStillOpen(DomainError):
    code = "council.vote_still_open"
    message = "A vote on this motion is open. Close it first."


class NoOpenVote(DomainError):
    code = "council.no_open_vote"
    message = "There is no open vote on this motion."


class VoteNotOver(DomainError):
    code = "council.vote_not_over"
    message = "This vote runs until {until}, unless everybody on the roll has voted."
    retryable = True


class VotingEnded(DomainError):
    code = "council.voting_ended"
    message = "The time to vote on this motion is over."


class NotOnRoll(DomainError):
    code = "council.not_on_roll"
    message = "This resident is not on the roll of this vote."


class AlreadyVoted(DomainError):
    code = "council.already_voted"
    message = "This resident has already voted. A ballot cannot be changed."


class TooManyProxies(DomainError):
    code = "council.too_many_proxies"
    message = "Nobody may carry more than {limit} written proxies in one vote."


class WorkItemsMissing(DomainError):
    code = "council.work_items_missing"
    message = (
        "A resolution is carried out by somebody until some day. Write down at least one task."
    )


class WorkItemsOpen(DomainError):
    code = "council.work_items_open"
    message = "{open} tasks of this resolution are not done yet."


class CoOwnerVoted(DomainError):
    code = "council.co_owner_voted"
    message = "The vote of this flat is in already: who owns a flat together votes once together."


class AreaMissing(DomainError):
    code = "council.area_missing"
    message = (
        "{count} owners have no floor area written down. Owners vote by head and by area: "
        "complete the residents' list first."
    )


class NobodyOnRoll(DomainError):
    code = "council.nobody_on_roll"
    message = "Nobody would be on the roll of this vote."


class TermsFixed(DomainError):
    code = "council.terms_fixed"
    message = "Once a motion is public, the terms of its vote stay as they are."


class ProxyMissing(DomainError):
    code = "council.proxy_missing"
    message = "There is no written proxy from this voter to this holder that is still good."


class ProxyUsed(DomainError):
    code = "council.proxy_used"
    message = "A ballot was put in with this proxy. It cannot be taken back any more."


class ProxyGiven(DomainError):
    code = "council.proxy_given"
    message = "This voter has given a proxy already. They can take it back first."


class SecretToolMissing(DomainError):
    code = "council.secret_tool_missing"
    message = (
        "A secret ballot needs the program belenios-tool, which is not installed here. "
        "On Debian: apt install belenios-tool."
    )


class SecretByArea(DomainError):
    code = "council.secret_by_area"
    message = (
        "Owners' votes are counted by floor area. The sums of the areas would tell who voted how, "
        "so such a vote is open."
    )


class SecretRefused(DomainError):
    code = "council.secret_refused"
    message = "belenios-tool did not accept this: {problem}"


class RollChanged(DomainError):
    code = "council.roll_changed"
    message = "Somebody moved in or out this very moment. Please try again."
    retryable = True


class TrusteesMissing(DomainError):
    code = "council.trustees_missing"
    message = (
        "A secret ballot needs at least {least} trustee beside this node, so that nobody can open "
        "a ballot alone."
    )


class SharesMissing(DomainError):
    code = "council.shares_missing"
    message = "{count} trustees have not done their part of the count yet."


class VoteBeingCounted(DomainError):
    code = "council.vote_being_counted"
    message = "This vote is over and is being counted."


class PaperRefused(DomainError):
    code = "council.paper_refused"
    message = "This file cannot be kept here: {problem}"


class CallOver(DomainError):
    code = "council.call_over"
    message = "This call for delegates is over."


class CallNotOver(DomainError):
    code = "council.call_not_over"
    message = "Residents can stand as delegates until {until}."
    retryable = True


class NotEnoughCandidates(DomainError):
    code = "council.not_enough_candidates"
    message = "{candidates} stand for {seats} seats. Let more people know, or offer fewer seats."


class HolderUnknown(DomainError):
    code = "council.holder_unknown"
    message = "Nobody of this name with this telephone number is known here."
