"""Logging as ``outpost_config.py`` asks for it: JupyterHub's traits, one handler, secrets hidden."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from tornado.log import LogFormatter

from core.config import JupyterHubOutpost
from core.redact import RedactingFormatter, redact

ROOT_NAME = "outpost"

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""What a function's platform calls the invocation at hand."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line, redacted, for services that collect logs; ``log_format`` does not apply."""

    def __init__(self, level_key: str = "level") -> None:
        """``level_key`` is where the collecting service looks for the level."""
        super().__init__()
        self._level_key = level_key

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, and where there are any the request, the service and the error."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            self._level_key: record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            "service": getattr(record, "service", ""),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        # What is hidden must go before JSON escapes it, and may not take JSON's own signs with it.
        return json.dumps({key: redact(value) for key, value in line.items() if value}, ensure_ascii=False)


def enable_all() -> None:
    """Let loggers be heard that some library has disabled: ``dictConfig`` does that to all that are there, if not told.

    For the moment before ``outpost_config.py`` is read: that may disable some on purpose.
    """
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.disabled = False


def configure(
    outpost: JupyterHubOutpost, name: str = "JupyterHubOutpost", formatter: JsonFormatter | None = None
) -> None:
    """Send all logs to stderr and to ``extra_log_handlers``; calling it again replaces what it set up.

    ``formatter`` goes before ``log_format``.
    """
    chosen = formatter or RedactingFormatter(LogFormatter(fmt=outpost.log_format, datefmt=outpost.log_datefmt))
    stderr = logging.StreamHandler(sys.stderr)
    stderr.setFormatter(chosen)
    for handler in outpost.extra_log_handlers:
        inner = handler.formatter
        if not isinstance(inner, RedactingFormatter | JsonFormatter):
            handler.setFormatter(RedactingFormatter(inner) if inner else chosen)
    root = logging.getLogger()
    root.handlers[:] = [stderr, *outpost.extra_log_handlers]
    # What traitlets has put there would write each line once more, secrets included.
    own = logging.getLogger(type(outpost).__name__)
    own.handlers[:] = [handler for handler in own.handlers if handler.name != "console"]
    level: Any = outpost.log_level  # the trait turns names into numbers
    root.setLevel(level)
    for noisy in ("asyncio", "alembic", "botocore", "traitlets"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
    outpost.log = logging.getLogger(name)


def service_logger(log_name: str) -> logging.LoggerAdapter[logging.Logger]:
    """A logger whose lines say which service they are about."""
    return _ServiceAdapter(logging.getLogger(ROOT_NAME), {"service": log_name})


class _ServiceAdapter(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        extra = self.extra or {}
        return f"{extra.get('service', '-')} - {msg}", kwargs | {"extra": {**extra, **kwargs.get("extra", {})}}
