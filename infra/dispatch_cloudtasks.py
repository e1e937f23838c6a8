"""The worker's queue on Google Cloud: Cloud Tasks calls the worker's URL, until it says that the message is done."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from threading import Lock
from typing import Any

from core.errors import ConfigError
from core.ports import Clock
from core.threads import in_thread
from infra import google_api

log = logging.getLogger(__name__)

WORKER_SECONDS = 1800
"""How long the worker may take for one message; Cloud Tasks waits no longer for any."""

_SECONDS = 5
_ATTEMPTS = 2
_CONFLICT, _TOO_MANY = 409, 429


@dataclass(frozen=True)
class Target:
    """Where tasks are put, and whom they call as whom."""

    queue: str
    """``projects/P/locations/L/queues/Q``"""
    url: str
    """The worker's; tokens are made out for it."""
    service_account: str
    endpoint: str


class CloudTasksQueue:
    """Implements :class:`infra.dispatch_queue.Queue`."""

    def __init__(self, target: Target, clock: Clock) -> None:
        """Nothing is called yet. Raises ``ConfigError`` when Google's library is missing."""
        self._target = target
        self._clock = clock
        self._client: Any = None
        self._connecting = Lock()
        if not _is_installed():
            raise ConfigError("OUTPOST_DISPATCHER: google-cloud-tasks is not installed; it comes with outpost[gcp]")

    async def send(self, bodies: Sequence[dict[str, Any]], delay: int = 0) -> None:
        """Create a task for each, to be called after ``delay`` seconds. What keeps one away would keep all others."""
        for number, body in enumerate(bodies):
            trouble = await in_thread(self._create, body, delay)
            if trouble:
                log.error("the worker's queue takes no messages, %d are left: %s", len(bodies) - number, trouble)
                return

    def _create(self, body: dict[str, Any], delay: int) -> str | None:
        """Why that was in vain. The task has a name, so that a second attempt makes no second task."""
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError
        from requests import RequestException

        task, trouble = self._task(body, delay), ""
        for _ in range(_ATTEMPTS):
            try:
                client = self._connected()
                client.create_task(parent=self._target.queue, task=task, timeout=_SECONDS, retry=None)
            except GoogleAPICallError as error:
                if error.code == _CONFLICT:
                    return None
                trouble = f"HTTP {error.code} {google_api.told(error.message)}"
                if error.code is not None and 400 <= error.code < 500 and error.code != _TOO_MANY:
                    break
            except (GoogleAuthError, RequestException, OSError, ConfigError) as error:
                trouble = google_api.told(error)
            else:
                return None
        return trouble

    def _task(self, body: dict[str, Any], delay: int) -> dict[str, Any]:
        token = {"service_account_email": self._target.service_account, "audience": self._target.url}
        task: dict[str, Any] = {
            "name": f"{self._target.queue}/tasks/{uuid.uuid4().hex}",
            "http_request": {
                "url": self._target.url,
                "headers": {"Content-Type": "application/json"},
                "body": json.dumps(body).encode(),
                "oidc_token": token,
            },
            "dispatch_deadline": timedelta(seconds=WORKER_SECONDS),
        }
        if delay:
            task["schedule_time"] = self._clock() + timedelta(seconds=delay)
        return task

    def _connected(self) -> Any:
        """Google's client. Its import takes a third of a second, so it waits until there is something to send."""
        with self._connecting:
            if self._client is None:
                from google.api_core.client_options import ClientOptions
                from google.cloud.tasks_v2 import CloudTasksClient

                self._client = CloudTasksClient(
                    credentials=google_api.credentials("OUTPOST_DISPATCHER"),
                    transport="rest",  # a gRPC channel does not live through freezing and forking
                    client_options=ClientOptions(api_endpoint=self._target.endpoint.rstrip("/")),
                )
            return self._client


def _is_installed() -> bool:
    try:
        return find_spec("google.cloud.tasks_v2") is not None
    except ModuleNotFoundError:
        return False
