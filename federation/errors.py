"""Refusals of the forecaster: a stable code and a sentence, as everywhere else in the project."""

from typing import ClassVar


class ForecastError(Exception):
    """Something the operator can put right; shown without a traceback, exit status 2."""

    code: ClassVar[str]
    message: ClassVar[str]

    def __init__(self, **details: str | int) -> None:
        super().__init__(self.message.format(**details))
        self.details = details


class ExportUnreadable(ForecastError):
    code = "forecast.export_unreadable"
    message = "The training export {path} cannot be read: {reason}."


class ExportInvalid(ForecastError):
    code = "forecast.export_invalid"
    message = "The training export {path}, line {line}: {reason}."


class HistoryTooShort(ForecastError):
    code = "forecast.history_too_short"
    message = "The training export has {days} days; at least {needed} are needed."


class ModelInvalid(ForecastError):
    code = "forecast.model_invalid"
    message = "The model does not fit this forecaster: {reason}."


class RunConfigInvalid(ForecastError):
    code = "forecast.run_config_invalid"
    message = "The run asks for {name}={value}, which this node does not accept."


class NotEnoughNodes(ForecastError):
    code = "forecast.not_enough_nodes"
    message = "Only {nodes} of the {needed} nodes were there within {seconds} s of round {round}."


class RoundTooSmall(ForecastError):
    code = "forecast.round_too_small"
    message = "Round {round} brought {results} results; at least {needed} are needed. {reason}"


class PrivacyTooWeak(ForecastError):
    code = "forecast.privacy_too_weak"
    message = "The run promises epsilon {run} for one request; the counts here have {own}."
