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
