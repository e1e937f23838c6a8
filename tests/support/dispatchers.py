"""One Outpost for each dispatcher: its API, whatever stands between it and who carries work on, and that one."""

from __future__ import annotations

import asyncio
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from core.recover import recover
from handlers.messages import QueueMessage, json_object
from handlers.running import carry_on, drained
from infra.dispatch_inprocess import InProcessDispatcher
from infra.schema import migrate
from infra.settings import read_settings
from infra.wiring import Outpost, build
from infra.wiring_functions import FunctionOutpost, build_function
from tests.support.aws import Aws
from tests.support.clock import Clock
from tests.support.cloud_tasks import CloudTasks

CONFIG = """
import asyncio, os
from pathlib import Path
from jupyterhub.spawner import Spawner

class Noted(Spawner):
    async def start(self):
        with Path({notes!r}).open("a") as notes:
            notes.write(self.name + "\\n")
        await asyncio.sleep(0.2)
        return "192.0.2.1", 8888

    @property
    def ended(self):
        return Path({notes!r} + " ended " + self.name)

    async def poll(self):
        return 0 if self.ended.exists() else None

    async def stop(self, now=False):
        self.ended.touch()

c.JupyterHubOutpost.spawner_class = Noted
"""
"""Servers that are nowhere: each start is a line in a file."""


class Deployment(ABC):
    """An Outpost whose ``api`` takes requests in the test's event loop."""

    redelivers = True
    """Does a message whose work failed come again by itself? Else recover has the work done."""

    def __init__(self, folder: Path, environ: MutableMapping[str, str], clock: Clock) -> None:
        self.environ, self.clock, self._notes = environ, clock, folder / "starts"
        Path(environ["OUTPOST_CONFIG_FILE"]).write_text(CONFIG.format(notes=str(self._notes)))
        self.prepare()
        self.api = self.build()
        migrate(self.api.database, self.api.settings.sealer())

    @abstractmethod
    def prepare(self) -> None:
        """Put a queue into the environment."""

    @abstractmethod
    def build(self) -> Outpost:
        """What the handlers of this place build."""

    @abstractmethod
    def break_queue(self) -> None:
        """From now on nothing can be handed on."""

    @abstractmethod
    def mend_queue(self) -> None:
        """As before."""

    @abstractmethod
    def deliver_twice(self) -> None:
        """Every message comes twice from now on, if the queue can be told so."""

    @abstractmethod
    def messages(self) -> list[str]:
        """All that has left the process."""

    def starts(self) -> list[str]:
        """The names of the servers that were started."""
        return self._notes.read_text().split() if self._notes.exists() else []

    async def recover(self) -> None:
        """The schedule's tick, when leases and wake-ups have become old."""
        self.clock.forward(minutes=5)
        await recover(self.api.store, self.api.dispatcher, self.clock, self.api.lifecycle._parts.lease_time)

    async def close(self) -> None:
        """Nothing goes on."""
        await self.api.background.drain(10)
        await self.api.messages.drain(10)
        self.api.database.close()


class InProcess(Deployment):
    """A long-lived process."""

    redelivers = False

    def prepare(self) -> None:
        """There is none."""

    def build(self) -> Outpost:
        """For ``handlers.server``."""
        return build(read_settings(), self.clock)

    def deliver_twice(self) -> None:
        """It cannot."""

    def break_queue(self) -> None:
        """As in a process that has not come to serve yet."""
        self._dispatcher._work = None

    def mend_queue(self) -> None:
        """It serves."""
        self._dispatcher.serve(self.api.lifecycle.carry_on)

    @property
    def _dispatcher(self) -> InProcessDispatcher:
        assert isinstance(self.api.dispatcher, InProcessDispatcher)
        return self.api.dispatcher

    def messages(self) -> list[str]:
        """Nothing leaves."""
        return []


