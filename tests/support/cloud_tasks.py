"""Cloud Tasks on this machine: takes tasks as Google's API does, and calls their URLs until one answers 2xx."""

from __future__ import annotations

import base64
import heapq
import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.support import google
from tests.support.google import PROJECT, Google

QUEUE = f"projects/{PROJECT}/locations/europe-west3/queues/worker"
CALLER = f"outpost-tasks@{PROJECT}.iam.gserviceaccount.com"

_MOST_TASKS = 10_000
_AT_ONCE = 16
_TASK = re.compile(r"(projects/[^/]+/locations/[^/]+/queues/[^/]+)/tasks/[A-Za-z0-9_-]{1,500}")
_CREATE = re.compile(r"/v2/(projects/[^/]+/locations/[^/]+/queues/[^/]+)/tasks(?:\?.*)?")
_LONGEST_DEADLINE, _SHORTEST_DEADLINE, _DEFAULT_DEADLINE = 1800.0, 15.0, 600.0
_FURTHEST = timedelta(days=30)
_MOST_BYTES = 100 * 1024


@dataclass(frozen=True)
class Attempt:
    """One call of a task's URL; ``status`` is None when nothing was answered in time."""

    status: int | None
    began: datetime
    headers: dict[str, str]


@dataclass
class Task:
    """A task as it was created, and what became of it."""

    name: str
    url: str
    body: bytes
    headers: dict[str, str]
    schedule_time: datetime
    deadline: float
    caller: str
    audience: str
    attempts: list[Attempt] = field(default_factory=list)
    done: bool = False
    given_up: bool = False

    @property
    def message(self) -> Any:
        """What its JSON says."""
        return json.loads(self.body)


class Refused(Exception):
    """An answer of the API: HTTP status and Google's word for it."""

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        self.answer = code, {"error": {"code": code, "status": status, "message": message}}


