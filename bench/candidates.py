"""What is measured: servers that run somewhere, and servers that are started here."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from cryptography.fernet import Fernet

from tests.support.postgresql import free_port

COMMANDS = {
    "outpost": "{python} -m handlers.server --host 127.0.0.1 --port {port}",
    "floor": "{python} -m uvicorn bench.floor:app --no-access-log --host 127.0.0.1 --port {port}",
}
CONFIG = """
c.JupyterHubOutpost.spawner_class = "tests.support.zoo.IdleSpawner"
c.JupyterHubOutpost.log_level = "WARN"
c.JupyterHubOutpost.flavors = {"small": -1}
"""
HUB, PASSWORD = "hub", "password"
SWEEP_SECONDS = 1.0
"""How often a candidate that is started here looks for expired services."""


@dataclass
class Candidate:
    """A server that answers. What is None cannot be known of one that was started elsewhere."""

    name: str
    url: str
    process: psutil.Process | None = None
    environment: Mapping[str, str] | None = None
    start_up_s: float | None = None

    def rss_mb(self) -> float | None:
        """Its memory now, with that of its children."""
        if self.process is None:
            return None
        return round(sum(one.memory_info().rss for one in self._family()) / 1e6, 1)

    def cpu_s(self) -> float:
        """The processor time that it has used until now; 0 when it cannot be known."""
        times = [one.cpu_times() for one in self._family()]
        return sum(time.user + time.system for time in times)

    def _family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)] if self.process else []


def environment(folder: Path, database: Mapping[str, str]) -> dict[str, str]:
    """The environment of a candidate that is started here."""
    config = folder / "outpost_config.py"
    config.write_text(CONFIG)
    return {
        "OUTPOST_CONFIG_FILE": str(config),
        "OUTPOST_CRYPT_KEY": Fernet.generate_key().decode(),
        "OUTPOST_FLAVORS_PATH": str(folder / "no-flavors.yaml"),
        "usernames": HUB,
        "passwords": PASSWORD,
        "LOG_LEVEL": "warning",
        "JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER": str(SWEEP_SECONDS),
        **(database or {"SQL_DATABASE_URL": str(folder / "bench.sqlite")}),
    }


@contextmanager
def started(name: str, command: str, env: Mapping[str, str]) -> Iterator[Candidate]:
    """Run ``command``, with ``{python}`` and ``{port}`` filled in, until the block ends."""
    port = free_port()
    arguments = shlex.split(command.format(python=sys.executable, port=port))
    began = time.perf_counter()
    process = subprocess.Popen(arguments, env={**os.environ, **env})
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", process)
        took = round(time.perf_counter() - began, 2)
        url = f"http://{HUB}:{PASSWORD}@127.0.0.1:{port}"
        yield Candidate(name, url, psutil.Process(process.pid), env, took)
    finally:
        process.terminate()
        process.wait(60)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until it answers, 30 seconds at most."""
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.01)
        else:
            return
