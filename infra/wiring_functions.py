"""The object graph of one function instance: work goes on through a queue, secrets and files come from the cloud."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from threading import Lock

from core.background import Background
from core.errors import ConfigError
from core.logs import JsonFormatter
from core.ports import Clock
from infra.cloud_files import CloudFiles
from infra.cluster_access import reach_cluster
from infra.dispatch_queue import QueueDispatcher, QueueUpdates
from infra.dispatchers import worker_queue
from infra.secrets import Secrets
from infra.settings import Settings, read_settings
from infra.wiring import Hosting, Outpost, assemble, utc_now

log = logging.getLogger(__name__)

_TUNNEL_SECONDS = 40.0


class Environment:
    """Where a function's configuration comes from. It can change while an instance lives."""

    def __init__(self, clock: Clock) -> None:
        """Fetch all of it into this process's environment. Raises ``ConfigError``."""
        os.environ.setdefault("SQL_POOL_SIZE", "0")  # an instance that is frozen must not hold connections
        self._secrets = Secrets(os.environ, clock)
        self._files = CloudFiles(os.environ, clock)
        self.settings = read_settings()
        self._cluster = reach_cluster(self.settings, os.environ, clock)
        self._refreshing, self._rereading = Lock(), Lock()

    def refresh(self) -> None:
        """Before each invocation: files that have changed, tokens that run out. Costs nothing in between.

        Several invocations may share an instance. While one of them fetches files, the others go on with the last
        copies; a token is waited for, since one that has ended is of no use.
        """
        if self._refreshing.acquire(blocking=False):
            try:
                self._files.refresh()
            finally:
                self._refreshing.release()
        if self._cluster is not None:
            self._cluster.refresh()

    def reread(self) -> Settings:
        """After a refused credential: the settings as the secrets are now, or the last good ones."""
        with self._rereading:  # who comes meanwhile gets what is being read
            if self._secrets.refresh():
                try:
                    self.settings = read_settings()
                except ConfigError as error:
                    log.error("the changed secrets are not used: %s", error)
            return self.settings


@dataclass(frozen=True)
class FunctionOutpost:
    """An Outpost whose work goes on in other invocations."""

    outpost: Outpost
    environment: Environment
    updates: QueueUpdates


def build_function(
    clock: Clock = utc_now, environment: Environment | None = None, log_formatter: JsonFormatter | None = None
) -> FunctionOutpost:
    """Put everything together for one instance, in an environment that was fetched already or is now.

    Raises ``ConfigError``.
    """
    environment = environment or Environment(clock)
    settings = environment.settings
    queue = worker_queue(settings, os.environ, clock)
    messages = Background()
    updates = QueueUpdates(queue, settings.sealer(), messages)
    hosting = Hosting(
        dispatcher=QueueDispatcher(queue),
        flavor_updates=lambda _: updates,
        background=Background(),
        messages=messages,
        reread=environment.reread,
        log_formatter=log_formatter or JsonFormatter(),
        tunnel_seconds=_TUNNEL_SECONDS,
    )
    return FunctionOutpost(assemble(settings, clock, hosting), environment, updates)
