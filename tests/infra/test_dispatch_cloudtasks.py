"""The worker's queue on Google Cloud, through Google's own client library."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from google.auth.transport.requests import Request
from google.oauth2 import id_token

from core.errors import ConfigError
from infra import dispatch_cloudtasks
from infra.dispatch_cloudtasks import WORKER_SECONDS, CloudTasksQueue, Target
from infra.dispatch_queue import QueueDispatcher
from infra.wiring import utc_now
from tests.support import cloud_tasks
from tests.support.cloud_tasks import CALLER, QUEUE, CloudTasks
from tests.support.google import CERTIFICATES
from tests.support.outpost import ROOT
from tests.support.waiting import eventually

TROUBLE = "the worker's queue takes no messages"
UNAVAILABLE = 503, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "try again"}}


@pytest.fixture
def tasks(tmp_path: Path, environ: MutableMapping[str, str]) -> Iterator[CloudTasks]:
    """An empty queue; this process's account may use it."""
    with cloud_tasks.server() as running:
        environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(running.key_file(tmp_path))
        yield running


class Worker:
    """Answers calls with the next of these statuses, and at last with 204."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.answers = threading.Event()
        self.answers.set()
        self.url = ""
        self.authorizations: list[str] = []


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker behind a URL."""
    worker = Worker()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            worker.authorizations.append(self.headers["Authorization"])
            self.rfile.read(int(self.headers["Content-Length"]))
            worker.answers.wait(10)
            self.send_response(worker.statuses.pop(0) if worker.statuses else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        worker.url = f"http://127.0.0.1:{listening.server_port}/run"
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        yield worker
        worker.answers.set()
        listening.shutdown()


def queue_at(endpoint: str, url: str = "http://127.0.0.1:1/", name: str = QUEUE) -> CloudTasksQueue:
    """A queue whose worker is at ``url``."""
    return CloudTasksQueue(Target(name, url, CALLER, endpoint), utc_now)


async def test_a_task_calls_the_worker_with_a_token_made_out_for_it(tasks: CloudTasks, worker: Worker) -> None:
    await queue_at(tasks.url, worker.url).send([{"service": 7}])
    (task,) = tasks.tasks.values()
    eventually(lambda: task.done)
    assert (task.message, task.url, task.deadline) == ({"service": 7}, worker.url, WORKER_SECONDS)
    assert task.headers["Content-Type"] == "application/json"
    token = worker.authorizations[0].removeprefix("Bearer ")
    claims = id_token.verify_token(token, Request(), worker.url, tasks.url + CERTIFICATES)
    assert claims["email"] == CALLER


async def test_a_delayed_task_is_not_called_before_its_time(tasks: CloudTasks, worker: Worker) -> None:
    before = datetime.now(UTC)
    queue = queue_at(tasks.url, worker.url)
    await queue.send([{"service": 1}], delay=1)
    await queue.send([{"service": 2}], delay=900)
    soon, late = tasks.tasks.values()
    assert late.schedule_time >= before + timedelta(seconds=900)
    eventually(lambda: soon.done)
    assert soon.attempts[0].began >= before + timedelta(seconds=1)
    assert late.attempts == []


async def test_a_task_comes_again_until_it_is_done_after_longer_and_longer_pauses(
    tasks: CloudTasks, worker: Worker
) -> None:
    worker.statuses = [500, 429, 404]
    await queue_at(tasks.url, worker.url).send([{"service": 1}])
    (task,) = tasks.tasks.values()
    eventually(lambda: task.done)
    assert [attempt.status for attempt in task.attempts] == [500, 429, 404, 204]
    told = ("X-CloudTasks-TaskRetryCount", "X-CloudTasks-TaskPreviousResponse")
    headers = [tuple(attempt.headers.get(name) for name in told) for attempt in task.attempts]
    assert headers == [("0", None), ("1", "500"), ("2", "429"), ("3", "404")]
    began = [attempt.began for attempt in task.attempts]
    pauses = [(after - before).total_seconds() for before, after in pairwise(began)]
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4), strict=True))


