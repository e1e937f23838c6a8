"""The hub as its users see it: its REST API, and their servers behind its proxy."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote

import httpx
import psutil

from local.processes import marked
from tests.e2e.kernel import Kernel
from tests.support.waiting import eventually

START_SECONDS = 45


class Hub:
    """Calls to one hub with one token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.http = httpx.Client(headers={"Authorization": f"token {token}"}, timeout=30)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """A call of the REST API that succeeds."""
        response = self.http.request(method, f"{self.url}/hub/api{path}", **arguments)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response

    def new_user(self, name: str) -> None:
        """Make a user who has no server yet."""
        self.call("POST", f"/users/{name}")

    def token_of(self, user: str) -> str:
        """A new token that may do what the user may."""
        token: str = self.call("POST", f"/users/{user}/tokens", json={"expires_in": 600}).json()["token"]
        return token


class Server:
    """One server of one user; the name of the default server is empty."""

    def __init__(self, hub: Hub, user: str, name: str, mark: str) -> None:
        """``mark`` tells the processes of this hub's servers from all others."""
        self.hub = hub
        self.user = user
        self.name = name
        self._mark = mark
        self.token = hub.token_of(user)

    @property
    def _path(self) -> str:
        return f"/users/{self.user}/servers/{quote(self.name)}" if self.name else f"/users/{self.user}/server"

    def request_start(self, **options: Any) -> httpx.Response:
        """Ask for a start with these user_options; the hub's answer, whatever it is."""
        return self.hub.http.post(f"{self.hub.url}/hub/api{self._path}", json=options)

    def start(self, **options: Any) -> Server:
        """Start it, and wait until it is ready."""
        response = self.request_start(**options)
        assert response.is_success, response.text
        eventually(lambda: not self.model()["pending"], START_SECONDS, f"start of {self.name!r} ended")
        assert self.model()["ready"], f"{self.name!r} did not start: {self.events()}"
        return self

    def model(self) -> dict[str, Any]:
        """The server as the hub lists it; a stopped one is neither ready nor pending."""
        servers = self.hub.call("GET", f"/users/{self.user}?include_stopped_servers").json()["servers"]
        model: dict[str, Any] = servers.get(self.name, {"ready": False, "pending": None})
        return model

    def is_stopped(self) -> bool:
        """Does the hub say that it neither runs, nor starts, nor stops?"""
        model = self.model()
        return not model["ready"] and not model["pending"]

    def stop(self) -> None:
        """Stop it as a user does, and wait until the hub says that it is stopped."""
        self.hub.call("DELETE", self._path)
        eventually(self.is_stopped, 30, f"{self.name!r} is stopped")

    def events(self) -> list[dict[str, Any]]:
        """What the user is shown of its last start."""
        tail = f"/{quote(self.name)}" if self.name else ""
        answer = self.hub.call("GET", f"/users/progress/events/{self.user}{tail}").json()
        events: list[dict[str, Any]] = answer["events"]
        return events

    @property
    def url(self) -> str:
        """Where the server is behind the hub's proxy."""
        tail = f"{quote(self.name)}/" if self.name else ""
        return f"{self.hub.url}/user/{self.user}/{tail}"

    def get(self, path: str) -> httpx.Response:
        """A page of the server, as its user."""
        headers = {"Authorization": f"token {self.token}"}
        return httpx.get(self.url + path, headers=headers, follow_redirects=True, timeout=20)

    def kernel(self) -> Kernel:
        """A new kernel in the server, through the proxy."""
        return Kernel.started(self.url, self.token)

    def processes(self) -> list[psutil.Process]:
        """All that runs for it: the server, which is the oldest and comes first, and its kernels."""
        wanted = {"JUPYTERHUB_USER": self.user, "JUPYTERHUB_SERVER_NAME": self.name}
        found = []
        for process in marked(self._mark):
            with contextlib.suppress(psutil.Error):
                if wanted.items() <= process.environ().items():
                    found.append((process.create_time(), process.pid, process))
        return [process for _, _, process in sorted(found)]

    def assert_gone(self) -> None:
        """Nothing of it runs any more, kernels included, at the latest in a moment."""
        eventually(lambda: not self.processes(), 15, f"no process of {self.name!r} runs: {self.processes()}")
