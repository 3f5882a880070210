"""The few words that everybody speaks: clock, ids, errors, events, and the one write path."""

from node.kernel import logs as logs  # first: it decides what structlog brings along
