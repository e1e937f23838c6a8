"""Outpost as Lambda functions: the same surface as the process, on the local emulator."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx

from local.aws.async_events import AsyncEvents
from local.aws.cron import Rate
from local.aws.fork_server import ForkServer
from local.aws.front import FrontEnd
from local.aws.function import Function
from local.aws.http_events import FUNCTION_URL, Kind
from local.aws.instance import REGION, Definition
from local.aws.queue_mapping import QueueMapping
from local.aws.records import Record
from local.aws.runtime_api import Answer
from local.aws.schedule import Schedule
from tests.support.outpost import NO_TLS, OutpostProcess
from tests.support.waiting import eventually

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

_TIMEOUTS = {"api": 120.0, "worker": 300.0, "expire": 60.0, "recover": 60.0, "tunnels": 60.0, "migrate": 60.0}
_PREPARED = {"api": 2, "worker": 1}
_FUNCTIONS = ("api", "worker", "expire", "recover", "tunnels")
_SCHEDULED = ("expire", "recover", "tunnels")
_INIT_SECONDS = 60.0
"""More than Lambda gives, because this machine does much else at the same time."""


class OutpostFunctions(OutpostProcess):
    """The functions of ``handlers.aws`` behind a Function URL, with their queue and schedules.

    Nothing of the functions outlives an event but frozen processes, and with ``cold`` not even those.
    """

    password_header = "x-amzn-remapped-www-authenticate"
    body_limit = "6291556 bytes"
    debug_line = '"level": "DEBUG"'
    log_has_format = False

    def __init__(
        self,
        folder: Path,
        config: str = "",
        env: Mapping[str, str] | None = None,
        *,
        aws: str,
        cold: bool,
        kind: Kind = FUNCTION_URL,
        fork_server: ForkServer | None = None,
        visibility_seconds: int = 30,
    ) -> None:
        """``aws`` is the endpoint of SQS; a message that was not handled is seen again after that time.

        With ``cold`` every event has a process of its own, which the fork server forks.
        """
        super().__init__(folder, config, env)
        self.cold = cold
        self.keeps_last_good = not cold
        self._fork_server = fork_server
        self._kind = kind
        self.sqs: Any = boto3.client("sqs", endpoint_url=aws, region_name=REGION, **KEYS)
        made = self.sqs.create_queue(
            QueueName=f"outpost-{uuid.uuid4().hex}", Attributes={"VisibilityTimeout": str(visibility_seconds)}
        )
        self.queue_url: str = made["QueueUrl"]
        self.env |= {"OUTPOST_QUEUE_URL": self.queue_url, "AWS_ENDPOINT_URL": aws}
        self.env |= {name.upper(): value for name, value in KEYS.items()}
        self.functions: dict[str, Function] = {}
        self.records: list[Record] = []
        """What was told of every invocation."""
        self.closed = False
        self._parts: list[FrontEnd | Schedule] = []
        self._queue: QueueMapping | None = None

    @property
    def pid(self) -> int:
        """The process that hands its events out; functions have none that stays."""
        return os.getpid()

    def exit_codes(self, code: int) -> set[int]:
        """A process that did not start the server, so is not its parent, tells 0."""
        return {0} if self.cold else {0, code}

    def invoke(self, name: str, event: Any, **env: str) -> Answer:
        """Have one event handled, by a function of its own when Outpost is not started."""
        function = self.functions.get(name) or self._function(name, env)
        try:
            return function.invoke(event)
        finally:
            if name not in self.functions:
                function.close()

    def migrate(self) -> None:
        """What is done after a deployment, before the first request."""
        answer = self.invoke("migrate", {})
        assert not answer.error, f"{answer.payload.decode()}\n{self.tail()}"

    def launch(self, **env: str) -> None:
        """Deploy the functions with that environment, and let events come."""
        settings = self.env | env
        lease = float(settings.get("OUTPOST_LEASE_SECONDS", "30"))
        expire = float(settings.get("JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER", "60"))
        self.functions = {name: self._function(name, env) for name in _FUNCTIONS}
        self._parts = [
            FrontEnd(self.functions["api"], self._kind, self.port),
            self._schedule("expire", expire),
            self._schedule("recover", lease / 3),
            self._schedule("tunnels", 30),
        ]
        for part in self._parts:
            part.start()
        self.open_queue()

    def close_schedules(self) -> None:
        """Nothing is done but what messages and requests ask for."""
        for part in self._parts:
            if isinstance(part, Schedule):
                part.close()

    def redeploy(self, name: str, **env: str) -> None:
        """Replace a function; what invokes it has to be stopped before."""
        self.functions[name].close()
        self.functions[name] = self._function(name, env)

    def open_queue(self) -> None:
        """Let messages reach the worker."""
        self._queue = QueueMapping(self.sqs, self.queue_url, self.functions["worker"])
        self._queue.start()

    def close_queue(self) -> None:
        """Leave messages in the queue, from now on."""
        if self._queue is not None:
            self._queue.close()
            self._queue.join()

    def _schedule(self, name: str, seconds: float) -> Schedule:
        return Schedule(name, Rate(timedelta(seconds=seconds)), AsyncEvents(self.functions[name]))

    def _function(self, name: str, env: Mapping[str, str]) -> Function:
        definition = Definition(
            name,
            f"handlers.aws.{name}",
            {**self.env, **env},
            timeout=_TIMEOUTS[name],
            concurrency=1 if name in _SCHEDULED else 10,
            retry_attempts=0,
            max_event_age_seconds=0,  # a tick is left out while the last one is under way
            init_seconds=_INIT_SECONDS,
            log=self.log,
            fork_server=self._fork_server,
        )
        return Function(definition, cold=self.cold, prepared=_PREPARED.get(name, 0), observer=self.records.append)

    def wait(self) -> None:
        """Wait until it answers."""
        eventually(self._answers, 60, "Outpost answers")

    def _answers(self) -> bool:
        return httpx.get(f"{self.url}/ping", timeout=60, verify=NO_TLS).is_success

    def has_ended(self) -> bool:
        """Do no events come?"""
        return not self.functions

    def kill(self) -> None:
        """All instances at once, in the middle of their events."""
        if self._queue is not None:
            self._queue.close()
        for function in self.functions.values():
            function.close()
        for part in self._parts:
            part.close()
        self.functions, self._parts = {}, []

    def stop(self) -> int:
        """No events come any more. Nobody tells functions that they end, so there is no other way."""
        self.kill()
        return 0

    def close(self) -> None:
        """End it, and every server it started."""
        self.kill()
        super().close()
        self.closed = True
