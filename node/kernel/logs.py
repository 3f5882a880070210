"""Logs are facts with fields, one JSON object a line on stderr: ids and figures, no people."""

import logging
import sys

# structlog loads rich wherever it is installed, for coloured consoles: 3 MB that we never use. A
# None in sys.modules makes an import fail; the real module goes back right after.
_RICH = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]  # the import system's own way
import structlog  # noqa: E402

if _RICH is None:
    del sys.modules["rich"]
else:
    sys.modules["rich"] = _RICH


def configure_logs() -> None:
    """Call once, in a command's main: ours and the libraries' warnings in one form."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
