"""How the simulation says no, before it starts or when a step of it fails."""

from node.kernel.errors import DomainError


class NotInstalled(DomainError):
    code = "simulation.not_installed"
    message = "Not installed: {missing}; linli-sim needs them: pip install 'linli[simulation]'"


class PanelUnreadable(DomainError):
    code = "simulation.panel_unreadable"
    message = "{file} cannot be read: {reason}"


class PanelInvalid(DomainError):
    code = "simulation.panel_invalid"
    message = "{file}, line {line}: {problem}"


class TooFewCommunities(DomainError):
    code = "simulation.too_few_communities"
    message = "{file} has {found} communities; a district needs {needed}."


class PanelTooShort(DomainError):
    code = "simulation.panel_too_short"
    message = "{file} has {days} days; a comparison needs {needed}."


class ArmImpossible(DomainError):
    code = "simulation.arm_impossible"
    message = "The arm {arm} cannot be run: {reason}"


class HistoryTooShort(DomainError):
    code = "simulation.history_too_short"
    message = "{file} has {days} days of {community} without a long gap; {needed} are needed."


class OutUnusable(DomainError):
    code = "simulation.out_unusable"
    message = "{directory} cannot hold a run: {reason}"


class StepFailed(DomainError):
    """A step of a run did not come to its end; `log` is where to read on."""

    code = "simulation.step_failed"
    message = "{step}: {process} failed: {reason} See {log}."
