"""Outpost as Cloud Run functions: the same surface as the process, each function served by functions-framework."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support import cloud_tasks
from tests.support.cloud_tasks import CALLER, CloudTasks
from tests.support.google import CERTIFICATES
from tests.support.outpost import NO_TLS, ROOT, OutpostProcess
from tests.support.postgresql import free_port
from tests.support.waiting import eventually

FRAMEWORK = Path(sys.executable).with_name("functions-framework")
FUNCTIONS = ("api", "worker", "expire", "recover", "tunnels", "migrate")
OF_A_MODE = {"development": {"DEBUG": "1"}, "gunicorn": {"LOG_EXECUTION_ID": "true"}}
"""The platform sets the latter by itself; the framework then sets logging up anew when it has loaded the functions."""
MODES = tuple(OF_A_MODE)
AUDIENCE = "https://outpost.example"
"""What the tokens of schedules are for; those of tasks are for the worker's URL."""

TRUST = """
from google.oauth2 import id_token
id_token._GOOGLE_OAUTH2_CERTS_URL = {url!r}
"""
"""For the end of a configuration file: whose tokens are Google's."""


class FunctionServer:
    """One function, served by ``functions-framework`` on a free port as on Cloud Run, or by its development server."""

    def __init__(self, target: str, mode: str, env: Mapping[str, str], log: Path, port: int = 0) -> None:
        """Nothing runs before ``start()``."""
        self.target = target
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = {**env, "FUNCTION_TARGET": target, "FUNCTION_SOURCE": str(ROOT / "handlers" / "gcp.py")}
        self._env |= {"HOST": "127.0.0.1", "PORT": str(self.port), **OF_A_MODE[mode]}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it without waiting, unless it runs."""
        with self._starting:
            if not self.running:
                with self._log.open("ab") as log:
                    self._process = subprocess.Popen(
                        [str(FRAMEWORK)], env=self._env, stdout=log, stderr=log, cwd=self._log.parent
                    )

    @property
    def running(self) -> bool:
        """Was it started, and has not ended?"""
        return self._process is not None and self._process.poll() is None

    def wait(self) -> None:
        """Wait until it takes requests."""
        eventually(self._answers, 60, f"the function {self.target} answers")

    def _answers(self) -> bool:
        assert self.running, f"the function {self.target} has ended\n{self._log.read_text()[-5000:]}"
        try:
            httpx.get(f"{self.url}/ping", timeout=5, verify=NO_TLS)
        except httpx.TransportError:
            return False
        return True

    def kill(self) -> None:
        """It and gunicorn's workers, as if the power went; servers that were started go on."""
        if self._process is None:
            return
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(10)

    def _processes(self) -> Iterator[psutil.Process]:
        """The first goes first: it would start new ones."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.pid).children()
            yield psutil.Process(self.pid)
            for child in children:
                if str(FRAMEWORK) in child.cmdline():
                    yield child

    def terminate(self) -> int:
        """SIGTERM, as when Cloud Run ends an instance; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(60)


class Schedule(threading.Thread):
    """Calls a function's URL at fixed times, as Cloud Scheduler does; the function is started for the first of them."""

    def __init__(self, function: FunctionServer, seconds: float, tasks: CloudTasks) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._seconds = seconds
        self._tasks = tasks
        self._closed = threading.Event()

    def run(self) -> None:
        """Until ``close()``."""
        while not self._closed.wait(self._seconds):
            self._function.start()
            with contextlib.suppress(httpx.HTTPError):
                call(self._function, self._tasks)

    def close(self) -> None:
        """No further calls."""
        self._closed.set()


def call(function: FunctionServer, tasks: CloudTasks, body: bytes = b"", **claims: Any) -> httpx.Response:
    """POST to a scheduled function with a token; other ``claims`` take the place of the token's own."""
    token = tasks.identity_token(AUDIENCE, CALLER, **claims)
    headers = {"Authorization": f"Bearer {token}", "X-CloudScheduler": "true"}
    return httpx.post(function.url, content=body, headers=headers, timeout=60, verify=NO_TLS)


class OutpostOnCloudRun(OutpostProcess):
    """The functions of ``handlers.gcp``, Cloud Tasks in front of the worker, and Cloud Scheduler's calls."""

    debug_line = '"severity": "DEBUG"'
    log_has_format = False

    def __init__(
        self,
        folder: Path,
        config: str = "",
        env: Mapping[str, str] | None = None,
        *,
        mode: str = "gunicorn",
        port: int = 0,
    ) -> None:
        """``port`` is the API's; a free one for 0."""
        self._stack = ExitStack()
        self.tasks = self._stack.enter_context(cloud_tasks.server())
        super().__init__(folder, config + TRUST.format(url=self.tasks.url + CERTIFICATES), env)
        if port:
            self.port, self.url = port, f"http://127.0.0.1:{port}"
        self._mode = mode
        self._worker_port = free_port()
        self._worker_url = f"http://127.0.0.1:{self._worker_port}"
        self.env |= {
            **self.tasks.env(self._worker_url),
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.tasks.key_file(folder)),
            "OUTPOST_OIDC_AUDIENCE": f"{AUDIENCE};{self._worker_url}",
            "OUTPOST_OIDC_CALLERS": CALLER,
        }
        self.functions: dict[str, FunctionServer] = {}
        self._schedules: list[Schedule] = []
        self.closed = False

    @property
    def pid(self) -> int:
        """The process that serves hubs, or starts those that do."""
        return self.functions["api"].pid

    def exit_codes(self, code: int) -> set[int]:
        """Another function may have started the server; who is not its parent tells 0."""
        return {0, code}

    def launch(self, **env: str) -> None:
        """Deploy the functions with that environment, and let calls come."""
        self.deploy(**env)
        for name in ("api", "worker"):
            self.functions[name].start()
        settings = self.env | env
        periods = {
            "expire": float(settings.get("JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER", "60")),
            "recover": float(settings.get("OUTPOST_LEASE_SECONDS", "30")) / 3,
            "tunnels": 30.0,
        }
        self._schedules = [Schedule(self.functions[name], period, self.tasks) for name, period in periods.items()]
        for schedule in self._schedules:
            schedule.start()
        self.tasks.resume()

    def deploy(self, **env: str) -> None:
        """The same, but nothing is started, and nothing is called by itself."""
        ports = {"api": self.port, "worker": self._worker_port}
        self.functions = {
            name: FunctionServer(name, self._mode, self.env | env, self.log, ports.get(name, 0)) for name in FUNCTIONS
        }

    def wait(self) -> None:
        """Wait until it answers."""
        self.functions["api"].wait()
        self.functions["worker"].wait()

    def invoke(self, name: str, body: bytes = b"", **claims: Any) -> httpx.Response:
        """What a function answers to a call with a token."""
        self.functions[name].start()
        self.functions[name].wait()
        return call(self.functions[name], self.tasks, body, **claims)

    def has_ended(self) -> bool:
        """Do no requests get an answer?"""
        return not any(function.running for function in self.functions.values())

    def kill(self) -> None:
        """All functions at once, in the middle of their work."""
        self._close_schedules()
        self.tasks.pause()
        for function in self.functions.values():
            function.kill()

    def _close_schedules(self) -> None:
        for schedule in self._schedules:
            schedule.close()
        self._schedules = []

    def stop(self) -> int:
        """As a new revision replaces them."""
        self._close_schedules()
        self.tasks.pause()
        codes = [function.terminate() for function in self.functions.values() if function.running]
        return max(codes, default=0)

    def close(self) -> None:
        """End it, and every server it started."""
        self.kill()
        super().close()
        self._stack.close()
        self.closed = True
