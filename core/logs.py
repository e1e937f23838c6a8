"""Logging as ``outpost_config.py`` asks for it: JupyterHub's traits, one handler, secrets hidden."""

from __future__ import annotations

import logging
import sys
from typing import Any

from tornado.log import LogFormatter

from core.config import JupyterHubOutpost
from core.redact import RedactingFormatter

ROOT_NAME = "outpost"


def configure(outpost: JupyterHubOutpost, name: str = "JupyterHubOutpost") -> None:
    """Send all logs to stderr and to ``extra_log_handlers``; calling it again replaces what it set up."""
    formatter = RedactingFormatter(LogFormatter(fmt=outpost.log_format, datefmt=outpost.log_datefmt))
    stderr = logging.StreamHandler(sys.stderr)
    stderr.setFormatter(formatter)
    for handler in outpost.extra_log_handlers:
        inner = handler.formatter
        if not isinstance(inner, RedactingFormatter):
            handler.setFormatter(RedactingFormatter(inner) if inner else formatter)
    root = logging.getLogger()
    root.handlers[:] = [stderr, *outpost.extra_log_handlers]
    level: Any = outpost.log_level  # the trait turns names into numbers
    root.setLevel(level)
    for noisy in ("asyncio", "alembic", "traitlets"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
    outpost.log = logging.getLogger(name)


def service_logger(log_name: str) -> logging.LoggerAdapter[logging.Logger]:
    """A logger whose lines say which service they are about."""
    return _ServiceAdapter(logging.getLogger(ROOT_NAME), {"service": log_name})


class _ServiceAdapter(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        extra = self.extra or {}
        return f"{extra.get('service', '-')} - {msg}", kwargs