async def test_a_worker_that_does_not_answer_is_called_again(tasks: CloudTasks, worker: Worker) -> None:
    tasks.longest_call = 0.2
    worker.answers.clear()
    await queue_at(tasks.url, worker.url).send([{"service": 1}])
    (task,) = tasks.tasks.values()
    eventually(lambda: len(task.attempts) > 1)
    assert task.attempts[0].status is None
    tasks.longest_call = 10
    worker.answers.set()
    eventually(lambda: task.done)


async def test_a_task_whose_answer_is_lost_is_not_created_twice(
    tasks: CloudTasks, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    tasks.lost_answers = 1
    await queue_at(tasks.url, worker.url).send([{"service": 1}, {"service": 2}])
    assert [task.message["service"] for task in tasks.tasks.values()] == [1, 2]
    assert len(tasks.seen) == 3
    assert TROUBLE not in caplog.text


@pytest.mark.parametrize(
    ("answer", "calls"),
    [(UNAVAILABLE, 2), ((403, {"error": {"code": 403, "message": "lacks cloudtasks.tasks.create"}}), 1)],
)
async def test_a_queue_that_takes_nothing_is_not_asked_for_each_message(
    tasks: CloudTasks, caplog: pytest.LogCaptureFixture, answer: tuple[int, dict[str, Any]], calls: int
) -> None:
    tasks.refuses = answer
    await QueueDispatcher(queue_at(tasks.url)).wake(range(200))
    assert len(tasks.seen) == calls
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert line.startswith(f"{TROUBLE}, 200 are left: HTTP {answer[0]} ")
    assert answer[1]["error"]["message"] in line
    assert "\n" not in line


async def test_a_queue_that_is_not_there_is_told(tasks: CloudTasks, caplog: pytest.LogCaptureFixture) -> None:
    await queue_at(tasks.url, name=f"{QUEUE}s").send([{"service": 1}])
    assert f"{TROUBLE}, 1 are left: HTTP 404 " in caplog.text


async def test_google_that_does_not_listen_is_told(tasks: CloudTasks, caplog: pytest.LogCaptureFixture) -> None:
    await queue_at("http://127.0.0.1:1").send([{"service": 1}])
    assert TROUBLE in caplog.text
    assert "refused" in caplog.text


async def test_credentials_that_are_missing_are_told_and_looked_for_again(
    tasks: CloudTasks, environ: MutableMapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    queue, key = queue_at(tasks.url), environ["GOOGLE_APPLICATION_CREDENTIALS"]
    environ["GOOGLE_APPLICATION_CREDENTIALS"] += ".missing"
    await queue.send([{"service": 1}])
    assert f"{TROUBLE}, 1 are left: OUTPOST_DISPATCHER: there are no Google credentials: " in caplog.text
    environ["GOOGLE_APPLICATION_CREDENTIALS"] = key
    await queue.send([{"service": 1}])
    assert len(tasks.tasks) == 1


async def test_nothing_to_send_calls_nobody(tasks: CloudTasks) -> None:
    await queue_at(tasks.url).send([])
    assert tasks.seen == []


def test_without_googles_library_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.tasks_v2", None)
    with pytest.raises(ConfigError, match=r"^OUTPOST_DISPATCHER: google-cloud-tasks is not installed; .*outpost\[gcp"):
        queue_at("http://127.0.0.1:1")


def test_a_function_does_not_pay_for_the_library_before_it_sends(tasks: CloudTasks) -> None:
    script = """
import sys
from infra.wiring_functions import build_function
build_function()
print(*sorted({"grpc", "requests", "boto3", "google.cloud.tasks_v2"} & sys.modules.keys()))
"""
    env = {**os.environ, **tasks.env("http://127.0.0.1:1/"), "K_SERVICE": "api"}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, ""), ended.stderr


async def test_google_that_listens_but_says_nothing_is_given_up(
    tasks: CloudTasks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatch_cloudtasks, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        await queue_at(f"http://127.0.0.1:{silent.getsockname()[1]}").send([{"service": 1}])
    assert TROUBLE in caplog.text
    assert "timed out" in caplog.text
