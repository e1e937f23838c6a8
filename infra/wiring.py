"""The object graph of one process, built once."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from core import logs
from core.background import Background
from core.config import JupyterHubOutpost
from core.config_file import ConfigFile
from core.errors import ConfigError
from core.flavor_updates import FlavorTeller, FlavorUpdates, InProcessUpdates
from core.flavors import Flavors
from core.hub_calls import HubCalls
from core.lifecycle import Lifecycle
from core.meter import NotCounted
from core.notify import Notifier
from core.orphans import Orphans
from core.parts import Parts
from core.ports import Clock, Dispatcher, Meter
from core.rules import CREDITS, RuleFile
from core.tunnels import Tunnels
from infra.credentials import password_for
from infra.database import Database
from infra.database_settings import DatabaseSettings
from infra.dispatch_inprocess import InProcessDispatcher
from infra.dispatchers import check_process
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
    flavor_teller: FlavorTeller
    lifecycle: Lifecycle
    tunnels: Tunnels
    orphans: Orphans
    calls: HubCalls
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


@dataclass(frozen=True)
class Hosting:
    """What depends on where Outpost runs."""

    dispatcher: Dispatcher
    flavor_updates: Callable[[FlavorTeller], FlavorUpdates]
    background: Background
    messages: Background
    reread: Callable[[], DatabaseSettings] | None = None
    """Reads the settings again when the database refuses the password."""
    log_formatter: logs.JsonFormatter | None = None
    meter: Meter = field(default_factory=NotCounted)
    tunnel_seconds: float = 30


def build(settings: Settings, clock: Clock = utc_now, meter: Meter | None = None) -> Outpost:
    """Put everything together for one long-lived process.

    Raises ``ConfigError`` for every mistake that can be found without a request.
    """
    check_process(settings)
    background, messages = Background(), Background()
    dispatcher = InProcessDispatcher(background)
    hosting = Hosting(
        dispatcher=dispatcher,
        flavor_updates=lambda teller: InProcessUpdates(teller, messages),
        background=background,
        messages=messages,
        meter=meter or NotCounted(),
        tunnel_seconds=settings.tunnels_seconds * 0.8,
    )
    outpost = assemble(settings, clock, hosting)
    dispatcher.serve(outpost.lifecycle.carry_on)
    return outpost


def open_database(settings: DatabaseSettings, reread: Callable[[], DatabaseSettings] | None = None) -> Database:
    """The database of the settings; nothing is connected yet."""
    return Database(settings.database_url, settings.sql_pool_size, settings.tls(), password_for(settings, reread))


def assemble(settings: Settings, clock: Clock, hosting: Hosting) -> Outpost:
    """Put everything together. Raises ``ConfigError``."""
    if not settings.hub_passwords:
        raise ConfigError("usernames, passwords: no hub can log in; set both, separated by ';', paired by position")

    def on_load(outpost: JupyterHubOutpost) -> None:
        logs.configure(outpost, settings.logger_name, hosting.log_formatter)

    sealer = settings.sealer()
    logs.enable_all()
    config = ConfigFile(settings.config_path, on_load)
    for name in settings.hubs_without_password:
        log.warning("usernames: %r has no password at its position of passwords; it cannot log in", name)
    flavor_file, credit_file = RuleFile(settings.flavors_path), RuleFile(settings.credits_path, CREDITS)
    database = open_database(settings, hosting.reread)
    store = SqlStore(database, sealer, clock)
    flavors = Flavors(config, flavor_file, credit_file, store)
    calls = HubCalls(TornadoHubClient(), config, hosting.meter)
    teller = FlavorTeller(calls, config, flavors.of_hub)
    owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    parts = Parts(
        store=store,
        outpost=config,
        limits_of=flavors.limits,
        notifier=Notifier(calls, config, hosting.flavor_updates(teller), hosting.messages, clock),
        meter=hosting.meter,
        dispatcher=hosting.dispatcher,
        clock=clock,
        owner=owner,
        lease_time=timedelta(seconds=settings.lease_seconds),
    )
    return Outpost(
        settings=settings,
        database=database,
        store=store,
        config=config,
        flavor_file=flavor_file,
        credit_file=credit_file,
        flavors=flavors,
        flavor_teller=teller,
        lifecycle=Lifecycle(parts),
        tunnels=Tunnels(
            store,
            config,
            calls,
            hosting.background,
            clock,
            lease_time=parts.lease_time,
            budget=hosting.tunnel_seconds,
        ),
        orphans=Orphans(store, config, clock),
        calls=calls,
        dispatcher=hosting.dispatcher,
        background=hosting.background,
        messages=hosting.messages,
        clock=clock,
        owner=owner,
    )