class Functions(Deployment):
    """Functions whose worker runs in other threads, each invocation with an event loop of its own."""

    function: FunctionOutpost

    def build(self) -> Outpost:
        """For ``handlers.aws`` and ``handlers.gcp``."""
        self.function, self._worker = build_function(self.clock), build_function(self.clock)
        return self.function.outpost

    def work(self, message_id: str, body: str) -> bool:
        """One invocation of the worker: is the message done?"""
        message = QueueMessage(message_id, json_object(body))
        return not asyncio.run(drained(carry_on(self._worker, [message]), self._worker.outpost))

    async def close(self) -> None:
        """Nothing goes on."""
        await super().close()
        self._worker.outpost.database.close()


class OnSqs(Functions):
    """The queue is SQS, and its messages are fetched as Lambda does."""

    def __init__(self, folder: Path, environ: MutableMapping[str, str], clock: Clock, aws: Aws) -> None:
        self._sqs, self._received, self._closed = aws.client("sqs"), list[str](), threading.Event()
        super().__init__(folder, environ, clock)
        self._poller = threading.Thread(target=self._poll, daemon=True)
        self._poller.start()

    def prepare(self) -> None:
        """A message that was not deleted comes again after a second."""
        self.environ["OUTPOST_QUEUE_URL"] = self._url = self._create()

    def _create(self) -> str:
        made = self._sqs.create_queue(QueueName="worker", Attributes={"VisibilityTimeout": "1"})
        return str(made["QueueUrl"])

    def _poll(self) -> None:
        while not self._closed.wait(0.05):
            try:
                got = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, VisibilityTimeout=30)
            except self._sqs.exceptions.QueueDoesNotExist:
                continue
            threads = [threading.Thread(target=self._take, args=(message,)) for message in got.get("Messages", [])]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _take(self, message: dict[str, str]) -> None:
        self._received.append(message["Body"])
        done = self.work(message["MessageId"], message["Body"])
        receipt = {"QueueUrl": self._url, "ReceiptHandle": message["ReceiptHandle"]}
        with suppress(self._sqs.exceptions.QueueDoesNotExist):  # the test has taken it away meanwhile
            if done:
                self._sqs.delete_message(**receipt)
            else:
                self._sqs.change_message_visibility(**receipt, VisibilityTimeout=0)

    def deliver_twice(self) -> None:
        """It cannot."""

    def break_queue(self) -> None:
        """It is gone."""
        self._sqs.delete_queue(QueueUrl=self._url)

    def mend_queue(self) -> None:
        """Made anew at the same place."""
        assert self._create() == self._url

    def messages(self) -> list[str]:
        """The bodies."""
        return self._received

    async def close(self) -> None:
        """Nothing goes on."""
        await super().close()
        self._closed.set()
        self._poller.join()


class OnCloudTasks(Functions):
    """The queue is Cloud Tasks, which calls a URL."""

    def __init__(self, folder: Path, environ: MutableMapping[str, str], clock: Clock, tasks: CloudTasks) -> None:
        self._tasks, self._server = tasks, ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(tasks.key_file(folder))
        super().__init__(folder, environ, clock)

    def prepare(self) -> None:
        """Beside it, what Cloud Run sets."""
        self.environ.update(self._tasks.env(f"http://127.0.0.1:{self._server.server_port}/"), K_SERVICE="api")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        work: Callable[[str, str], bool] = lambda task, body: self.work(task, body)  # noqa: E731

        class Worker(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.send_response(204 if work(self.headers["X-CloudTasks-TaskName"], body) else 500)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        return Worker

    def break_queue(self) -> None:
        """Google has trouble."""
        self._tasks.refuses = 503, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "try again"}}

    def mend_queue(self) -> None:
        """It has none."""
        self._tasks.refuses = None

    def deliver_twice(self) -> None:
        """At the same time."""
        self._tasks.copies = 2

    def messages(self) -> list[str]:
        """Bodies, names and headers."""
        return [task.body.decode() for task in self._tasks.tasks.values()] + [
            json.dumps([task.name, task.url, task.headers]) for task in self._tasks.tasks.values()
        ]

    async def close(self) -> None:
        """Nothing goes on."""
        await super().close()
        self._server.shutdown()
        self._server.server_close()


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Let the event loop go on until it holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)
