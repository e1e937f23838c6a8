"""One long-lived process for Kubernetes or a single machine: the API and the schedules under uvicorn."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvicorn
from fastapi import FastAPI

from core.errors import ConfigError, StoreUnavailable
from core.threads import in_thread
from handlers import check_config, database, ssh_node
from handlers.api import create_app, version
from handlers.routes import metrics as metrics_route
from handlers.schedules import run_forever, schedules
from infra.cluster_access import reach_cluster
from infra.exposition import Exposition
from infra.metrics import Metrics
from infra.settings import read_settings
from infra.wiring import Outpost, build, utc_now

log = logging.getLogger(__name__)

REQUESTS_GRACE_SECONDS = 15
TASKS_GRACE_SECONDS = 10
MESSAGES_GRACE_SECONDS = 1
"""How long requests, then starts in the background, then calls to hubs may go on after SIGTERM.

Together below Kubernetes's 30 seconds.
"""

_NOTED_SECONDS = 5
"""How long the first request may wait for the SSH node's restart to be noted."""
_SILENT_SECONDS = 30
"""How long an SSH node may not be reached until the log says so."""

_MISTAKE = 2
_NO_DATABASE = 1
_QUIET = ("GET /ping", "GET /health", "GET /metrics")


def main(argv: list[str] | None = None) -> int:
    """``python -m handlers.server [COMMAND]``; the exit code, 2 for a mistake in the configuration."""
    arguments, rest = _parser().parse_known_args(argv)
    if arguments.command == "check-config":
        return check_config.main(rest)
    if rest:
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if arguments.command == "migrate":
            return database.run_migrate()
        if arguments.command == "rotate-key":
            return database.run_rotate_key()
        settings = read_settings()
        reach_cluster(settings, os.environ, utc_now)
        metrics = Metrics(version(), settings.hub_passwords)
        outpost = build(settings, meter=metrics)
        database.prepare(outpost.settings, outpost.database)
        serve(outpost, metrics, arguments.host, arguments.port)
    except ConfigError as error:
        print(f"outpost: {error}", file=sys.stderr)  # noqa: T201
        return _MISTAKE
    except StoreUnavailable as error:
        print(f"outpost: {error}", file=sys.stderr)  # noqa: T201
        return _NO_DATABASE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m handlers.server", description=__doc__)
    commands = ("serve", "migrate", "rotate-key", "check-config")
    parser.add_argument("command", nargs="?", choices=commands, default="serve", help="default: serve")
    parser.add_argument("--host", default="0.0.0.0", help="address to bind, default: %(default)s")  # noqa: S104
    parser.add_argument("--port", type=int, default=8080, help="0 is a free one; default: %(default)s")
    return parser


def serve(outpost: Outpost, metrics: Metrics, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; then starts may finish within a grace period, and the rest is recovered."""
    check_start_up(outpost)
    app = create_app(outpost, observe=metrics.request)
    app.state.exposition = Exposition(metrics, outpost)
    app.include_router(metrics_route.router)
    app.router.lifespan_context = _lifespan(outpost, metrics)
    logging.getLogger("uvicorn.access").addFilter(_not_a_probe)
    _keep_what_is_imported()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        timeout_graceful_shutdown=REQUESTS_GRACE_SECONDS,
        server_header=False,
    )
    uvicorn.Server(config).run()


def _keep_what_is_imported() -> None:
    """Modules stay until the end: looking through them again and again would stop every request for 70 ms."""
    gc.collect()
    gc.freeze()


def check_start_up(outpost: Outpost) -> None:
    """Find mistakes now that would else fail the first start. Raises ``ConfigError``."""
    import core.spawners.remote  # noqa: F401  # what the first request would else wait for
    from core.spawners.resolve import spawner_class

    spawner_class(outpost.config().spawner_class)
    problems = check_config.problems(outpost.config())
    if problems:
        raise ConfigError("; ".join(problems))


def _lifespan(outpost: Outpost, metrics: Metrics) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        jobs = []
        for schedule in schedules(outpost):
            metrics.scheduled(schedule.job, outpost.clock())
            jobs.append(asyncio.create_task(run_forever(outpost, schedule, metrics.ran), name=schedule.job))
        if outpost.settings.ssh_generation:
            jobs.append(told := asyncio.create_task(_say_restarted(outpost), name="ssh node"))
            if not outpost.settings.ssh_node_service:  # what starts from now on has its tunnel in this generation
                await asyncio.wait({told}, timeout=_NOTED_SECONDS)
        try:
            yield
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            cut = await outpost.background.drain(TASKS_GRACE_SECONDS)
            await outpost.messages.drain(MESSAGES_GRACE_SECONDS)
            if cut:
                log.warning("%d tasks did not end in time; recover finds what they left", cut)
            outpost.database.close()

    return lifespan


async def _say_restarted(outpost: Outpost) -> None:
    """This Outpost is the SSH node itself. A hub that is asked before it can reach the node gives its server up."""
    service, generation = outpost.settings.ssh_node_service, outpost.settings.ssh_generation
    while True:
        try:
            if service:
                await _until_reached(service, _SILENT_SECONDS)
            await outpost.tunnels.ssh_restarted(generation)
            return
        except StoreUnavailable as error:
            log.warning("the SSH node's restart waits: %s", error)
        except Exception:  # else no hub would ever be asked
            log.exception("the SSH node's restart could not be noted; trying on")
        await asyncio.sleep(ssh_node.PAUSE_SECONDS)


async def _until_reached(service: str, silent_seconds: float) -> None:
    """Until an SSH server answers there. A cluster may let no pod reach itself: so it is said, once, if that lasts."""
    begun, said = time.monotonic(), False
    while not await in_thread(ssh_node.greets, service):
        if not said and time.monotonic() - begun >= silent_seconds:
            said = True
            log.warning(
                "OUTPOST_SSH_NODE_SERVICE: no SSH server answers at %s, as seen from here; "
                "no hub is asked for its tunnels before one does",
                service,
            )
        await asyncio.sleep(ssh_node.PAUSE_SECONDS)


def _not_a_probe(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(probe in message for probe in _QUIET)


if __name__ == "__main__":
    sys.exit(main())
