"""Outpost as a process of its own, and hubs that call it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil
from cryptography.fernet import Fernet

from tests.support.postgresql import free_port
from tests.support.waiting import eventually

HUBS = {"hub1": "first password", "hub2": "second:password"}
ROOT = Path(__file__).parents[2]

NO_TLS = False
"""For calls on loopback: reading the system's certificates takes longer than most of these."""


class OutpostProcess:
    """``python -m handlers.server`` on a free port, with its state in a folder.

    Tests speak of it as *the* Outpost; what depends on how it is deployed, they ask it for.
    """

    password_header = "www-authenticate"
    """The name under which a client gets that header."""

    body_limit = "6291456 bytes"
    """What a body that is too large is told."""

    def __init__(self, folder: Path, config: str = "", env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.config = folder / "outpost_config.py"
        self.config.write_text(config)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "outpost.log"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "OUTPOST_CONFIG_FILE": str(self.config),
            "OUTPOST_CRYPT_KEY": Fernet.generate_key().decode(),
            "OUTPOST_FLAVORS_PATH": str(folder / "flavors.yaml"),
            "OUTPOST_CREDITS_PATH": str(folder / "credits.yaml"),
            "usernames": ";".join(HUBS),
            "passwords": ";".join(HUBS.values()),
            "SQL_DATABASE_URL": str(folder / "outpost.sqlite"),
            **(env or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    keeps_last_good = True
    """Does what was read stay in force when the file is broken then? A process that begins later has read nothing."""

    debug_line = "[D "
    """What a log line of level DEBUG holds."""

    log_has_format = True
    """Is the log as ``log_format`` says?"""

    def exit_codes(self, code: int) -> set[int]:
        """What may be told of a local server that ended with ``code``, which only its parent can know."""
        return {code}

    def start(self, **env: str) -> OutpostProcess:
        """Start it, and wait until it answers."""
        self.launch(**env)
        self.wait()
        return self

    def wait(self) -> None:
        """Wait until it answers."""
        eventually(self._answers, 60, "Outpost answers")

    def launch(self, **env: str) -> None:
        """Start it without waiting."""
        command = [sys.executable, "-m", "handlers.server", "--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self.env | env, stdout=log, stderr=log, cwd=ROOT)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"Outpost ended\n{self.tail()}"
        try:
            return httpx.get(f"{self.url}/ping", timeout=5, verify=NO_TLS).is_success
        except httpx.TransportError:
            return False

    def has_ended(self) -> bool:
        """Is the process over?"""
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        """As if the power went."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def terminate(self) -> None:
        """Ask it to end, as Kubernetes does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Ask it to end, and wait for that; the exit code."""
        self.terminate()
        assert self._process is not None
        return self._process.wait(60)

    def close(self) -> None:
        """End it, and every server it started."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        for process in servers_in(self.folder):
            process.kill()

    def tail(self, lines: int = 60) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def hub(self, name: str = "hub1") -> HubCalls:
        """A hub's side of the HTTP API."""
        return HubCalls(self.url, name, HUBS[name])


class HubCalls:
    """The calls that OutpostSpawner makes, with paths percent-encoded."""

    def __init__(self, url: str, name: str, password: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, auth=(name, password), timeout=60, verify=NO_TLS)

    def __enter__(self) -> HubCalls:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def start(self, name: str = "", *, asynchronous: bool = False, **body: Any) -> httpx.Response:
        """``POST /services``."""
        headers = body.pop("headers", {})
        if asynchronous:
            headers["execution-type"] = "async"
        return self.http.post("/services", json={"name": name, **body}, headers=headers)

    def poll(self, name: str = "", start_id: str = "0", **params: str) -> httpx.Response:
        """``GET /services/NAME/START_ID``."""
        return self.http.get(self.path(name, start_id), params=params)

    def poll_until_ended(self, name: str) -> dict[str, Any]:
        """The first poll that tells how the server ended."""

        def ended() -> dict[str, Any] | None:
            answer: dict[str, Any] = self.poll(name).json()
            return None if answer["status"] is None else answer

        return eventually(ended, 60, f"{name} has ended") or {}

    def stop(self, name: str = "", start_id: str = "0", *, asynchronous: bool = False) -> httpx.Response:
        """``DELETE /services/NAME/START_ID``."""
        headers = {"execution-type": "async"} if asynchronous else {}
        return self.http.delete(self.path(name, start_id), headers=headers)

    def services(self) -> list[dict[str, Any]]:
        """``GET /services``."""
        response = self.http.get("/services")
        assert response.status_code == 200, response.text
        listed: list[dict[str, Any]] = response.json()
        return listed

    @staticmethod
    def path(name: str, start_id: str) -> str:
        """A service's path."""
        encoded = quote(name, safe="").replace(".", "%2E")  # or clients take a dot for a relative path
        return f"/services/{encoded}/{quote(start_id, safe='')}"


def servers_in(folder: Path) -> list[psutil.Process]:
    """The processes that run for the Outpost in that folder: their environment names it."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ZOO_FOLDER") == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def named_servers(folder: Path, variable: str = "ZOO_NAME") -> list[tuple[str, psutil.Process]]:
    """The same with a variable of each one's environment, without those that end meanwhile; sorted."""
    found = []
    for process in servers_in(folder):
        with suppress(psutil.Error, OSError):
            found.append((process.environ()[variable], process))
    return sorted(found, key=lambda named: named[0])
