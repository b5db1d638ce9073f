"""Structured logs on stderr: a static event name, ids bound once, and no secrets.

Our own events and those of libraries' loggers leave by the same door, so both are redacted.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import Processor

from workers.settings import Settings

REDACTED = "[redacted]"

_SECRET_VALUE = re.compile(
    r"""(?x)
      \bxox[a-z]?[a-z.]?-[\w.-]{6,}             # Slack bot, user and configuration tokens
    | \bxapp-[\w-]{6,}                          # Slack app-level tokens
    | \b(?:sk|ftb)-[\w-]{6,}                    # model vendors' keys, and our own
    | \bhf_\w{10,}
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)           # user:password in an URL
    | (?<=hooks\.slack\.com/)[a-z]+/\S+         # where anybody may post: webhooks, response_urls
    | (?<=[?&]ticket=)[^&\s'"]+                 # a Socket Mode connection
    | (?i:(?<=bearer\s)|(?<=basic\s))[\w.~+/=-]{6,}
    """
)
_SECRET_NAME = re.compile(r"(?i)(token|secret|password|api_?key|authorization|cookie)$")


def redacted(value: Any) -> Any:
    """The value without anything that looks like a secret."""
    if isinstance(value, str):
        return _SECRET_VALUE.sub(REDACTED, value)
    if isinstance(value, dict):
        return {key: REDACTED if one and _SECRET_NAME.search(str(key)) else redacted(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _SECRET_VALUE.sub(REDACTED, str(value))


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The processor: redact the whole event, tracebacks included."""
    for key, value in event.items():
        if not key.startswith("_"):  # structlog's own, not printed
            event[key] = REDACTED if value and _SECRET_NAME.search(key) else redacted(value)
    return event


def configure(settings: Settings, process: str, *, level: int = logging.INFO) -> None:
    """Send this process's logs to stderr, as text or as one JSON object a line."""

    def say_process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["process"] = process
        return event

    shared: list[Processor] = [
        say_process,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    rendering: list[Processor] = [structlog.processors.format_exc_info, redact, last]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
