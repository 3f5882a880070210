"""The ways in which the notices' slice says no."""

from node.kernel.errors import DomainError


class NoConsent(DomainError):
    code = "notices.no_consent"
    message = "First agree that notices may leave the house: a provider will see them."


class ChannelClosed(DomainError):
    code = "notices.channel_closed"
    message = "This community does not send notices this way."


class BadChannels(DomainError):
    code = "notices.bad_channels"
    message = "{file} cannot be used: {problem}"
