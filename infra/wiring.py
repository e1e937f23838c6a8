"""The object graph of one process, built once."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core import logs
from core.background import Background
from core.config import JupyterHubOutpost
from core.config_file import ConfigFile
from core.errors import ConfigError
from core.flavors import Flavors
from core.lifecycle import Lifecycle
from core.notify import Notifier
from core.parts import Parts
from core.ports import Clock, Dispatcher
from core.rules import CREDITS, RuleFile
from infra.crypto import Sealer
from infra.database import Database
from infra.dispatch_inprocess import InProcessDispatcher
from infra.hub_client import TornadoHubClient
from infra.settings import Settings
from infra.store import SqlStore

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Outpost:
    """What handlers work with."""

    settings: Settings
    database: Database
    store: SqlStore
    config: ConfigFile
    flavor_file: RuleFile
    credit_file: RuleFile
    flavors: Flavors
    lifecycle: Lifecycle
    dispatcher: Dispatcher
    background: Background
    """Starts and stops that nobody waits for."""
    messages: Background
    """What hubs are told; at the end it may be cut short."""
    clock: Clock
    owner: str

    def file_problems(self) -> dict[str, str | None]:
        """Why a changed file is not in force, by the name ``/health`` has for it."""
        self.config()
        return {
            "config": self.config.problem,
            "flavors": self.flavor_file.problem,
            "credits": self.credit_file.problem,
        }


def build(settings: Settings, clock: Clock = utc_now) -> Outpost:
    """Put everything together. Raises ``ConfigError`` for every mistake that can be found without a request."""
    if not settings.hub_passwords:
        raise ConfigError("usernames, passwords: no hub can log in; set both, separated by ';', paired by position")

    def on_load(outpost: JupyterHubOutpost) -> None:
        logs.configure(outpost, settings.logger_name)

    sealer = Sealer(settings.crypt_key.get_secret_value())
    config = ConfigFile(settings.config_path, on_load)
    for name in settings.hubs_without_password:
        log.warning("usernames: %r has no password at its position of passwords; it cannot log in", name)
    flavor_file, credit_file = RuleFile(settings.flavors_path), RuleFile(settings.credits_path, CREDITS)
    database = Database(settings.database_url)
    store = SqlStore(database, sealer, clock)
    flavors = Flavors(config, flavor_file, credit_file, store)
    background, messages = Background(), Background()
    dispatcher = InProcessDispatcher(background)
    owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    parts = Parts(
        store=store,
        outpost=config,
        limits_of=flavors.limits,
        notifier=Notifier(TornadoHubClient(), config, flavors.of_hub, messages, clock),
        dispatcher=dispatcher,
        clock=clock,
        owner=owner,
        lease_time=timedelta(seconds=settings.lease_seconds),
    )
    lifecycle = Lifecycle(parts)
    dispatcher.serve(lifecycle.carry_on)
    return Outpost(
        settings=settings,
        database=database,
        store=store,
        config=config,
        flavor_file=flavor_file,
        credit_file=credit_file,
        flavors=flavors,
        lifecycle=lifecycle,
        dispatcher=dispatcher,
        background=background,
        messages=messages,
        clock=clock,
        owner=owner,
    )