class CloudTasks(Google):
    """One queue. Its account, keys and tokens are those of :class:`Google`."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.tasks: dict[str, Task] = {}
        """All that were ever created, by name: a name can be used once."""
        self.first_pause, self.longest_pause, self.most_attempts = 0.1, 1.0, 100
        self.longest_call = _LONGEST_DEADLINE
        """Calls end after this many seconds even if their task allows more."""
        self.copies = 1
        """How often each task is delivered, as happens now and then."""
        self.lost_answers = 0
        """So many of the next tasks are taken, but the answer is an error."""
        self._due: list[tuple[datetime, int, Task, int]] = []
        self._changed = threading.Condition()
        self._is_paused = self._is_closed = False
        self._count = 0
        self._callers = ThreadPoolExecutor(_AT_ONCE)
        self._http = httpx.Client(verify=False, trust_env=False)
        self._loop = threading.Thread(target=self._deliver, daemon=True)
        self._loop.start()

    def env(self, worker_url: str) -> dict[str, str]:
        """What Outpost must be told to send its work through this queue; the account's key file is extra."""
        return {
            "OUTPOST_DISPATCHER": "cloudtasks",
            "OUTPOST_TASKS_QUEUE": QUEUE,
            "OUTPOST_TASKS_URL": worker_url,
            "OUTPOST_TASKS_SERVICE_ACCOUNT": CALLER,
            "OUTPOST_TASKS_ENDPOINT_URL": self.url,
        }

    def pause(self) -> None:
        """Take tasks, but deliver none."""
        self._is_paused = True

    def resume(self) -> None:
        """Deliver again."""
        with self._changed:
            self._is_paused = False
            self._changed.notify_all()

    def waiting(self) -> list[Task]:
        """The tasks that are neither done nor given up."""
        return [task for task in list(self.tasks.values()) if not task.done and not task.given_up]

    def close(self) -> None:
        """Deliver no more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._loop.join()
        self._callers.shutdown(cancel_futures=True)
        self._http.close()

    def answer(self, path: str, headers: Any, body: str) -> tuple[int, Any]:
        """Status and JSON for a request."""
        if not (creating := _CREATE.fullmatch(path)):
            return super().answer(path, headers, body)
        self.seen.append(path)
        if self.refuses:
            return self.refuses
        if not self.knows(headers):
            return 401, {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "no such token"}}
        try:
            created = self._create(creating[1], json.loads(body)["task"])
        except Refused as refused:
            return refused.answer
        if self.lost_answers:
            self.lost_answers -= 1
            return 503, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "try again"}}
        return 200, created

    def _create(self, queue: str, asked: dict[str, Any]) -> dict[str, Any]:
        if queue != QUEUE:
            raise Refused(404, "NOT_FOUND", "Requested entity was not found.")
        with self._changed:
            name = asked.get("name") or f"{queue}/tasks/{len(self.tasks) + 1}"
            task = _task(name, queue, asked)
            if name in self.tasks:
                raise Refused(409, "ALREADY_EXISTS", "The task cannot be created because a task with this name exists.")
            if len(self.tasks) >= _MOST_TASKS:
                raise Refused(429, "RESOURCE_EXHAUSTED", "Too many tasks.")
            self.tasks[name] = task
            for _ in range(self.copies):
                self._put(task, task.schedule_time, 0)
        at = task.schedule_time.isoformat().replace("+00:00", "Z")
        return {"name": name, "scheduleTime": at, "dispatchDeadline": f"{task.deadline:g}s"}

    def _put(self, task: Task, at: datetime, retries: int) -> None:
        self._count += 1
        heapq.heappush(self._due, (at, self._count, task, retries))
        self._changed.notify_all()

    def _deliver(self) -> None:
        while True:
            with self._changed:
                if self._is_closed:
                    return
                wait = (self._due[0][0] - datetime.now(UTC)).total_seconds() if self._due else None
                if self._is_paused or wait is None or wait > 0:
                    self._changed.wait(None if self._is_paused else wait)
                    continue
                _, _, task, retries = heapq.heappop(self._due)
            self._callers.submit(self._attempt, task, retries)

    def _attempt(self, task: Task, retries: int) -> None:
        headers = task.headers | {
            "User-Agent": "Google-Cloud-Tasks",
            "X-CloudTasks-QueueName": QUEUE.rpartition("/")[2],
            "X-CloudTasks-TaskName": task.name.rpartition("/")[2],
            "X-CloudTasks-TaskRetryCount": str(retries),
            "X-CloudTasks-TaskExecutionCount": str(sum(a.status is not None for a in task.attempts)),
            "X-CloudTasks-TaskETA": f"{task.schedule_time.timestamp():.6f}",
        }
        if task.attempts and task.attempts[-1].status is not None:
            headers["X-CloudTasks-TaskPreviousResponse"] = str(task.attempts[-1].status)
        if task.caller:
            headers["Authorization"] = f"Bearer {self.identity_token(task.audience, task.caller)}"
        began = datetime.now(UTC)
        status = self._call(task, headers)
        with self._changed:
            task.attempts.append(Attempt(status, began, headers))
            if status is not None and 200 <= status < 300:
                task.done = True
            elif retries + 1 >= self.most_attempts:
                task.given_up = True
            else:
                pause = min(self.longest_pause, self.first_pause * 2 ** min(retries, 16))
                self._put(task, datetime.now(UTC) + timedelta(seconds=pause), retries + 1)

    def _call(self, task: Task, headers: dict[str, str]) -> int | None:
        """Google waits that long for the whole answer; here a worker that trickles would be waited for longer."""
        until = time.monotonic() + min(task.deadline, self.longest_call)
        try:
            answer = self._http.post(task.url, content=task.body, headers=headers, timeout=until - time.monotonic())
        except (httpx.HTTPError, RuntimeError):  # or closed meanwhile
            return None
        return answer.status_code


def _task(name: str, queue: str, asked: dict[str, Any]) -> Task:
    """A task out of what was asked for. Raises ``Refused`` for what Google would not take."""
    request, now = asked.get("httpRequest") or {}, datetime.now(UTC)
    at = datetime.fromisoformat(asked["scheduleTime"]) if "scheduleTime" in asked else now
    deadline = float(str(asked.get("dispatchDeadline", f"{_DEFAULT_DEADLINE}s")).removesuffix("s"))
    body, oidc = base64.b64decode(request.get("body", "")), request.get("oidcToken") or {}
    url, caller = request.get("url", ""), oidc.get("serviceAccountEmail", "")
    named = _TASK.fullmatch(name)
    wrong = {
        "Task.name": named is None or named[1] != queue,
        "HttpRequest.url": not re.match("https?://.", url),
        "HttpRequest.http_method": request.get("httpMethod", "POST") not in ("POST", 1),
        "Task.schedule_time": at > now + _FURTHEST,
        "Task.dispatch_deadline": not _SHORTEST_DEADLINE <= deadline <= _LONGEST_DEADLINE,
        "Task size": len(body) > _MOST_BYTES,
        "OidcToken.service_account_email": "oidcToken" in request and "@" not in caller,
    }
    for what, is_wrong in wrong.items():
        if is_wrong:
            raise Refused(400, "INVALID_ARGUMENT", f"{what} is invalid.")
    headers = {"Content-Type": "application/octet-stream"} | request.get("headers", {})
    return Task(name, url, body, headers, max(at, now), deadline, caller, oidc.get("audience") or url)


@contextmanager
def server() -> Iterator[CloudTasks]:
    """A queue for as long as the block runs."""
    with google.serving(CloudTasks) as tasks:
        try:
            yield tasks
        finally:
            tasks.close()
