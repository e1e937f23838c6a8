"""Which dispatcher carries work on: the one of the setting, if it fits where Outpost runs."""

from __future__ import annotations

from collections.abc import Mapping

from core.errors import ConfigError
from core.ports import Clock
from infra.dispatch_cloudtasks import CloudTasksQueue, Target
from infra.dispatch_queue import Queue
from infra.dispatch_sqs import SqsQueue
from infra.settings import Settings

IN_PROCESS, SQS, CLOUD_TASKS = "in-process", "sqs", "cloudtasks"

_CLOUD_RUN = ("K_SERVICE", "FUNCTION_TARGET")
"""What Cloud Run and functions-framework set."""


def check_process(settings: Settings) -> None:
    """One long-lived process carries its work on by itself. Raises ``ConfigError``."""
    if settings.dispatcher not in ("", IN_PROCESS):
        raise ConfigError(
            f"OUTPOST_DISPATCHER: {settings.dispatcher!r} wakes a worker function, but here Outpost is one process, "
            f"which carries its work on itself; set {IN_PROCESS!r} or nothing"
        )


def worker_queue(settings: Settings, environ: Mapping[str, str], clock: Clock) -> Queue:
    """The queue that wakes the worker of these functions. Raises ``ConfigError``."""
    on_cloud_run = any(name in environ for name in _CLOUD_RUN)
    fitting, platform = (CLOUD_TASKS, "Cloud Run") if on_cloud_run else (SQS, "Lambda")
    if settings.dispatcher not in ("", fitting):
        raise ConfigError(
            f"OUTPOST_DISPATCHER: {settings.dispatcher!r} does not fit functions on {platform}; "
            f"set {fitting!r} or nothing"
        )
    return _cloud_tasks(settings, clock) if on_cloud_run else _sqs(settings)


def _sqs(settings: Settings) -> Queue:
    if not settings.queue_url:
        raise ConfigError("OUTPOST_QUEUE_URL: not set, but functions hand work on through the worker's SQS queue")
    return SqsQueue(settings.queue_url)


def _cloud_tasks(settings: Settings, clock: Clock) -> Queue:
    target = Target(
        settings.tasks_queue, settings.tasks_url, settings.tasks_service_account, settings.tasks_endpoint_url
    )
    needed = {
        "OUTPOST_TASKS_QUEUE": target.queue,
        "OUTPOST_TASKS_URL": target.url,
        "OUTPOST_TASKS_SERVICE_ACCOUNT": target.service_account,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise ConfigError(f"{', '.join(missing)}: not set, but functions hand work on through Cloud Tasks")
    return CloudTasksQueue(target, clock)
