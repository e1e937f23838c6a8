"""The way to the database: on Cloud Run with Direct VPC egress it may open a minute after an instance has started."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from datetime import timedelta

from core.ports import Clock
from infra.database_settings import DatabaseSettings

log = logging.getLogger(__name__)

LONGEST_WAIT = timedelta(minutes=1)

_TRY_SECONDS = 5.0
_PAUSE_SECONDS = 1.0


def wait_for_network(settings: DatabaseSettings, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
    """Return when ``SQL_HOST`` takes a connection, or after a minute in vain, which is logged.

    A socket and SQLite are on this machine, and not waited for.
    """
    if settings.tcp_address is None or not (trouble := _trouble(settings.tcp_address)):
        return
    log.info("SQL_HOST cannot be reached yet: %s; trying on", trouble)
    began = clock()
    while trouble:
        if clock() - began >= LONGEST_WAIT:
            log.warning("SQL_HOST cannot be reached: %s; going on without", trouble)
            return
        pause(_PAUSE_SECONDS)
        trouble = _trouble(settings.tcp_address)
    log.info("SQL_HOST can be reached after %.0f s", (clock() - began).total_seconds())


def _trouble(address: tuple[str, int]) -> str:
    """Why there is no connection to it, or nothing."""
    try:
        socket.create_connection(address, _TRY_SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
